//! The recorded answers, what they say, and how they are cut.

use std::fs;
use std::path::{Path, PathBuf};

use events_llm::{Extraction, Framing, Provider, ReaderLimits, StreamFailure, StreamReader, Usage};
use serde_json::Value;

/// One recorded answer.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) provider: Provider,
    pub(crate) body: Vec<u8>,
    pub(crate) expected: Value,
}

impl Fixture {
    pub(crate) fn is_stream(&self) -> bool {
        self.expected["kind"] == "stream"
    }

    pub(crate) fn framing(&self) -> Framing {
        match Path::new(&self.name)
            .extension()
            .and_then(|end| end.to_str())
        {
            Some("ndjson") => Framing::Ndjson,
            Some("json") => Framing::Json,
            _ => Framing::Sse,
        }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        match self.framing() {
            Framing::Sse => "text/event-stream",
            Framing::Ndjson => "application/x-ndjson",
            Framing::Json => "application/json",
        }
    }

    pub(crate) fn reader(&self) -> StreamReader {
        StreamReader::new(Some(self.provider), self.framing(), ReaderLimits::default())
    }

    /// What a reader says when the body comes in these pieces.
    pub(crate) fn extractions<'b>(
        &self,
        pieces: impl IntoIterator<Item = &'b [u8]>,
    ) -> Vec<Extraction> {
        read(self.reader(), pieces)
    }
}

pub(crate) fn read<'b>(
    mut reader: StreamReader,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> Vec<Extraction> {
    let mut found = Vec::new();
    for piece in pieces {
        reader.feed(piece, &mut |extraction| found.push(extraction));
    }
    reader.finish(&mut |extraction| found.push(extraction));
    found
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/llm")
}

fn lines(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Reads all recorded answers.
pub(crate) fn all() -> Vec<Fixture> {
    let fixtures: Vec<_> = lines("expected.jsonl")
        .into_iter()
        .map(of_expected)
        .collect();
    assert!(fixtures.len() > 60, "the fixtures were not found");
    fixtures
}

/// Reads one recorded answer.
pub(crate) fn one(name: &str) -> Fixture {
    let expected = lines("expected.jsonl")
        .into_iter()
        .find(|line| line["file"] == name);
    of_expected(expected.unwrap())
}

fn of_expected(expected: Value) -> Fixture {
    let name = expected["file"].as_str().unwrap().to_owned();
    let provider = expected["provider"].as_str().unwrap();
    Fixture {
        provider: Provider::from_name(provider).unwrap(),
        body: fs::read(folder().join(&name)).unwrap(),
        name,
        expected,
    }
}

/// Reads the plans of hostile cuts: a recorded answer's name, the plan's name, the offsets.
pub(crate) fn cut_plans() -> Vec<(String, String, Vec<usize>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    lines("chunks.jsonl")
        .iter()
        .map(|line| {
            let cuts = line["cuts"].as_array().unwrap();
            let cuts = cuts
                .iter()
                .map(|cut| usize::try_from(cut.as_u64().unwrap()).unwrap());
            (text(&line["file"]), text(&line["plan"]), cuts.collect())
        })
        .collect()
}

/// Cuts a body at offsets.
pub(crate) fn cut<'b>(body: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([body.len()]) {
        pieces.push(&body[start..end]);
        start = end;
    }
    pieces
}

/// What an answer says as a whole.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) model: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) texts: Vec<String>,
    pub(crate) reasoning: String,
    pub(crate) refusal: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) reason: Option<String>,
    pub(crate) failure: Option<StreamFailure>,
    pub(crate) usage: Option<Usage>,
    pub(crate) has_ended: bool,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) is_server: bool,
}

impl Answer {
    pub(crate) fn of(extractions: &[Extraction]) -> Self {
        let mut answer = Self {
            texts: vec![String::new()],
            ..Self::default()
        };
        for extraction in extractions {
            answer.take(extraction.clone());
        }
        answer
    }

    fn take(&mut self, extraction: Extraction) {
        match extraction {
            Extraction::Answer { id, model } => {
                self.id = id.or(self.id.take());
                self.model = model.or(self.model.take());
            }
            Extraction::Restarted => *self = Self::of(&[]),
            Extraction::Text { choice, delta } => {
                assert_ne!(delta, "");
                let choice = choice as usize;
                if self.texts.len() <= choice {
                    self.texts.resize(choice + 1, String::new());
                }
                self.texts[choice].push_str(&delta);
            }
            Extraction::Reasoning { choice: 0, delta } => self.reasoning.push_str(&delta),
            Extraction::Refusal { choice: 0, delta } => self.refusal.push_str(&delta),
            Extraction::ToolCallStarted {
                choice: 0,
                call,
                id,
                name,
                is_server,
            } => {
                assert_eq!(call as usize, self.calls.len());
                self.calls.push(Call {
                    id,
                    name,
                    is_server,
                    arguments: String::new(),
                });
            }
            Extraction::ToolCallArguments { call, delta } => {
                self.calls[call as usize].arguments.push_str(&delta);
            }
            Extraction::Finished { choice: 0, reason } => self.reason = Some(reason),
            Extraction::Usage(usage) => self.usage = Some(usage),
            Extraction::Failed(failure) => {
                assert_eq!(self.failure, None, "an error is said once");
                self.failure = Some(failure);
            }
            Extraction::Ended => self.has_ended = true,
            _ => {}
        }
    }
}
