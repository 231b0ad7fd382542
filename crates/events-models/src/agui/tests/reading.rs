//! What the reader takes and refuses beyond the fixtures.

use super::{check_refused, event, value, written};
use crate::agui::{AgUiEvent, RunAgentInput};

#[test]
fn text_that_is_not_json_is_told_from_json_that_is_no_event() {
    for bytes in [
        &b""[..],
        b"[DONE]",
        b"{",
        b"{\"type\":\"RUN_ERROR\",\"message\":\"x\"} {}",
        b"{\"type\":\"RUN_ERROR\",\"message\":\"\xff\"}",
        b"{\"type\":\"RUN_ERROR\",\"message\":\"line\nbreak\"}",
        b"\xef\xbb\xbf{}",
        b"{\"type\":\"RUN_ERROR\",\"message\":01}",
        b"{\"type\":\"RUN_ERROR\",\"message\":NaN}",
    ] {
        let error = AgUiEvent::from_json(bytes).unwrap_err();
        assert!(error.is_syntax(), "{error}");
    }
    check_refused("null", "$", "null");
    check_refused("{}", "$.type", "missing");
    check_refused("{\"type\":5}", "$.type", "a number");
}

#[test]
fn the_binary_part_is_refused_with_its_replacement() {
    let json = r#"{"type":"TOOL_CALL_RESULT","messageId":"m","toolCallId":"c","content":[{"type":"binary","data":"x"}]}"#;
    check_refused(json, "$.content[0].type", "image");
}

#[test]
fn every_retired_type_is_refused_with_its_replacement() {
    for (old, new) in [
        ("THINKING_START", "REASONING_START"),
        ("THINKING_END", "REASONING_END"),
        ("THINKING_TEXT_MESSAGE_START", "REASONING_MESSAGE_START"),
        ("THINKING_TEXT_MESSAGE_CONTENT", "REASONING_MESSAGE_CONTENT"),
        ("THINKING_TEXT_MESSAGE_END", "REASONING_MESSAGE_END"),
    ] {
        check_refused(
            format!("{{\"type\":\"{old}\",\"delta\":\"x\"}}"),
            "$.type",
            new,
        );
    }
}

#[test]
fn the_last_of_repeated_members_counts_and_names_may_be_escaped() {
    let json = r#"{"delta":5,"type":"RUN_ERROR","messageId":"a","\u0074ype":"TEXT_MESSAGE_CONTENT","messageId":"b","delta":"x"}"#;
    assert_eq!(
        written(&event(json)),
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"b","delta":"x"}"#
    );
}

#[test]
fn integers_are_integers_as_javascript_has_them() {
    let with_timestamp =
        |number: &str| format!(r#"{{"type":"STEP_STARTED","stepName":"s","timestamp":{number}}}"#);
    for (number, milliseconds) in [
        ("0", 0),
        ("-1", -1),
        ("1.0", 1),
        ("1e3", 1000),
        ("9007199254740991", 9_007_199_254_740_991),
        ("-9007199254740991", -9_007_199_254_740_991),
    ] {
        assert_eq!(
            event(&with_timestamp(number)).timestamp(),
            Some(milliseconds)
        );
    }
    for number in [
        "9007199254740992",
        "-9007199254740992",
        "1e300",
        "1e999",
        "99999999999999999999",
    ] {
        check_refused(with_timestamp(number), "$.timestamp", "out of range");
    }
    check_refused(with_timestamp("1.5"), "$.timestamp", "fraction");
}

#[test]
fn open_data_keeps_every_digit_and_loses_only_line_breaks() {
    let json = r#"{"type":"STATE_SNAPSHOT","snapshot":{"big":123456789012345678901234567890,"tiny":1e-400,"exact":0.10000000000000000001}}"#;
    assert_eq!(written(&event(json)), json);

    let pretty = "{\"type\":\"CUSTOM\",\"name\":\"n\",\"value\":{\r\n  \"a b\" : [ 1,\n 2 ],\"c\\\"\\\\\": \" \\n \"\n}}";
    assert_eq!(
        written(&event(pretty)),
        r#"{"type":"CUSTOM","name":"n","value":{"a b":[1,2],"c\"\\":" \n "}}"#
    );
}

#[test]
fn lone_surrogates_are_refused_where_they_would_be_kept() {
    let lone = r"\ud83d";
    check_refused(
        format!(r#"{{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"{lone}"}}"#),
        "$.delta",
        "surrogate",
    );
    check_refused(
        format!(r#"{{"type":"STATE_SNAPSHOT","snapshot":[{{"a":"\\{lone}x"}}]}}"#),
        "$.snapshot",
        "surrogate",
    );
    check_refused(
        format!(r#"{{"type":"RUN_ERROR","message":"m","{lone}":1}}"#),
        "$",
        "name",
    );
    event(&format!(
        r#"{{"type":"RUN_ERROR","message":"\ud83d\ude00","seq":"{lone}"}}"#
    ));
    event(r#"{"type":"STATE_SNAPSHOT","snapshot":["\ud83d\ude00","\\ud83d"]}"#);
}

#[test]
fn deep_nesting_is_refused_only_where_it_would_be_kept() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let snapshot = |depth| {
        format!(
            r#"{{"type":"STATE_SNAPSHOT","snapshot":{}}}"#,
            nested(depth)
        )
    };
    let deepest = event(&snapshot(118));
    let enveloped = serde_json::to_string(&crate::ContextEvent::from(deepest)).unwrap();
    value(&enveloped);
    check_refused(snapshot(119), "$.snapshot", "deep");
    check_refused(snapshot(200_000), "$.snapshot", "deep");
    check_refused(nested(200_000), "$", "an array");
    event(&format!(
        r#"{{"type":"RUN_ERROR","message":"m","extra":{}}}"#,
        nested(200_000)
    ));
}

#[test]
fn a_patch_operation_keeps_members_that_it_does_not_use() {
    let json = r#"{"type":"STATE_DELTA","delta":[{"op":"remove","path":"/a","value":null,"from":7,"why":{"x":1}},{"op":"add","path":"","from":"no pointer","value":null}]}"#;
    let read = event(json);
    assert_eq!(value(&written(&read)), value(json));
    assert_eq!(read.validate(), Ok(()));
}

#[test]
fn a_null_state_of_an_input_is_absent() {
    let json = r#"{"threadId":"t","runId":"r","state":null,"messages":[]}"#;
    let input = RunAgentInput::from_json(json.as_bytes()).unwrap();
    assert_eq!(input.state, None);
    let error = RunAgentInput::from_json(br#"{"threadId":"t","runId":"r"}"#).unwrap_err();
    assert_eq!(error.to_string(), "$.messages: required, but missing");
}

#[test]
fn of_a_repeated_unused_member_of_an_operation_the_last_counts_once() {
    let json = r#"{"type":"STATE_DELTA","delta":[{"op":"remove","path":"/a","x":1,"y":2,"x":3}]}"#;
    assert_eq!(
        written(&event(json)),
        r#"{"type":"STATE_DELTA","delta":[{"op":"remove","path":"/a","y":2,"x":3}]}"#
    );
}
