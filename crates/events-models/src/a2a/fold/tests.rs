//! What official servers make of the same events, at every cut, and what is bounded.

use std::path::PathBuf;

use events_core::Fold;
use serde_json::{Value, json};

use super::*;
use crate::a2a::{A2AEvent, A2AVersion, Task, TaskState};

fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/a2a");
    std::fs::read_to_string(PathBuf::from(folder).join(name)).expect("it is in the repository")
}

/// The whole streams, in the order of their files: a second turn comes after its first.
pub(in crate::a2a) fn streams() -> Vec<(String, Vec<A2AEvent>)> {
    let mut streams = Vec::new();
    for line in fixture("streams/index.jsonl").lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let version = match (line["protocol"].as_str(), line["binding"].as_str()) {
            (Some("1.0"), _) => A2AVersion::V1_0,
            (_, Some("jsonrpc")) => A2AVersion::V0_3,
            _ => continue,
        };
        let file = line["file"].as_str().expect("a file").to_owned();
        let read = |json: &str| A2AEvent::from_json_as(json.as_bytes(), version).expect("legal");
        let mut events: Vec<_> = fixture(&file).lines().map(read).collect();
        let first_turn = file.replace("turn-2-completed", "turn-1-input-required");
        let first_turn = first_turn.replace("turn2", "turn1");
        if first_turn != file {
            let before = fixture(&first_turn);
            events.splice(0..0, before.lines().map(read));
        }
        streams.push((file, events));
    }
    assert!(streams.len() > 40, "only {} streams", streams.len());
    streams
}

fn folded(events: impl IntoIterator<Item = A2AEvent>) -> TaskFold {
    let mut fold = TaskFold::midway();
    for event in events {
        fold.apply(event).expect("in order");
    }
    fold
}

fn told(events: &[Value]) -> Value {
    let events = events
        .iter()
        .map(|event| A2AEvent::from_json(event.to_string().as_bytes()).expect("legal"));
    serde_json::to_value(folded(events).content().task().expect("a task")).expect("JSON")
}

fn status(state: &str, message: Option<&str>) -> Value {
    let mut status = json!({ "state": format!("TASK_STATE_{state}") });
    if let Some(id) = message {
        status["message"] =
            json!({ "messageId": id, "role": "ROLE_AGENT", "parts": [{ "text": id }] });
    }
    json!({ "statusUpdate": { "taskId": "t", "contextId": "c", "status": status } })
}

fn artifact(append: bool, artifact: &Value) -> Value {
    json!({ "artifactUpdate": {
        "taskId": "t", "contextId": "c", "append": append, "artifact": artifact,
    } })
}

#[test]
fn the_task_at_any_cut_and_what_follows_lead_to_what_the_whole_leads_to() {
    for (file, events) in streams() {
        let whole = folded(events.iter().cloned());
        for cut in 0..=events.len() {
            let joined = folded(events[..cut].iter().cloned()).prelude();
            let late = folded(joined.into_iter().chain(events[cut..].iter().cloned()));
            assert_eq!(
                late.content().task(),
                whole.content().task(),
                "{file} at {cut}"
            );
            assert_eq!(late.prelude(), whole.prelude(), "{file} at {cut}");
        }
    }
}

#[test]
fn what_a_task_takes_is_known_within_a_few_bytes_of_its_json() {
    for (file, events) in streams() {
        let mut fold = TaskFold::midway();
        for event in events {
            fold.apply(event).expect("in order");
            let content = fold.content();
            let json = match fold.prelude().first() {
                Some(A2AEvent::Task(task)) => serde_json::to_vec(task),
                Some(A2AEvent::Message(message)) => serde_json::to_vec(message),
                _ => panic!("{file}: nothing told"),
            };
            let (n_bytes, known) = (json.expect("JSON").len(), content.json_bytes());
            let n_parts = content.task().map_or(0, |task| {
                task.artifacts
                    .iter()
                    .flatten()
                    .map(|made| made.parts.len())
                    .sum()
            });
            let slack = 64 + n_parts * 4;
            assert!(
                n_bytes.abs_diff(known) < slack,
                "{file}: {known} for {n_bytes}"
            );
        }
    }
}

#[test]
fn artifacts_are_created_replaced_and_continued() {
    let task = told(&[
        status("WORKING", None),
        artifact(
            false,
            &json!({ "artifactId": "a", "name": "old", "parts": [{ "text": "1" }], "metadata": { "x": 1, "y": 1 }, "own": 1 }),
        ),
        artifact(
            false,
            &json!({ "artifactId": "b", "parts": [{ "text": "b" }] }),
        ),
        artifact(
            true,
            &json!({ "artifactId": "a", "name": "new", "parts": [{ "data": 9_007_199_254_740_993_u64 }], "metadata": { "y": 2 }, "more": [2] }),
        ),
        artifact(
            false,
            &json!({ "artifactId": "b", "parts": [{ "text": "B" }] }),
        ),
        artifact(
            true,
            &json!({ "artifactId": "unseen", "parts": [{ "text": "end" }] }),
        ),
    ]);
    assert_eq!(
        task["artifacts"],
        json!([
            { "artifactId": "a", "name": "new", "parts": [{ "text": "1" }, { "data": 9_007_199_254_740_993_u64 }],
              "metadata": { "x": 1, "y": 2 }, "own": 1, "more": [2] },
            { "artifactId": "b", "parts": [{ "text": "B" }] },
            { "artifactId": "unseen", "parts": [{ "text": "end" }] },
        ])
    );
}

#[test]
fn the_message_of_a_replaced_status_goes_to_the_history_once() {
    let task = told(&[
        json!({ "task": { "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_SUBMITTED" },
            "history": [{ "messageId": "q", "role": "ROLE_USER", "parts": [{ "text": "q" }] }] } }),
        status("WORKING", Some("m1")),
        status("WORKING", Some("m2")),
        status("WORKING", Some("m1")),
        status("COMPLETED", None),
    ]);
    let ids = task["history"].as_array().expect("said");
    let ids: Vec<_> = ids.iter().map(|said| &said["messageId"]).collect();
    assert_eq!(ids, ["q", "m1", "m2"]);
    assert_eq!(task["status"], json!({ "state": "TASK_STATE_COMPLETED" }));
}

#[test]
fn metadata_of_updates_is_added_and_a_task_states_everything_anew() {
    let mut first = status("WORKING", None);
    first["statusUpdate"]["metadata"] = json!({ "a": 1, "b": 1 });
    let mut second = artifact(
        false,
        &json!({ "artifactId": "a", "parts": [{ "text": "1" }] }),
    );
    second["artifactUpdate"]["metadata"] = json!({ "b": 2 });
    let events = [first, second];
    assert_eq!(told(&events)["metadata"], json!({ "a": 1, "b": 2 }));
    let anew = json!({ "id": "t", "status": { "state": "TASK_STATE_WORKING" } });
    let task = told(&[
        events[0].clone(),
        events[1].clone(),
        json!({ "task": anew }),
    ]);
    let expected =
        json!({ "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_WORKING" } });
    assert_eq!(task, expected, "but it stays in its conversation");
}

#[test]
fn a_task_that_is_too_large_keeps_its_state_until_it_is_told_anew() {
    let mut content = TaskContent::with_max_bytes(2_000);
    let take = |content: &mut TaskContent, event: &Value| {
        content.take(A2AEvent::from_json(event.to_string().as_bytes()).expect("legal"));
    };
    take(&mut content, &status("WORKING", None));
    let piece = artifact(
        true,
        &json!({ "artifactId": "a", "parts": [{ "text": "x".repeat(300) }] }),
    );
    for _ in 0..6 {
        take(&mut content, &piece);
        assert!(!content.is_too_large());
    }
    take(&mut content, &piece);
    assert!(content.is_too_large() && content.prelude().is_none());
    assert!(content.json_bytes() < 200 && content.size() < 400);
    take(&mut content, &piece);
    take(&mut content, &status("INPUT_REQUIRED", Some("m")));
    assert_eq!(content.state(), Some(TaskState::InputRequired));
    let anew = json!({ "task": { "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_WORKING" } } });
    take(&mut content, &anew);
    assert!(!content.is_too_large());
    assert!(content.task().is_some_and(|task| task.artifacts.is_none()));
}

#[test]
fn a_message_that_answers_is_told_and_is_no_task() {
    let message = json!({ "message": { "messageId": "m", "taskId": "t", "role": "ROLE_AGENT", "parts": [{ "text": "hi" }] } });
    let event = A2AEvent::from_json(message.to_string().as_bytes()).expect("legal");
    let fold = folded([event.clone()]);
    assert_eq!(fold.prelude(), [event]);
    assert_eq!(fold.content().task(), None::<&Task>);
}
