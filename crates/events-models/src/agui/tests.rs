//! The fixtures of the protocol, and what they do not cover.

mod building;
mod mutations;
mod reading;

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{AgUiEvent, AnyJson};
use crate::InvalidKind;

fn fixture_dir() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/agui"
    ))
}

/// Reads the lines of a fixture file; `event` is kept as text, so that no number changes on the way.
pub(super) fn lines_of(name: &str) -> Vec<Line> {
    fs::read_to_string(fixture_dir().join(name))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[derive(Debug, serde::Deserialize)]
pub(super) struct Line {
    pub(super) name: String,
    #[serde(default)]
    pub(super) event: AnyJson,
    #[serde(default)]
    pub(super) events: Vec<AnyJson>,
    #[serde(default)]
    pub(super) after_client: AnyJson,
    #[serde(default)]
    pub(super) rejected_at: usize,
    #[serde(default)]
    pub(super) in_0_0_59: Option<bool>,
}

pub(super) fn transcripts() -> Vec<(String, Vec<String>)> {
    let mut transcripts: Vec<_> = fs::read_dir(fixture_dir().join("transcripts"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                text.lines().map(str::to_owned).collect(),
            )
        })
        .collect();
    transcripts.sort();
    assert!(!transcripts.is_empty());
    transcripts
}

pub(super) fn event(json: &str) -> AgUiEvent {
    AgUiEvent::from_json(json.as_bytes()).unwrap_or_else(|error| panic!("{error} in {json}"))
}

fn written(event: &AgUiEvent) -> String {
    let mut json = Vec::new();
    event.write_json(&mut json).unwrap();
    // There are two ways to write, and they say the same.
    assert_eq!(json, serde_json::to_vec(event).unwrap());
    String::from_utf8(json).unwrap()
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Checks that a text is refused at a path for a reason that contains a word.
fn check_refused(json: impl AsRef<[u8]>, path: &str, word: &str) {
    let error = AgUiEvent::from_json(json.as_ref()).unwrap_err();
    assert_eq!(error.path, path, "{error}");
    assert!(error.reason.contains(word), "{word:?} is not in: {error}");
    assert_eq!(error.kind(), InvalidKind::Event, "{error}");
}

#[test]
fn every_valid_event_is_written_as_the_value_it_was_read_from() {
    let lines = lines_of("valid-events.jsonl");
    let mut types = std::collections::BTreeSet::new();
    for line in &lines {
        let read = event(line.event.as_str());
        let json = written(&read);
        assert_eq!(value(&json), value(line.event.as_str()), "{}", line.name);
        assert!(json.starts_with("{\"type\":\""), "{json}");
        assert_eq!(event(&json), read);
        assert_eq!(read.validate(), Ok(()));
        types.insert(read.event_type().as_str());
    }
    assert_eq!(types.len(), 31);
}

#[test]
fn every_invalid_event_is_refused_as_an_event_and_not_as_syntax() {
    for line in lines_of("invalid-events.jsonl") {
        let error = AgUiEvent::from_json(line.event.as_str().as_bytes()).expect_err(&line.name);
        assert!(error.path.starts_with('$'), "{error}");
        assert!(!error.is_syntax(), "{}: {error}", line.name);
    }
}

#[test]
fn a_refusal_names_the_offending_member() {
    let expected = [
        ("timestamp-rfc3339", "$.timestamp", "a string"),
        ("timestamp-above-safe", "$.timestamp", "out of range"),
        ("metadata-array", "$.metadata", "an object"),
        ("subagent-null", "$.subagentRunId", "never null"),
        ("type-lower-case", "$.type", "TEXT_MESSAGE_CONTENT"),
        ("type-camel-case", "$.type", "TEXT_MESSAGE_CONTENT"),
        ("type-unknown-upper", "$.type", "HEARTBEAT"),
        (
            "thinking-text-content",
            "$.type",
            "REASONING_MESSAGE_CONTENT",
        ),
        ("snake-case-field", "$.messageId", "`message_id`"),
        ("text-start-role-tool", "$.role", "`tool`"),
        ("text-content-no-delta", "$.delta", "missing"),
        ("tool-result-object", "$.content", "an object"),
        ("tool-result-untyped-part", "$.content[0].type", "missing"),
        (
            "tool-result-data-without-mime",
            "$.content[0].source.mimeType",
            "missing",
        ),
        ("state-delta-unknown-op", "$.delta[0].op", "`merge`"),
        ("state-delta-bad-tilde", "$.delta[0].path", "`~`"),
        ("state-delta-move-no-from", "$.delta[0].from", "missing"),
        ("messages-unknown-role", "$.messages[0].role", "`bot`"),
        (
            "messages-assistant-content-parts",
            "$.messages[0].content",
            "an array",
        ),
        (
            "messages-tool-call-no-type",
            "$.messages[0].toolCalls[0].type",
            "missing",
        ),
        ("activity-delta-wrong-name", "$.patch", "`delta`"),
        (
            "run-finished-outcome-unknown",
            "$.outcome.type",
            "`timeout`",
        ),
        (
            "run-finished-interrupt-no-reason",
            "$.outcome.interrupts[0].reason",
            "missing",
        ),
        (
            "run-finished-usage-negative",
            "$.usage[0].inputTokens",
            "out of range",
        ),
        ("reasoning-message-start-assistant", "$.role", "`reasoning`"),
        ("not-an-object-array", "$", "an array"),
        (
            "spec-RunFinishedEvent-outcome-interrupt-with-no-interrupts",
            "$.outcome.interrupts",
            "at least one",
        ),
    ];
    let lines = lines_of("invalid-events.jsonl");
    for (name, path, word) in expected {
        let line = lines.iter().find(|line| line.name == name).unwrap();
        check_refused(line.event.as_str(), path, word);
    }
}

#[test]
fn undescribed_properties_are_left_aside() {
    for line in lines_of("undescribed-properties.jsonl") {
        let json = written(&event(line.event.as_str()));
        assert_eq!(
            value(&json),
            value(line.after_client.as_str()),
            "{}",
            line.name
        );
    }
}

#[test]
fn every_transcript_is_written_as_it_was_read() {
    for (name, lines) in transcripts() {
        for line in lines {
            assert_eq!(value(&written(&event(&line))), value(&line), "{name}");
        }
    }
}
