//! Events that are built in Rust.

use events_core::{ContextId, ManualClock, TaskId};
use serde_json::{Value, json};

use super::{value, written_as};
use crate::{
    A2AEvent, A2AEventBuilder as Make,
    a2a::{A2AVersion, Artifact, Message, Part, PartContent, Role, Task, TaskState, TaskStatus},
};

fn ids() -> (TaskId, ContextId) {
    ("t".into(), "c".into())
}

/// Checks the JSON of an event at a fixed time; its message's id is only required to be there.
fn check(event: A2AEvent, expected_json: &Value) {
    assert_eq!(event.validate(), Ok(()));
    let event = Make::stamp(&ManualClock::new(1_795_248_000_000), event);
    let mut found = value(&written_as(&event, A2AVersion::V1_0));
    for path in [
        "/statusUpdate/status/message/messageId",
        "/task/history/0/messageId",
    ] {
        if let Some(Value::String(id)) = found.pointer_mut(path)
            && id.starts_with("msg-")
        {
            assert_eq!(id.len(), 36, "{id}");
            *id = "*".to_owned();
        }
    }
    assert_eq!(found, *expected_json);
}

fn status(state: &str, message: Option<(&str, Value)>) -> Value {
    let mut status = json!({"state": state, "timestamp": "2026-11-21T08:00:00.000Z"});
    if let Some((message_id, part)) = message {
        status["message"] = json!({
            "messageId": message_id, "role": "ROLE_AGENT", "parts": [part], "taskId": "t", "contextId": "c",
        });
    }
    json!({"statusUpdate": {"taskId": "t", "contextId": "c", "status": status}})
}

#[test]
fn the_nine_events_of_the_reference_become_official_objects() {
    let (t, c) = ids();
    check(
        Make::task_submitted(t, c, "cook", Some(json!("Soup?"))),
        &json!({"task": {
            "id": "t", "contextId": "c",
            "status": {"state": "TASK_STATE_SUBMITTED", "timestamp": "2026-11-21T08:00:00.000Z"},
            "history": [{"messageId": "*", "role": "ROLE_USER", "parts": [{"text": "Soup?"}], "taskId": "t", "contextId": "c"}],
            "metadata": {"agentName": "cook"},
        }}),
    );
    let (t, c) = ids();
    check(
        Make::task_status_update(t, c, TaskState::Completed, None),
        &status("TASK_STATE_COMPLETED", None),
    );
    let (t, c) = ids();
    check(
        Make::task_status_update(t, c, TaskState::Working, Some("Reading".to_owned())),
        &status(
            "TASK_STATE_WORKING",
            Some(("*", json!({"text": "Reading"}))),
        ),
    );
    let (t, c) = ids();
    check(
        Make::artifact_created(t, c, Artifact::new("a", vec![Part::data(json!([1]))])),
        &json!({"artifactUpdate": {
            "taskId": "t", "contextId": "c", "artifact": {"artifactId": "a", "parts": [{"data": [1]}]},
        }}),
    );
    let (t, c) = ids();
    check(
        Make::agent_message(t, c, "m1", "Almost"),
        &status(
            "TASK_STATE_WORKING",
            Some(("m1", json!({"text": "Almost"}))),
        ),
    );
    let (t, c) = ids();
    check(
        Make::input_required(t, c, "Which one?"),
        &status(
            "TASK_STATE_INPUT_REQUIRED",
            Some(("*", json!({"text": "Which one?"}))),
        ),
    );
    let (t, c) = ids();
    let url =
        json!({"data": {"authUrl": "https://id.example.com"}, "mediaType": "application/json"});
    check(
        Make::auth_required(t, c, "https://id.example.com"),
        &status("TASK_STATE_AUTH_REQUIRED", Some(("*", url))),
    );
    let (t, c) = ids();
    let mut failed = status("TASK_STATE_FAILED", Some(("*", json!({"text": "boom"}))));
    failed["statusUpdate"]["metadata"] = json!({"error": {"code": -32603, "data": [1]}});
    check(
        Make::json_rpc_error(t, c, -32603, "boom", Some(json!([1]))),
        &failed,
    );
}

#[test]
fn a_piece_of_an_artifact_always_has_a_part() {
    for (append, last_chunk, content, expected_json) in [
        (
            true,
            false,
            Some(json!("more")),
            json!({"parts": [{"text": "more"}], "append": true}),
        ),
        (
            false,
            true,
            Some(json!({"n": 1})),
            json!({"parts": [{"data": {"n": 1}}], "lastChunk": true}),
        ),
        (
            false,
            true,
            None,
            json!({"parts": [{"text": ""}], "append": true, "lastChunk": true}),
        ),
    ] {
        let (t, c) = ids();
        let event = Make::artifact_updated(t, c, "a", append, last_chunk, content);
        let mut expected = json!({"artifactUpdate": expected_json});
        let parts = expected["artifactUpdate"]["parts"].take();
        let update = expected["artifactUpdate"].as_object_mut().unwrap();
        update.remove("parts");
        update.insert("taskId".to_owned(), json!("t"));
        update.insert("contextId".to_owned(), json!("c"));
        update.insert(
            "artifact".to_owned(),
            json!({"artifactId": "a", "parts": parts}),
        );
        check(event, &expected);
    }
}

#[test]
fn the_result_of_an_answer_is_an_event_if_it_is_one() {
    let task = json!({"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}});
    for result in [
        json!({"task": task}),
        task,
        json!({"kind": "task", "id": "t", "contextId": "c", "status": {"state": "working"}}),
    ] {
        let event = Make::json_rpc_response(&result).unwrap();
        assert_eq!(event.state(), Some(TaskState::Working));
        assert_eq!(event.timestamp(), None);
    }
    for result in [json!(null), json!({}), json!("ok"), json!({"status": 5})] {
        assert!(Make::json_rpc_response(&result).is_err());
    }
}

#[test]
fn a_message_id_is_made_of_what_is_said() {
    let id = |task: &str, state, text: &str| {
        let event = Make::task_status_update(task.into(), "c".into(), state, Some(text.to_owned()));
        event.status().unwrap().message.clone().unwrap().message_id
    };
    // This very id may be in somebody's log.
    assert_eq!(
        id("t", TaskState::Working, "a").as_str(),
        "msg-74f38526a93f67c4ad344896ea69b637"
    );
    let ids = [
        id("t", TaskState::Working, "a"),
        id("u", TaskState::Working, "a"),
        id("t", TaskState::Submitted, "a"),
        id("t", TaskState::Working, "b"),
    ];
    assert_eq!(
        ids.iter().collect::<std::collections::HashSet<_>>().len(),
        4
    );
}

#[test]
fn only_what_has_a_status_is_stamped() {
    let (t, c) = ids();
    let stamped = Make::stamp(
        &ManualClock::new(42),
        Task::new(t, c, TaskStatus::new(TaskState::Working)),
    );
    assert_eq!(stamped.timestamp(), Some(42));
    let message = Message::new("m", Role::Agent, vec![Part::text("x")]);
    let message = Make::stamp(&ManualClock::new(42), message);
    assert_eq!((message.timestamp(), message.task_id()), (None, None));
    let (t, c) = ids();
    let now = Make::input_required(t, c, "?").timestamp().unwrap();
    assert!(now > 1_600_000_000_000, "{now} is not in milliseconds");
}

#[test]
fn what_is_built_in_rust_is_validated() {
    let check = |event: A2AEvent, path: &str, word: &str| {
        let error = event.validate().unwrap_err();
        assert_eq!(error.path, path);
        assert!(error.reason.contains(word), "{error}");
    };
    let message = |part| Message::new("m", Role::User, vec![part]);
    check(
        Message::new("m", Role::User, vec![]).into(),
        "$.message.parts",
        "empty",
    );
    check(
        Message::new("", Role::User, vec![Part::text("")]).into(),
        "$.message.messageId",
        "empty",
    );
    check(
        message(Part::raw("-_")).into(),
        "$.message.parts[0].raw",
        "base64",
    );
    let (t, c) = ids();
    check(
        Task::new(t, c, TaskStatus::new(TaskState::Unknown)).into(),
        "$.task.status.state",
        "unspecified",
    );
    let (t, c) = ids();
    let mut nested = Task::new(t, c, TaskStatus::new(TaskState::Working));
    nested.history = Some(vec![
        message(Part::text("x")),
        message(PartContent::Raw("?".to_owned()).into()),
    ]);
    check(nested.into(), "$.task.history[1].parts[0].raw", "base64");
}

#[test]
fn a_task_without_context_names_an_empty_one_in_0_3() {
    let mut task = Task::new("t", None, TaskStatus::new(TaskState::Working));
    let json = r#"{"kind":"task","id":"t","status":{"state":"working"},"contextId":""}"#;
    assert_eq!(written_as(&task.clone().into(), A2AVersion::V0_3), json);
    task.context_id = Some("c".into());
    assert_eq!(A2AEvent::from(task).context_id(), Some(&"c".into()));
}
