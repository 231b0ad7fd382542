//! What each kind of event leads to.

mod bounds;
mod telling;

use events_core::Fold;
use serde_json::{Value, json};

use super::{ThreadFold, ThreadStatus};
use crate::{AgUiEvent, agui::tests::event};

const START: &str = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;
const FINISH: &str = r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r"}"#;

/// Folds a run that begins with START.
fn run(lines: &[&str]) -> ThreadFold {
    let mut fold = ThreadFold::default();
    for line in std::iter::once(&START).chain(lines) {
        fold.apply(event(line)).unwrap();
    }
    fold
}

fn json_of(events: &[AgUiEvent]) -> Vec<Value> {
    let json = |event| serde_json::to_value(event).unwrap();
    events.iter().map(json).collect()
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the value is written where it is passed"
)]
fn check_messages(lines: &[&str], expected: Value) {
    let messages = run(lines).content().messages();
    assert_eq!(serde_json::to_value(messages).unwrap(), expected);
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the value is written where it is passed"
)]
fn check_state(lines: &[&str], expected: Option<Value>) {
    let state = run(lines).content().state();
    assert_eq!(state.map(|state| state.to_value().unwrap()), expected);
}

#[test]
fn text_appends_to_what_its_start_makes() {
    check_messages(
        &[
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m","role":"system","name":"n","metadata":{"a":1,"b":1}}"#,
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"Hel"}"#,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"o","subagentRunId":"s"}"#,
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"lo","metadata":{"b":{"c":null}}}"#,
            r#"{"type":"TEXT_MESSAGE_END","messageId":"m","metadata":{"d":1}}"#,
        ],
        json!([
            {"id": "m", "role": "system", "name": "n", "content": "Hello",
             "metadata": {"a": 1, "b": {"c": null}, "d": 1}},
            {"id": "o", "role": "assistant", "content": "", "subagentRunId": "s"},
        ]),
    );
}

#[test]
fn a_message_may_be_opened_again_and_grows() {
    check_messages(
        &[
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m","role":"user"}"#,
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a"}"#,
            r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m","role":"assistant","name":"late"}"#,
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"b"}"#,
        ],
        json!([{"id": "m", "role": "user", "content": "ab"}]),
    );
}

#[test]
fn a_call_goes_to_its_parent_or_makes_a_message() {
    check_messages(
        &[
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"u","role":"user"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c1","toolCallName":"f","parentMessageId":"m","metadata":{"k":1}}"#,
            r#"{"type":"TOOL_CALL_ARGS","toolCallId":"c1","delta":"{\"a\":"}"#,
            r#"{"type":"TOOL_CALL_ARGS","toolCallId":"c1","delta":"1}","metadata":{"l":1}}"#,
            r#"{"type":"TOOL_CALL_END","toolCallId":"c1","metadata":{"k":2}}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c2","toolCallName":"f","parentMessageId":"new","subagentRunId":"s"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c3","toolCallName":"f","parentMessageId":"u"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c4","toolCallName":"f","parentMessageId":""}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c1","toolCallName":"g"}"#,
        ],
        json!([
            {"id": "m", "role": "assistant", "content": "", "toolCalls": [
                {"id": "c1", "type": "function", "function": {"name": "g", "arguments": "{\"a\":1}"},
                 "metadata": {"k": 2, "l": 1}}]},
            {"id": "u", "role": "user", "content": ""},
            {"id": "new", "role": "assistant", "subagentRunId": "s", "toolCalls": [
                {"id": "c2", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            {"id": "c3", "role": "assistant", "toolCalls": [
                {"id": "c3", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            {"id": "c4", "role": "assistant", "toolCalls": [
                {"id": "c4", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        ]),
    );
}

#[test]
fn an_answer_stands_behind_its_call_and_the_answers_before_it() {
    check_messages(
        &[
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m"}"#,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"later"}"#,
            r#"{"type":"TOOL_CALL_RESULT","messageId":"t1","toolCallId":"c","content":"1","metadata":{"k":1}}"#,
            r#"{"type":"TOOL_CALL_RESULT","messageId":"t2","toolCallId":"c","content":[{"type":"text","text":"2"}]}"#,
            r#"{"type":"TOOL_CALL_RESULT","messageId":"t3","toolCallId":"unknown","content":"3","subagentRunId":"s"}"#,
        ],
        json!([
            {"id": "m", "role": "assistant", "toolCalls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            {"id": "t1", "role": "tool", "toolCallId": "c", "content": "1", "metadata": {"k": 1}},
            {"id": "t2", "role": "tool", "toolCallId": "c", "content": [{"type": "text", "text": "2"}]},
            {"id": "later", "role": "assistant", "content": ""},
            {"id": "t3", "role": "tool", "toolCallId": "unknown", "content": "3", "subagentRunId": "s"},
        ]),
    );
}

#[test]
fn reasoning_is_a_message_and_spans_are_none() {
    check_messages(
        &[
            r#"{"type":"REASONING_START","messageId":"span"}"#,
            r#"{"type":"REASONING_MESSAGE_START","messageId":"t","role":"reasoning","subagentRunId":"s"}"#,
            r#"{"type":"REASONING_MESSAGE_CONTENT","messageId":"t","delta":"hm"}"#,
            r#"{"type":"REASONING_MESSAGE_END","messageId":"t","metadata":{"k":1}}"#,
            r#"{"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"t","encryptedValue":"x"}"#,
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
            r#"{"type":"REASONING_ENCRYPTED_VALUE","subtype":"tool-call","entityId":"c","encryptedValue":"y"}"#,
            r#"{"type":"REASONING_ENCRYPTED_VALUE","subtype":"tool-call","entityId":"nobody","encryptedValue":"z"}"#,
            r#"{"type":"REASONING_END","messageId":"span"}"#,
        ],
        json!([
            {"id": "t", "role": "reasoning", "content": "hm", "subagentRunId": "s",
             "metadata": {"k": 1}, "encryptedValue": "x"},
            {"id": "c", "role": "assistant", "toolCalls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""},
                 "encryptedValue": "y"}]},
        ]),
    );
}

#[test]
fn activities_are_stated_kept_and_patched() {
    check_messages(
        &[
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"P","content":{"n":1},"metadata":{"k":1}}"#,
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"X","content":{},"replace":false}"#,
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"Q","content":{"n":2},"subagentRunId":"s"}"#,
            r#"{"type":"ACTIVITY_DELTA","messageId":"a","activityType":"R","patch":[{"op":"add","path":"/l","value":[1]}]}"#,
            r#"{"type":"ACTIVITY_DELTA","messageId":"a","activityType":"S","patch":[{"op":"remove","path":"/l/0"},{"op":"remove","path":"/x"}]}"#,
            r#"{"type":"ACTIVITY_DELTA","messageId":"a","activityType":"S","patch":[{"op":"replace","path":"","value":[]}]}"#,
            r#"{"type":"ACTIVITY_DELTA","messageId":"nobody","activityType":"S","patch":[]}"#,
        ],
        json!([{"id": "a", "role": "activity", "activityType": "R", "content": {"n": 2, "l": [1]},
                "subagentRunId": "s", "metadata": {"k": 1}}]),
    );
}

#[test]
fn a_snapshot_replaces_adds_and_takes_away_but_for_what_it_does_not_keep() {
    check_messages(
        &[
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m1"}"#,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"m2"}"#,
            r#"{"type":"REASONING_MESSAGE_START","messageId":"t","role":"reasoning"}"#,
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"a","activityType":"P","content":{}}"#,
            r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"u","role":"user","content":"?"},{"id":"m2","role":"assistant","content":"new"},{"id":"b","role":"activity","activityType":"P","content":{}}]}"#,
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m1","delta":"nobody hears this"}"#,
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m2","delta":"er"}"#,
        ],
        json!([
            {"id": "m2", "role": "assistant", "content": "newer"},
            {"id": "t", "role": "reasoning", "content": ""},
            {"id": "u", "role": "user", "content": "?"},
            {"id": "b", "role": "activity", "activityType": "P", "content": {}},
        ]),
    );
}

#[test]
fn a_state_is_kept_as_given_until_it_is_patched() {
    let given = r#"{"n":1234567890123456789012345678901234567890,"a":1.50}"#;
    let snapshot = format!(r#"{{"type":"STATE_SNAPSHOT","snapshot":{given}}}"#);
    let fold = run(&[&snapshot]);
    assert_eq!(fold.content().state().unwrap().as_str(), given);
    check_state(&[], None);
    check_state(
        &[r#"{"type":"STATE_SNAPSHOT","snapshot":null}"#],
        Some(Value::Null),
    );
}

#[test]
fn a_patch_applies_as_a_whole_or_is_counted() {
    let misfit = r#"{"type":"STATE_DELTA","delta":[{"op":"add","path":"/a","value":2},{"op":"test","path":"/a","value":3}]}"#;
    check_state(&[misfit], None);
    check_state(&[r#"{"type":"STATE_DELTA","delta":[]}"#], Some(json!({})));
    let lines = [
        r#"{"type":"STATE_DELTA","delta":[{"op":"add","path":"/a","value":[1.0]}]}"#,
        misfit,
        r#"{"type":"STATE_DELTA","delta":[{"op":"test","path":"/a/0","value":1},{"op":"copy","from":"/a","path":"/b"},{"op":"move","from":"/a","path":"/c"}]}"#,
        r#"{"type":"STATE_DELTA","delta":[{"op":"add","path":"/__proto__","value":1}]}"#,
    ];
    check_state(&lines, Some(json!({"b": [1], "c": [1]})));
    assert_eq!(run(&lines).content().n_skipped_patches(), 2);
}

#[test]
fn a_run_brings_the_messages_and_the_state_of_its_input() {
    let start = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r2","input":{"threadId":"t","runId":"r2","messages":[{"id":"m","role":"user","content":"other"},{"id":"u","role":"user","content":"?"}],"state":{"s":1}}}"#;
    let lines = [
        r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#,
        r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
        FINISH,
        start,
    ];
    check_messages(
        &lines,
        json!([
            {"id": "m", "role": "assistant", "content": ""},
            {"id": "u", "role": "user", "content": "?"},
        ]),
    );
    check_state(&lines, Some(json!({"s": 1})));
}

#[test]
fn what_says_nothing_that_lasts_changes_nothing() {
    let lines = [
        r#"{"type":"RAW","event":{"a":1}}"#,
        r#"{"type":"CUSTOM","name":"n","value":null}"#,
        r#"{"type":"STEP_STARTED","stepName":"s"}"#,
        r#"{"type":"STEP_FINISHED","stepName":"s"}"#,
    ];
    check_messages(&lines, json!([]));
    check_state(&lines, None);
}

#[test]
fn the_status_is_that_of_the_last_run() {
    assert_eq!(ThreadFold::default().content().status(), ThreadStatus::New);
    assert!(
        matches!(run(&[]).content().status(), ThreadStatus::Running(start) if start.run_id.as_str() == "r")
    );
    assert!(matches!(
        run(&[FINISH]).content().status(),
        ThreadStatus::Finished(_)
    ));
    let error = r#"{"type":"RUN_ERROR","message":"no"}"#;
    assert!(matches!(
        run(&[error]).content().status(),
        ThreadStatus::Failed(_)
    ));
    assert!(matches!(
        run(&[FINISH, error]).content().status(),
        ThreadStatus::Failed(_)
    ));
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut fold = run(&[]);
    let before = format!("{fold:?}");
    fold.apply(event(r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#))
        .unwrap_err();
    assert_eq!(format!("{fold:?}"), before);
}

#[test]
fn an_activity_that_takes_the_place_of_a_message_takes_its_calls_away() {
    let snapshot = r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"m","role":"assistant","toolCalls":[CALL]},{"id":"n","role":"assistant","toolCalls":[CALL]}]}"#;
    let call = |arguments: &str| json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
    check_messages(
        &[
            &snapshot.replace("CALL", &call("").to_string()),
            r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"m","activityType":"P","content":{}}"#,
            r#"{"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{}"}"#,
            r#"{"type":"TEXT_MESSAGE_START","messageId":"last"}"#,
            r#"{"type":"TOOL_CALL_RESULT","messageId":"r","toolCallId":"c","content":"1"}"#,
        ],
        json!([
            {"id": "m", "role": "activity", "activityType": "P", "content": {}},
            {"id": "n", "role": "assistant", "toolCalls": [call("{}")]},
            {"id": "r", "role": "tool", "content": "1", "toolCallId": "c"},
            {"id": "last", "role": "assistant", "content": ""},
        ]),
    );
}
