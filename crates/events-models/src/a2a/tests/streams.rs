//! Whole streams, and what both versions make of the same object.

use serde_json::Value;

use super::{Line, event_as, fixture, lines_of, value, version_of, written_as};
use crate::a2a::{A2AEvent, A2AVersion, order::TaskOrder};

/// The form in which the 0.3 binding to REST writes is not spoken.
fn spoken_streams() -> Vec<Line> {
    let lines: Vec<_> = lines_of("streams/index.jsonl")
        .into_iter()
        .filter(|line| (line.protocol.as_str(), line.binding.as_str()) != ("0.3", "rest"))
        .collect();
    assert!(lines.len() > 40, "only {} streams", lines.len());
    lines
}

fn events_of(line: &Line) -> Vec<(A2AEvent, String)> {
    let version = version_of(&line.protocol);
    fixture(&line.file)
        .lines()
        .map(|json| (event_as(json, version), json.to_owned()))
        .collect()
}

#[test]
fn every_stream_is_written_as_it_was_read_and_is_in_order() {
    for line in spoken_streams() {
        let version = version_of(&line.protocol);
        let is_midway =
            line.tags.iter().any(|tag| tag.starts_with("follow-up")) || version == A2AVersion::V0_3;
        let mut order = if is_midway {
            TaskOrder::midway()
        } else {
            TaskOrder::default()
        };
        let events = events_of(&line);
        for (event, json) in &events {
            assert_eq!(
                value(&written_as(event, version)),
                value(json),
                "{}",
                line.file
            );
            assert_eq!(event.validate(), Ok(()), "{}", line.file);
            assert_eq!(order.check(event), Ok(()), "{}", line.file);
        }
        let is_interrupted = order.state().is_some_and(|state| state.is_interrupted());
        assert!(order.is_ended() || is_interrupted, "{}", line.file);
    }
}

#[test]
fn the_second_turn_of_a_task_follows_the_first() {
    let streams = spoken_streams();
    let mut n_moved = 0;
    for second in &streams {
        let Some((name, rest)) = second.file.split_once("turn2") else {
            continue;
        };
        let file = format!("{name}turn1{rest}");
        let first = streams.iter().find(|line| line.file == file).unwrap();
        let mut order = TaskOrder::default();
        for (event, _) in events_of(first) {
            assert_eq!(order.check(&event), Ok(()), "{file}");
        }
        let context_id = order.context_id().cloned();
        for (event, _) in events_of(second) {
            assert_eq!(order.check(&event), Ok(()), "{}", second.file);
        }
        assert!(order.is_ended(), "{}", second.file);
        // The official Python server names another context in each turn.
        n_moved += usize::from(order.context_id() != context_id.as_ref());
    }
    assert!(n_moved >= 6, "only {n_moved} turns in another context");
}

/// Takes away what says nothing, and what only one of two forms can say.
fn comparable(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            for flag in ["append", "lastChunk"] {
                if members.get(flag) == Some(&Value::Bool(false)) {
                    members.remove(flag);
                }
            }
            for list in ["artifacts", "history"] {
                if members
                    .get(list)
                    .and_then(Value::as_array)
                    .is_some_and(Vec::is_empty)
                {
                    members.remove(list);
                }
            }
            if members.contains_key("text") || members.contains_key("data") {
                members.remove("mediaType");
            }
            members
                .into_iter()
                .map(|(name, member)| (name, comparable(member)))
                .collect()
        }
        Value::Array(elements) => elements.into_iter().map(comparable).collect(),
        Value::String(text) => text.strip_suffix(".000Z").map_or_else(
            || Value::String(text.clone()),
            |seconds| Value::String(format!("{seconds}Z")),
        ),
        Value::Number(number) => Value::from(number.as_f64()),
        other => other,
    }
}

/// Checks that either form becomes the other.
fn check_pair(new: &str, old: &str) {
    for (from, to, from_version, to_version) in [
        (new, old, A2AVersion::V1_0, A2AVersion::V0_3),
        (old, new, A2AVersion::V0_3, A2AVersion::V1_0),
    ] {
        let converted = written_as(&event_as(from, from_version), to_version);
        assert_eq!(
            comparable(value(&converted)),
            comparable(value(to)),
            "{from}"
        );
    }
}

#[test]
fn every_event_that_is_there_in_both_versions_becomes_the_other() {
    let new = lines_of("v1.0-events-valid.jsonl");
    let mut n_pairs = 0;
    for old in lines_of("v0.3-events-valid.jsonl") {
        let twin = new.iter().find(|line| line.id == old.id);
        if let Some(new) = twin.filter(|_| old.source.contains("projected")) {
            check_pair(new.text(), old.text());
            n_pairs += 1;
        }
    }
    assert!(n_pairs > 20, "only {n_pairs} pairs");
}

#[test]
fn every_stream_that_is_there_in_both_versions_becomes_the_other() {
    let streams = spoken_streams();
    let mut n_pairs = 0;
    for old in streams
        .iter()
        .filter(|line| line.source.contains("projected"))
    {
        let new = streams
            .iter()
            .find(|line| line.id == old.id && line.protocol == "1.0")
            .unwrap();
        let (new, old) = (events_of(new), events_of(old));
        assert_eq!(new.len(), old.len());
        for ((_, new), (_, old)) in new.iter().zip(&old) {
            check_pair(new, old);
        }
        n_pairs += 1;
    }
    assert!(n_pairs > 5, "only {n_pairs} pairs");
}

#[test]
fn an_event_of_the_other_version_is_no_event_of_a_stream() {
    for line in lines_of("streams-invalid.jsonl") {
        let version = version_of(&line.protocol);
        let first_refused = line
            .payloads
            .iter()
            .position(|json| A2AEvent::from_json_as(json.as_str().as_bytes(), version).is_err());
        let expected = line.id.starts_with("mixed-versions").then_some(2);
        assert_eq!(first_refused, expected, "{}", line.id);
    }
}
