//! The envelope on the wire.

use serde_json::{Value, json};

use super::*;
use crate::agui::{AgUiEventBuilder, StepStarted};

fn check(event: &ContextEvent, expected_json: &Value) {
    let mut json = Vec::new();
    event.write_json(&mut json).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&json).unwrap(),
        *expected_json
    );
    assert_eq!(ContextEvent::from_json(&json).as_ref(), Ok(event));
    assert_eq!(
        serde_json::from_slice::<ContextEvent>(&json).unwrap(),
        *event
    );
}

#[test]
fn an_envelope_names_the_protocol_and_the_thread_if_known() {
    let step = AgUiEvent::from(StepStarted::new("plan"));
    let inner = json!({"type": "STEP_STARTED", "stepName": "plan"});
    check(
        &ContextEvent::AgUi(step.clone()),
        &json!({"protocol": "agui", "event": inner}),
    );
    check(
        &ContextEventBuilder::agui_in("t1", step),
        &json!({"protocol": "agui", "thread": "t1", "event": inner}),
    );
    let deleted = SystemEvent::ContextDeleted {
        timestamp: 5,
        context_id: "t1".into(),
    };
    check(
        &deleted.into(),
        &json!({
            "protocol": "system",
            "event": {"type": "CONTEXT_DELETED", "timestamp": 5, "contextId": "t1"},
        }),
    );
}

#[test]
fn an_envelope_answers_for_its_event() {
    let event = ContextEventBuilder::agui(AgUiEventBuilder::run_error("m", None));
    assert_eq!(
        (event.protocol(), event.event_type()),
        ("agui", "RUN_ERROR")
    );
    assert!(event.timestamp().is_some());
    assert_eq!(event.thread(), None);
    assert_eq!(ContextEventBuilder::heartbeat().event_type(), "HEARTBEAT");
}

#[test]
fn a_refusal_names_the_place_within_the_envelope() {
    for (json, text) in [
        (r#"{"event":{}}"#, "$.protocol: required, but missing"),
        (
            r#"{"protocol":"smtp","event":{}}"#,
            "$.protocol: unknown protocol `smtp`: expected agui, a2a, system",
        ),
        (
            r#"{"protocol":"agui","event":{"type":"RUN_ERROR"}}"#,
            "$.event.message: required, but missing",
        ),
        (
            r#"{"protocol":"agui","thread":null,"event":{"type":"RUN_ERROR","message":"m"}}"#,
            "$.thread: optional members are left out, never null",
        ),
    ] {
        assert_eq!(
            ContextEvent::from_json(json.as_bytes())
                .unwrap_err()
                .to_string(),
            text
        );
    }
}

#[test]
fn an_a2a_event_is_in_the_form_of_1_0_and_names_no_thread() {
    let task = json!({"task": {"id": "t", "contextId": "c", "status": {
        "state": "TASK_STATE_WORKING", "timestamp": "1970-01-01T00:00:00.005Z",
    }}});
    let event: A2AEvent = serde_json::from_value(task.clone()).unwrap();
    let enveloped = ContextEventBuilder::a2a(event);
    check(&enveloped, &json!({"protocol": "a2a", "event": task}));
    assert_eq!(
        (enveloped.protocol(), enveloped.event_type()),
        ("a2a", "task")
    );
    assert_eq!((enveloped.timestamp(), enveloped.thread()), (Some(5), None));
    let error = ContextEvent::from_json(br#"{"protocol":"a2a","event":{"task":{"id":"t"}}}"#);
    assert_eq!(
        error.unwrap_err().to_string(),
        "$.event.task.status: required, but missing"
    );
}
