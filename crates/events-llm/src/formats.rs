//! What each provider's events mean.

mod anthropic;
mod chat;
mod failure;
mod gemini;
mod ollama;
mod partial_args;
mod responses;

use crate::{Extraction, Provider, json::Json};

pub(crate) use failure::failure_of;

/// How many blocks or tool calls of one answer are followed.
pub(crate) const MAX_BLOCKS: usize = 1_024;

/// The state of reading one answer.
#[derive(Debug)]
pub(crate) enum Format {
    Anthropic(anthropic::Anthropic),
    Chat(chat::Chat),
    Responses(responses::Responses),
    Gemini(gemini::Gemini),
    Ollama(ollama::Ollama),
}

impl Format {
    pub(crate) fn new(provider: Provider) -> Self {
        match provider {
            Provider::Anthropic => Self::Anthropic(anthropic::Anthropic::default()),
            Provider::OpenAiChat => Self::Chat(chat::Chat::default()),
            Provider::OpenAiResponses => Self::Responses(responses::Responses::default()),
            Provider::Gemini => Self::Gemini(gemini::Gemini::default()),
            Provider::Ollama => Self::Ollama(ollama::Ollama::default()),
        }
    }

    /// Takes one event.
    ///
    /// # Errors
    ///
    /// The answer has more blocks than are followed.
    pub(crate) fn event(
        &mut self,
        json: &Json<'_>,
        out: &mut Vec<Extraction>,
    ) -> Result<(), TooManyBlocks> {
        match self {
            Self::Anthropic(format) => format.event(json, out),
            Self::Chat(format) => format.event(json, out),
            Self::Responses(format) => format.event(json, out),
            Self::Gemini(format) => format.event(json, out),
            Self::Ollama(format) => format.event(json, out),
        }
    }

    /// Takes the terminator that is no JSON, `[DONE]`.
    pub(crate) fn done(&mut self, out: &mut Vec<Extraction>) {
        if let Self::Chat(format) = self {
            format.end_calls(out);
        }
        out.push(Extraction::Ended);
    }
}

/// The answer has more than [`MAX_BLOCKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyBlocks;

/// Numbers the tool calls of an answer.
#[derive(Debug, Default)]
struct Calls {
    n_started: u32,
}

impl Calls {
    /// Starts a call and returns its number.
    fn start(
        &mut self,
        choice: u32,
        id: Option<&str>,
        name: &str,
        is_server: bool,
        out: &mut Vec<Extraction>,
    ) -> Result<u32, TooManyBlocks> {
        if self.n_started as usize >= MAX_BLOCKS {
            return Err(TooManyBlocks);
        }
        let call = self.n_started;
        self.n_started += 1;
        out.push(Extraction::ToolCallStarted {
            choice,
            call,
            id: id.filter(|id| !id.is_empty()).map(str::to_owned),
            name: name.to_owned(),
            is_server,
        });
        Ok(call)
    }
}

fn arguments(call: u32, delta: &str, out: &mut Vec<Extraction>) {
    if !delta.is_empty() {
        out.push(Extraction::ToolCallArguments {
            call,
            delta: delta.to_owned(),
        });
    }
}

fn text(choice: u32, delta: Option<&str>, out: &mut Vec<Extraction>) {
    if let Some(delta) = delta.filter(|delta| !delta.is_empty()) {
        out.push(Extraction::Text {
            choice,
            delta: delta.to_owned(),
        });
    }
}

fn reasoning(choice: u32, delta: Option<&str>, out: &mut Vec<Extraction>) {
    if let Some(delta) = delta.filter(|delta| !delta.is_empty()) {
        out.push(Extraction::Reasoning {
            choice,
            delta: delta.to_owned(),
        });
    }
}

fn refusal(choice: u32, delta: Option<&str>, out: &mut Vec<Extraction>) {
    if let Some(delta) = delta.filter(|delta| !delta.is_empty()) {
        out.push(Extraction::Refusal {
            choice,
            delta: delta.to_owned(),
        });
    }
}

/// Whole arguments: an object as compact JSON, text as it is.
fn whole_arguments(call: u32, value: &Json<'_>, out: &mut Vec<Extraction>) {
    match value {
        Json::Null => arguments(call, "{}", out),
        Json::Text(value) => arguments(call, value, out),
        value => arguments(call, &value.to_string(), out),
    }
}

/// Remembers what was said of the answer, and says it once and when it changes.
#[derive(Debug, Default)]
struct Identity {
    id: Option<String>,
    model: Option<String>,
}

impl Identity {
    fn note(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<Extraction>) {
        let is_new = |known: &Option<String>, said: Option<&str>| {
            said.is_some_and(|said| !said.is_empty() && known.as_deref() != Some(said))
        };
        let new_id = is_new(&self.id, id);
        let new_model = is_new(&self.model, model);
        if new_id {
            self.id = id.map(str::to_owned);
        }
        if new_model {
            self.model = model.map(str::to_owned);
        }
        if new_id || new_model {
            out.push(Extraction::Answer {
                id: id.filter(|_| new_id).map(str::to_owned),
                model: model.filter(|_| new_model).map(str::to_owned),
            });
        }
    }
}

/// A choice's index; what is missing or absurd is the first.
fn choice_index(json: &Json<'_>) -> u32 {
    json.get("index")
        .count()
        .and_then(|index| u32::try_from(index).ok())
        .unwrap_or(0)
}
