//! The fixtures of the protocol, and what they do not cover.

mod building;
mod mutations;
mod reading;
mod streams;
mod times;
mod unknown;

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{A2AEvent, A2AVersion, AnyJson};

fn fixture(name: &str) -> String {
    let folder = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/a2a"
    ));
    fs::read_to_string(folder.join(name)).unwrap()
}

/// A line of a fixture file; `event` is kept as text, so that no number changes on the way.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Line {
    #[serde(default, alias = "stream")]
    pub(super) id: String,
    #[serde(default)]
    event: AnyJson,
    #[serde(default)]
    raw: Option<String>,
    #[serde(default)]
    class: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    pub(super) protocol: String,
    #[serde(default)]
    binding: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    pub(super) payloads: Vec<AnyJson>,
}

impl Line {
    pub(super) fn text(&self) -> &str {
        self.raw.as_deref().unwrap_or_else(|| self.event.as_str())
    }
}

pub(super) fn lines_of(name: &str) -> Vec<Line> {
    fixture(name)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

pub(super) fn version_of(name: &str) -> A2AVersion {
    match name {
        "1.0" => A2AVersion::V1_0,
        "0.3" => A2AVersion::V0_3,
        other => panic!("no version is named {other}"),
    }
}

pub(super) fn event_as(json: &str, version: A2AVersion) -> A2AEvent {
    A2AEvent::from_json_as(json.as_bytes(), version)
        .unwrap_or_else(|error| panic!("{error} in {json}"))
}

pub(super) fn event(json: &str) -> A2AEvent {
    event_as(json, A2AVersion::V1_0)
}

fn written_as(event: &A2AEvent, version: A2AVersion) -> String {
    let mut json = Vec::new();
    match version {
        A2AVersion::V1_0 => event.write_json(&mut json).unwrap(),
        A2AVersion::V0_3 => event.write_json_v0_3(&mut json).unwrap(),
    }
    String::from_utf8(json).unwrap()
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Checks that a text is refused at a path for a reason that contains a word.
fn check_refused(json: &str, version: A2AVersion, path: &str, word: &str) {
    let error = A2AEvent::from_json_as(json.as_bytes(), version).expect_err(json);
    assert_eq!(error.path, path, "{error} in {json}");
    assert!(error.reason.contains(word), "{word:?} is not in: {error}");
}

#[test]
fn every_valid_1_0_event_is_written_as_the_value_it_was_read_from() {
    let mut types = std::collections::BTreeSet::new();
    for line in lines_of("v1.0-events-valid.jsonl") {
        let read = event(line.text());
        assert_eq!(
            value(&written_as(&read, A2AVersion::V1_0)),
            value(line.text()),
            "{}",
            line.id
        );
        assert_eq!(serde_json::from_str::<A2AEvent>(line.text()).unwrap(), read);
        assert_eq!(read.validate(), Ok(()), "{}", line.id);
        assert_eq!(
            A2AVersion::detect(line.text().as_bytes()),
            Some(A2AVersion::V1_0)
        );
        types.insert(read.event_type().as_str());
    }
    assert_eq!(types.len(), 4);
}

#[test]
fn every_valid_0_3_event_is_written_as_the_value_it_was_read_from() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in lines_of("v0.3-events-valid.jsonl") {
        let read = event_as(line.text(), A2AVersion::V0_3);
        let mut expected = value(line.text());
        // A time without a zone is read as UTC and written as such.
        if let Some(Value::String(time)) = expected.pointer_mut("/status/timestamp")
            && !time.ends_with('Z')
        {
            time.push('Z');
        }
        let json = written_as(&read, A2AVersion::V0_3);
        assert_eq!(value(&json), expected, "{}", line.id);
        assert_eq!(event_as(&json, A2AVersion::V0_3), read);
        assert_eq!(
            A2AEvent::from_json_any(line.text().as_bytes()),
            Ok((read.clone(), A2AVersion::V0_3))
        );
        kinds.insert(read.event_type().kind_v0_3());
        // What 1.0 cannot say, it names.
        let at = match line.id.as_str() {
            "status-unknown-state" => Some("$.statusUpdate.status.state"),
            "spec-11" => Some("$.task.artifacts[0].parts[0].raw"),
            _ => None,
        };
        assert_eq!(read.validate().err().map(|error| error.path).as_deref(), at);
    }
    assert_eq!(kinds.len(), 4);
}

#[test]
fn every_invalid_event_is_refused_and_what_is_only_never_written_is_read() {
    for (file, version) in [
        ("v1.0-events-invalid.jsonl", A2AVersion::V1_0),
        ("v0.3-events-invalid.jsonl", A2AVersion::V0_3),
    ] {
        for line in lines_of(file) {
            let read = A2AEvent::from_json_as(line.text().as_bytes(), version);
            if line.class == "emit-only" {
                let json = written_as(&read.expect(&line.id), version);
                assert_ne!(value(&json), value(line.text()), "{}", line.id);
                continue;
            }
            let error = read.expect_err(&line.id);
            assert!(error.path.starts_with('$'), "{}: {error}", line.id);
            // An array is JSON, and only no event.
            let is_syntax = line.class == "syntax" && line.id != "json-array";
            assert_eq!(error.is_syntax(), is_syntax, "{}: {error}", line.id);
        }
    }
}

#[test]
fn a_refusal_of_1_0_names_the_offending_member() {
    let expected = [
        ("flat-kind-status", "$", "the form of 0.3"),
        (
            "message-role-unspecified",
            "$.message.role",
            "ROLE_UNSPECIFIED",
        ),
        (
            "timestamp-space",
            "$.statusUpdate.status.timestamp",
            "RFC 3339",
        ),
        (
            "timestamp-no-zone",
            "$.statusUpdate.status.timestamp",
            "RFC 3339",
        ),
        (
            "timestamp-words",
            "$.statusUpdate.status.timestamp",
            "just now",
        ),
        (
            "timestamp-number",
            "$.statusUpdate.status.timestamp",
            "a number",
        ),
        ("refs-numbers", "$.message.referenceTaskIds[0]", "a number"),
        ("message-id-missing", "$.message.messageId", "missing"),
        ("message-parts-empty", "$.message.parts", "empty"),
        ("task-history-strings", "$.task.history[0]", "a string"),
        ("status-taskid-number", "$.statusUpdate.taskId", "a number"),
        (
            "artifact-contextid-missing",
            "$.artifactUpdate.contextId",
            "missing",
        ),
        ("artifact-missing", "$.artifactUpdate.artifact", "missing"),
        ("doc-spec-5", "$.task.status.message.messageId", "missing"),
        ("status-missing", "$.statusUpdate.status", "missing"),
        ("task-null", "$", "one member"),
        (
            "part-two-contents",
            "$.artifactUpdate.artifact.parts[0]",
            "both `text` and `url`",
        ),
        (
            "part-string",
            "$.artifactUpdate.artifact.parts[0]",
            "a string",
        ),
        (
            "hyphen-state",
            "$.statusUpdate.status.state",
            "1.0 spells it `TASK_STATE_INPUT_REQUIRED`",
        ),
        ("extensions-string", "$.message.extensions", "an array"),
        ("two-members", "$", "both `task` and `statusUpdate`"),
        ("metadata-array", "$.statusUpdate.metadata", "an object"),
        ("state-object", "$.statusUpdate.status.state", "an object"),
        ("message-content-03-rest", "$.message.parts", "missing"),
        ("task-artifacts-object", "$.task.artifacts", "an array"),
        (
            "artifact-parts-empty",
            "$.artifactUpdate.artifact.parts",
            "empty",
        ),
        ("state-missing", "$.statusUpdate.status.state", "missing"),
        ("append-string", "$.artifactUpdate.append", "a boolean"),
        (
            "message-role-03",
            "$.message.role",
            "1.0 spells it `ROLE_AGENT`",
        ),
        (
            "part-raw-not-base64",
            "$.artifactUpdate.artifact.parts[0].raw",
            "base64",
        ),
        (
            "part-raw-array",
            "$.artifactUpdate.artifact.parts[0].raw",
            "an array",
        ),
        ("json-array", "$", "an array"),
    ];
    let lines = lines_of("v1.0-events-invalid.jsonl");
    for (id, path, word) in expected {
        let line = lines.iter().find(|line| line.id == id).unwrap();
        check_refused(line.text(), A2AVersion::V1_0, path, word);
    }
}

#[test]
fn a_refusal_of_0_3_names_the_offending_member() {
    let expected = [
        ("artifact-id-missing", "$.artifact.artifactId", "missing"),
        ("metadata-array", "$.metadata", "an object"),
        ("final-missing", "$.final", "missing"),
        ("lastchunk-number", "$.lastChunk", "a boolean"),
        ("history-not-array", "$.history", "an array"),
        ("wrapped-task", "$.kind", "the form of 1.0"),
        ("part-no-kind", "$.parts[0].kind", "missing"),
        ("kind-missing", "$.kind", "missing"),
        ("task-contextid-missing", "$.contextId", "missing"),
        (
            "underscore-state",
            "$.status.state",
            "unknown value `input_required`",
        ),
        ("part-data-array", "$.parts[0].data", "an object"),
        ("part-kind-unknown", "$.parts[0].kind", "`image`"),
        ("part-kind-mismatch", "$.parts[0].text", "missing"),
        ("role-upper", "$.role", "0.3 spells it `agent`"),
    ];
    let lines = lines_of("v0.3-events-invalid.jsonl");
    for (id, path, word) in expected {
        let line = lines.iter().find(|line| line.id == id).unwrap();
        check_refused(line.text(), A2AVersion::V0_3, path, word);
    }
}
