//! What a checkpoint looks like, and which ones are refused.

use super::{Live, MAX_BYTES, Step, limits, read, steps};
use crate::{
    CheckpointError,
    agui::{fold::ThreadStatus, tests::event},
};

/// A thread that has something of everything.
pub(super) fn rich() -> Live {
    let mut live = Live::new(limits(MAX_BYTES));
    for step in steps([
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r0","input":{"threadId":"t","runId":"r0","messages":[{"id":"u","role":"user","content":"Hi"},{"id":"gone","role":"user","content":"?"}]}}"#,
        r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r0","timestamp":5}"#,
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r1","timestamp":6}"#,
        r#"{"type":"STATE_SNAPSHOT","snapshot":{"n":1.5,"f":0.1}}"#,
        r#"{"type":"STATE_DELTA","delta":[{"op":"replace","path":"/n","value":2.0}]}"#,
        r#"{"type":"STATE_DELTA","delta":[{"op":"remove","path":"/none"}]}"#,
        r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"p","activityType":"P","content":{"l":[]}}"#,
        r#"{"type":"ACTIVITY_DELTA","messageId":"p","activityType":"P","patch":[{"op":"add","path":"/l/-","value":1}]}"#,
        r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"u","role":"user","content":"Hi"}],"metadata":{"@ag-ui/client":{"authoritativeActivityTypes":["Q"]}}}"#,
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s0","name":"n"}"#,
        r#"{"type":"SUBAGENT_FINISHED","subagentRunId":"s0"}"#,
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s1","name":"n"}"#,
        r#"{"type":"STEP_STARTED","stepName":"plan","subagentRunId":"s1"}"#,
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
        r#"{"type":"REASONING_ENCRYPTED_VALUE","subtype":"tool-call","entityId":"c","encryptedValue":"x"}"#,
        r#"{"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{}"}"#,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"later","role":"developer"}"#,
        r#"{"type":"TOOL_CALL_RESULT","messageId":"t1","toolCallId":"c","content":"1"}"#,
        r#"{"type":"REASONING_START","messageId":"z"}"#,
        r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","name":"Bot","delta":"a","subagentRunId":"s1"}"#,
        r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"d","toolCallName":"g","parentMessageId":"m2"}"#,
    ]) {
        live.take(&step).unwrap();
    }
    live
}

/// How version 1 is written. It changes only together with the version.
const GOLDEN: &str = include_str!("golden.json");

/// The golden checkpoint with another text in the place of the first that is found.
#[track_caller]
fn changed(found: &str, other: &str) -> String {
    assert!(GOLDEN.contains(found), "{found} is not there");
    GOLDEN.replacen(found, other, 1)
}

#[track_caller]
fn refused(saved: &str) -> CheckpointError {
    read(saved.as_bytes(), limits(MAX_BYTES)).expect_err(saved)
}

#[test]
fn the_form_of_version_1_is_kept() {
    let saved = String::from_utf8(rich().saved()).unwrap();
    assert_eq!(saved, GOLDEN.replace('\n', ""));
    let (intake, content) = read(GOLDEN.as_bytes(), limits(MAX_BYTES)).unwrap();
    assert_eq!(intake, rich().intake);
    assert!(
        matches!(content.status(), ThreadStatus::Running(start) if start.run_id.as_str() == "r1")
    );
}

#[test]
fn another_version_is_named() {
    let saved = changed("\"version\":1", "\"version\":2");
    let with_news = saved.replacen("\"lanes\":", "\"news\":1,\"lanes\":", 1);
    for saved in [saved, with_news, r#"{"version":2}"#.to_owned()] {
        assert_eq!(
            refused(&saved).to_string(),
            "the checkpoint is of version 2, and only version 1 can be read"
        );
    }
}

#[test]
fn what_has_another_form_is_refused() {
    for (found, other) in [
        ("{\"version\":1,", "{"),
        ("\"lanes\":", "\"news\":1,\"lanes\":"),
        ("\"nRuns\":2,", ""),
        ("\"nRuns\":2", "\"nRuns\":-2"),
        ("\"nRuns\":2", "\"nRuns\":2,\"nRuns\":2"),
        ("\"nRuns\":2", "\"nRuns\":2,\"news\":null"),
        ("\"counted\"", "\"guessed\""),
        ("\"toolCall\":{", "\"pipe\":{"),
        ("\"lost\":{", "\"lost\":{\"more\":false,"),
    ] {
        let error = refused(&changed(found, other));
        assert!(
            matches!(error, CheckpointError::Form(_)),
            "{other}: {error:?}"
        );
    }
    let cut = &GOLDEN[..GOLDEN.len() / 2];
    assert!(matches!(refused(cut), CheckpointError::Form(_)));
    let task = r#"{"version":1,"order":{},"content":{}}"#;
    assert!(matches!(refused(task), CheckpointError::Form(_)));
}

#[test]
fn a_part_that_is_not_wholly_understood_is_refused() {
    const HI: &str = "\"content\":\"Hi\"";
    for (found, other, part) in [
        (HI, "\"content\":\"Hi\",\"mood\":1", "message"),
        (HI, "\"content\":\"\\u0048i\"", "message"),
        (
            "\"timestamp\":5",
            "\"timestamp\":5,\"news\":1",
            "end of a run",
        ),
        (
            "\"timestamp\":6",
            "\"timestamp\":6,\"news\":1",
            "start of a run",
        ),
        (
            "\"name\":\"n\"",
            "\"news\":1,\"name\":\"n\"",
            "start of a subagent",
        ),
    ] {
        let error = refused(&changed(found, other)).to_string();
        let expected =
            format!("the checkpoint has a {part} with more or other members than are known");
        assert_eq!(error, expected);
    }
    let error = refused(&changed("\"role\":\"user\"", "\"role\":\"guest\""));
    assert_eq!(
        error.to_string(),
        "the checkpoint has a message that cannot be read"
    );
    let source = std::error::Error::source(&error).expect("a reason");
    assert!(source.to_string().starts_with("$.role"), "{source}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    const STEP: &str = "[\"plan\",\"s1\",3]";
    for (found, other, reason) in [
        (STEP, "[\"plan\",\"s1\",99]", "to come"),
        (STEP, "[\"plan\",\"s1\",4]", "in one turn"),
        (
            STEP,
            "[\"plan\",\"s1\",3],[\"plan\",\"s1\",0]",
            "active twice",
        ),
        ("\"turn\":", "\"turn\":9999999999999999", "to come"),
        (
            "{\"active\":{\"runId\":\"r1\"}}",
            "\"finished\"",
            "without a run",
        ),
        ("[\"s0\",null]", "[\"s1\",null]", "there twice"),
        ("[\"c\",null]", "[\"e\",null]", "nobody's"),
        ("{\"owner\":\"s1\",", "{\"owner\":null,", "share a lane"),
        (
            "{\"text\":{\"id\":\"m\"",
            "{\"text\":{\"id\":\"n\"",
            "not open",
        ),
        (
            "\"messageBytes\":",
            "\"messageBytes\":9999999999999",
            "beyond all",
        ),
        (
            "\"toolCallId\":\"d\",",
            "\"toolCallId\":\"c\",",
            "open twice",
        ),
    ] {
        let error = refused(&changed(found, other)).to_string();
        assert!(error.contains(reason), "{other}: {error}");
    }
    let begun = r#""start":{"threadId":"t","runId":"r1","timestamp":6},"#;
    let error = refused(&changed(begun, "")).to_string();
    assert!(error.contains("active that has not begun"), "{error}");
    let many = format!("\"dropped\":[{}\"x\"]", "\"y\",".repeat(4_096));
    let error = refused(&changed("\"dropped\":[\"gone\"]", &many)).to_string();
    assert!(error.contains("more ids of dropped messages"), "{error}");
}

#[test]
fn a_number_that_a_patch_has_left_alone_keeps_its_digits() {
    // Read less than exactly, many of these come out with another last digit.
    let numbers: Vec<String> = (1..400_u32)
        .map(|number| format!("{:e}", f64::from(number).sqrt().powi(21) / 7.0))
        .collect();
    let list = numbers.join(",");
    let state = format!(r#"{{"type":"STATE_SNAPSHOT","snapshot":{{"l":[{list}]}}}}"#);
    let mut live = Live::new(limits(MAX_BYTES));
    for line in [
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
        &state,
        r#"{"type":"STATE_DELTA","delta":[{"op":"add","path":"/k","value":1}]}"#,
    ] {
        live.take(&Step::Event(event(line))).unwrap();
    }
    let again = live.again();
    let text = |live: &Live| live.content.state().unwrap().as_str().to_owned();
    assert_eq!(text(&again), text(&live));
    assert_eq!(text(&again.again()), text(&live));
}
