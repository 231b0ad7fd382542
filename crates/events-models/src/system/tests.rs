//! The wire form of every system event.

use serde_json::{Value, json};

use super::*;

fn check(event: &SystemEvent, expected_json: &Value) {
    let json = serde_json::to_vec(event).unwrap();
    let mut read_back = serde_json::from_slice::<Value>(&json).unwrap();
    assert_eq!(read_back["timestamp"], event.timestamp());
    assert_eq!(read_back["type"], event.event_type().as_str());
    assert_eq!(SystemEvent::from_json(&json).as_ref(), Ok(event));
    read_back.as_object_mut().unwrap().remove("timestamp");
    assert_eq!(read_back, *expected_json);
}

#[test]
fn every_system_event_has_its_json() {
    let id = || ContextId::new("t1");
    check(
        &SystemEventBuilder::context_created(id(), "Soup"),
        &json!({"type": "CONTEXT_CREATED", "contextId": "t1", "name": "Soup"}),
    );
    check(
        &SystemEventBuilder::context_updated(id(), None),
        &json!({"type": "CONTEXT_UPDATED", "contextId": "t1"}),
    );
    check(
        &SystemEventBuilder::context_deleted(id()),
        &json!({"type": "CONTEXT_DELETED", "contextId": "t1"}),
    );
    let mut summary = ContextSummary::new("t1", "Soup");
    summary.message_count = Some(4);
    check(
        &SystemEventBuilder::contexts_snapshot(vec![summary]),
        &json!({
            "type": "CONTEXTS_SNAPSHOT",
            "contexts": [{"contextId": "t1", "name": "Soup", "messageCount": 4}],
        }),
    );
    check(
        &SystemEventBuilder::connected("c1"),
        &json!({"type": "CONNECTED", "connectionId": "c1"}),
    );
    check(
        &SystemEventBuilder::heartbeat(),
        &json!({"type": "HEARTBEAT"}),
    );
}

#[test]
fn a_system_event_is_read_strictly_and_undescribed_members_are_left_aside() {
    for (json, text) in [
        (
            r#"{"type":"HEARTBEAT"}"#,
            "$.timestamp: required, but missing",
        ),
        (
            r#"{"type":"HEARTBEAT","timestamp":"2026-11-21T10:00:00Z"}"#,
            "$.timestamp: expected an integer, found a string",
        ),
        (
            r#"{"type":"heartbeat","timestamp":1}"#,
            "$.type: unknown type `heartbeat`: it is spelled `HEARTBEAT`",
        ),
        (
            r#"{"type":"CONTEXT_CREATED","timestamp":1,"context_id":"t","name":"n"}"#,
            "$.contextId: required, but missing (found `context_id`: wire names are camelCase)",
        ),
    ] {
        assert_eq!(
            SystemEvent::from_json(json.as_bytes())
                .unwrap_err()
                .to_string(),
            text
        );
    }
    assert!(SystemEvent::from_json(b"{").unwrap_err().is_syntax());
    assert_eq!(
        SystemEvent::from_json(br#"{"type":"HEARTBEAT","timestamp":1,"seq":4}"#),
        Ok(SystemEvent::Heartbeat { timestamp: 1 })
    );
}
