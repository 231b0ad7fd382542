//! What is read although it is not written so, and what is kept.

use super::{check_refused, event, event_as, value, written_as};
use crate::{
    A2AEvent, ContextEvent,
    a2a::{A2AVersion, Part, Task, TaskState},
};

/// Checks that a 1.0 text is read, and written as another.
fn check_written(json: &str, expected: &str) {
    assert_eq!(written_as(&event(json), A2AVersion::V1_0), expected);
}

fn with_part(part: &str) -> String {
    format!(r#"{{"message":{{"messageId":"m","role":"ROLE_USER","parts":[{part}]}}}}"#)
}

#[test]
fn what_proto_json_may_write_otherwise_is_read() {
    check_written(
        r#"{"status_update":{"task_id":"t","context_id":"c","status":{"state":6,"message":{"message_id":"m","role":2,"parts":[{"text":"x","media_type":"a/b"}],"reference_task_ids":["r"]},"timestamp":"2026-11-21T10:00:00+02:00"},"metadata":null}}"#,
        r#"{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_INPUT_REQUIRED","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"x","mediaType":"a/b"}],"referenceTaskIds":["r"]},"timestamp":"2026-11-21T08:00:00Z"}}}"#,
    );
    check_written(
        r#"{"task":null,"message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":null,"raw":"-_-_AA"}],"taskId":null},"kind":"message"}"#,
        r#"{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"raw":"+/+/AA=="}]}}"#,
    );
    check_refused(
        &with_part(r#"{"text":"x","media__type":1,"mediatype":2,"data":null}"#),
        A2AVersion::V1_0,
        "$.message.parts[0]",
        "both",
    );
    for number in ["0", "9", "-1", "1.5"] {
        let json = format!(r#"{{"task":{{"id":"t","status":{{"state":{number}}}}}}}"#);
        check_refused(&json, A2AVersion::V1_0, "$.task.status.state", "un");
    }
}

#[test]
fn null_is_data_and_nothing_elsewhere() {
    let json = with_part(r#"{"data":null}"#);
    check_written(&json, &json);
    check_refused(
        &with_part(r#"{"text":null}"#),
        A2AVersion::V1_0,
        "$.message.parts[0]",
        "one member",
    );
    check_refused(
        r#"{"message":{"messageId":null,"role":"ROLE_USER","parts":[]}}"#,
        A2AVersion::V1_0,
        "$.message.messageId",
        "missing",
    );
}

#[test]
fn base64_is_read_in_its_usual_variants() {
    for (raw, written) in [
        ("", ""),
        ("AA==", "AA=="),
        ("AA", "AA=="),
        ("AAA", "AAA="),
        ("_-A=", "/+A="),
        ("AAAA", "AAAA"),
    ] {
        check_written(
            &with_part(&format!(r#"{{"raw":"{raw}"}}"#)),
            &with_part(&format!(r#"{{"raw":"{written}"}}"#)),
        );
    }
    for raw in ["A", "AAAAA", "AA=", "AA=A", "A===", "AAAA=", "AA==\\n", "ä"] {
        let accepted = raw == "AA=";
        let json = with_part(&format!(r#"{{"raw":"{raw}"}}"#));
        assert_eq!(
            A2AEvent::from_json(json.as_bytes()).is_ok(),
            accepted,
            "{raw}"
        );
    }
}

#[test]
fn open_data_keeps_every_digit_and_loses_only_line_breaks() {
    let json = with_part(
        r#"{"data":{"big":123456789012345678901234567890,"exact":0.10000000000000000001},"metadata":{"n":9007199254740993}}"#,
    );
    check_written(&json, &json);
    let old = written_as(&event(&json), A2AVersion::V0_3);
    assert!(old.contains("123456789012345678901234567890") && old.contains("9007199254740993"));
    check_written(
        &with_part("{\"data\":[1,\n 2],\r\n \"metadata\":{\n}}"),
        &with_part(r#"{"data":[1,2],"metadata":{}}"#),
    );
}

#[test]
fn the_last_of_repeated_members_counts() {
    check_written(
        r#"{"task":{"id":"a","contextId":"c","status":{"state":1},"id":"b","context_id":"d"}}"#,
        r#"{"task":{"id":"b","contextId":"d","status":{"state":"TASK_STATE_SUBMITTED"}}}"#,
    );
}

#[test]
fn what_1_0_demands_to_be_set_is_not_empty() {
    for (json, path) in [
        (r#"{"task":{"id":"","status":{"state":1}}}"#, "$.task.id"),
        (
            r#"{"message":{"messageId":"","role":1,"parts":[{"text":""}]}}"#,
            "$.message.messageId",
        ),
        (
            r#"{"artifactUpdate":{"taskId":"t","contextId":"c","artifact":{"artifactId":"","parts":[{"text":""}]}}}"#,
            "$.artifactUpdate.artifact.artifactId",
        ),
        (
            r#"{"statusUpdate":{"taskId":"t","contextId":"","status":{"state":1}}}"#,
            "$.statusUpdate.contextId",
        ),
        (
            r#"{"task":{"id":"t","status":{"state":"TASK_STATE_UNSPECIFIED"}}}"#,
            "$.task.status.state",
        ),
    ] {
        check_refused(json, A2AVersion::V1_0, path, "empty or unspecified");
    }
    let unnamed = event(r#"{"task":{"id":"t","contextId":"","status":{"state":1}}}"#);
    assert_eq!(unnamed.context_id(), None);
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let task = |depth| {
        let data = nested(depth);
        format!(
            r#"{{"task":{{"id":"t","status":{{"state":1,"message":{{"messageId":"m","role":1,"parts":[{{"data":{data}}}]}}}}}}}}"#
        )
    };
    let deepest = event(&task(118));
    let old = written_as(&deepest, A2AVersion::V0_3);
    assert_eq!(event_as(&old, A2AVersion::V0_3), deepest);
    value(&old);
    value(&serde_json::to_string(&ContextEvent::from(deepest)).unwrap());
    let path = "$.task.status.message.parts[0].data";
    check_refused(&task(119), A2AVersion::V1_0, path, "deep");
    check_refused(&task(100_000), A2AVersion::V1_0, path, "deep");
    check_refused(
        &format!(
            r#"{{"task":{{"id":"t","status":{{"state":1}},"x":{}}}}}"#,
            nested(100_000)
        ),
        A2AVersion::V1_0,
        "$.task.x",
        "deep",
    );
}

#[test]
fn data_of_0_3_that_only_looks_wrapped_stays_as_it_is() {
    let with = |data: &str, metadata: &str| {
        format!(
            r#"{{"kind":"message","messageId":"m","role":"user","parts":[{{"kind":"data","data":{data},"metadata":{metadata}}}]}}"#
        )
    };
    for (data, metadata) in [
        (r#"{"value":1}"#, r#"{"data_part_compat":false}"#),
        (r#"{"value":1,"x":2}"#, r#"{"data_part_compat":true}"#),
        (r#"{"value":{"x":2}}"#, r#"{"data_part_compat":true}"#),
        (r#"{"other":1}"#, r#"{"data_part_compat":true}"#),
        (
            r#"{"value":[1]}"#,
            r#"{"data_part_compat":true,"a\"b":12345678901234567890123}"#,
        ),
        (r#"{"value":null}"#, r#"{"data_part_compat":true}"#),
    ] {
        let json = with(data, metadata);
        let read = event_as(&json, A2AVersion::V0_3);
        assert_eq!(value(&written_as(&read, A2AVersion::V0_3)), value(&json));
    }
    let wrapped = event_as(
        &with(r#"{"value":[1]}"#, r#"{"data_part_compat":true,"n":1}"#),
        A2AVersion::V0_3,
    );
    assert_eq!(
        written_as(&wrapped, A2AVersion::V1_0),
        with_part(r#"{"data":[1],"metadata":{"n":1}}"#)
    );
}

#[test]
fn final_of_0_3_is_kept_where_the_state_does_not_say_it() {
    let with = |state: &str, is_final: bool| {
        format!(
            r#"{{"kind":"status-update","taskId":"t","contextId":"c","status":{{"state":"{state}"}},"final":{is_final}}}"#
        )
    };
    for (state, is_final, kept) in [
        ("working", false, None),
        ("input-required", true, Some(true)),
        ("completed", true, None),
        ("completed", false, Some(false)),
    ] {
        let json = with(state, is_final);
        let A2AEvent::StatusUpdate(update) = event_as(&json, A2AVersion::V0_3) else {
            panic!("{json} is another event");
        };
        assert_eq!((update.is_final, update.ends_stream()), (kept, is_final));
        assert_eq!(written_as(&update.into(), A2AVersion::V0_3), json);
    }
}

#[test]
fn a_file_of_0_3_with_bytes_and_address_is_its_bytes() {
    let json = r#"{"kind":"message","messageId":"m","role":"user","parts":[{"kind":"file","file":{"bytes":"AAEC","uri":"https://e.example.com"}}]}"#;
    let A2AEvent::Message(message) = event_as(json, A2AVersion::V0_3) else {
        panic!("{json} is another event");
    };
    assert_eq!(message.parts, [Part::raw("AAEC")]);
    check_refused(
        &json.replace(r#""bytes":"AAEC","uri""#, r#""url""#),
        A2AVersion::V0_3,
        "$.parts[0].file",
        "bytes, uri",
    );
}

#[test]
fn the_structs_are_the_form_of_1_0_to_serde() {
    let json = r#"{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}"#;
    let task: Task = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&task).unwrap(), json);
    let state: TaskState = serde_json::from_str("\"TASK_STATE_FAILED\"").unwrap();
    assert_eq!(state, TaskState::Failed);
    let error = serde_json::from_str::<Task>("{}").unwrap_err().to_string();
    assert!(error.starts_with("$.id: required, but missing"), "{error}");
}

#[test]
fn what_is_in_neither_form_is_told_apart_from_what_is_no_json() {
    for json in ["", "[DONE]", "{", "{\"task\":1} {}", "\u{feff}{}"] {
        assert!(
            A2AEvent::from_json(json.as_bytes())
                .unwrap_err()
                .is_syntax()
        );
        assert_eq!(A2AVersion::detect(json.as_bytes()), None);
    }
    assert!(
        A2AEvent::from_json(b"{\"task\":\"\xff\"}")
            .unwrap_err()
            .is_syntax()
    );
    for json in ["null", "[]", "{}", "7"] {
        let error = A2AEvent::from_json_any(json.as_bytes()).unwrap_err();
        assert_eq!(
            (error.path.as_str(), error.is_syntax()),
            ("$", false),
            "{error}"
        );
    }
}
