//! Fixtures, and expansion by expansion.

pub(in crate::agui) mod arbitrary;
mod reliving;

use serde_json::{Value, json};

use super::*;
use crate::agui::tests::{event, lines_of, transcripts};

const STARTED: &str = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;
const FINISHED: &str = r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r"}"#;

/// Runs JSON events through a fresh intake; an error comes with its place, counted from 1.
fn run<'a>(
    events: impl IntoIterator<Item = &'a str>,
) -> (ThreadIntake, Vec<AgUiEvent>, Option<(usize, OrderError)>) {
    let (mut intake, mut out) = (ThreadIntake::default(), Vec::new());
    for (at, json) in events.into_iter().enumerate() {
        let before = (intake.clone(), out.clone());
        if let Err(refusal) = intake.admit(event(json), &mut out) {
            assert_eq!(
                (&intake, &out),
                (&before.0, &before.1),
                "a refusal changes nothing"
            );
            return (intake, out, Some((at + 1, refusal)));
        }
    }
    check_explicit(&out);
    (intake, out, None)
}

/// Checks that events are accepted by a fresh checker, and so have no chunks.
fn check_explicit(events: &[AgUiEvent]) {
    let mut order = ThreadOrder::default();
    for event in events {
        order
            .check(event)
            .unwrap_or_else(|refusal| panic!("{refusal} in {events:?}"));
    }
}

/// Checks what a run makes of events within it.
fn check_expanded(events: &[&str], expected: &[Value]) {
    let (_, out, refusal) = run([STARTED].into_iter().chain(events.iter().copied()));
    assert_eq!(refusal, None);
    let out: Vec<_> = out[1..]
        .iter()
        .map(|event| serde_json::to_value(event).unwrap())
        .collect();
    assert_eq!(out, expected);
}

/// Checks that the last of some events within a run is refused.
fn check_last_refused(events: &[&str], rule: u8, word: &str) {
    let (_, _, refusal) = run([STARTED].into_iter().chain(events.iter().copied()));
    let (at, refusal) = refusal.expect("one event is refused");
    assert_eq!(at, events.len() + 1, "{refusal}");
    assert_eq!(refusal.rule(), rule, "{refusal}");
    assert!(
        refusal.to_string().contains(word),
        "{word:?} is not in: {refusal}"
    );
}

#[test]
fn every_invalid_sequence_is_refused_at_the_event_where_the_official_client_does() {
    let lines = lines_of("invalid-sequences.jsonl");
    assert!(!lines.is_empty());
    for line in lines {
        let (_, _, refusal) = run(line.events.iter().map(|json| json.as_str()));
        let (at, refusal) = refusal.expect(&line.name);
        assert_eq!(at, line.rejected_at, "{}: {refusal}", line.name);
    }
}

#[test]
fn every_accepted_sequence_is_accepted() {
    let lines = lines_of("accepted-sequences.jsonl");
    assert!(!lines.is_empty());
    for line in lines {
        let (_, _, refusal) = run(line.events.iter().map(|json| json.as_str()));
        assert_eq!(refusal, None, "{}", line.name);
    }
}

#[test]
fn every_transcript_is_admitted_and_unchanged_if_it_has_no_chunks() {
    for (name, lines) in transcripts() {
        let (_, out, refusal) = run(lines.iter().map(String::as_str));
        assert_eq!(refusal, None, "{name}");
        if !lines.iter().any(|line| line.contains("_CHUNK\"")) {
            let read: Vec<_> = lines.iter().map(|line| event(line)).collect();
            assert_eq!(out, read, "{name}");
        }
    }
}

#[test]
fn a_chunk_s_open_data_goes_with_the_first_event_it_makes() {
    check_expanded(
        &[
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","name":"Bot","delta":"a","timestamp":1,"rawEvent":1,"metadata":{"k":1},"subagentRunId":"s"}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","delta":"b","timestamp":2,"rawEvent":2,"metadata":{"k":2},"subagentRunId":"s"}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","timestamp":3,"metadata":{"k":3}}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","timestamp":4}"#,
            r#"{"type":"STATE_DELTA","delta":[],"timestamp":5,"metadata":{"k":5},"subagentRunId":"s"}"#,
        ],
        &[
            json!({"type":"TEXT_MESSAGE_START","messageId":"m","role":"assistant","name":"Bot","timestamp":1,"rawEvent":1,"metadata":{"k":1},"subagentRunId":"s"}),
            json!({"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"a","timestamp":1,"subagentRunId":"s"}),
            json!({"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"b","timestamp":2,"rawEvent":2,"metadata":{"k":2},"subagentRunId":"s"}),
            json!({"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"","timestamp":3,"metadata":{"k":3},"subagentRunId":"s"}),
            json!({"type":"TEXT_MESSAGE_END","messageId":"m","timestamp":5,"subagentRunId":"s"}),
            json!({"type":"STATE_DELTA","delta":[],"timestamp":5,"metadata":{"k":5},"subagentRunId":"s"}),
        ],
    );
}

#[test]
fn tool_calls_and_reasoning_expand_too_and_the_next_item_closes_the_last() {
    check_expanded(
        &[
            r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c","toolCallName":"f","parentMessageId":"p"}"#,
            r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c","toolCallName":"f","delta":"{}"}"#,
            r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"d","toolCallName":"g","delta":""}"#,
            r#"{"type":"REASONING_MESSAGE_CHUNK","messageId":"m","delta":"hm"}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","role":"user"}"#,
            FINISHED,
        ],
        &[
            json!({"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"p"}),
            json!({"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{}"}),
            json!({"type":"TOOL_CALL_END","toolCallId":"c"}),
            json!({"type":"TOOL_CALL_START","toolCallId":"d","toolCallName":"g"}),
            json!({"type":"TOOL_CALL_ARGS","toolCallId":"d","delta":""}),
            json!({"type":"TOOL_CALL_END","toolCallId":"d"}),
            json!({"type":"REASONING_MESSAGE_START","messageId":"m","role":"reasoning"}),
            json!({"type":"REASONING_MESSAGE_CONTENT","messageId":"m","delta":"hm"}),
            json!({"type":"REASONING_MESSAGE_END","messageId":"m"}),
            json!({"type":"TEXT_MESSAGE_START","messageId":"m","role":"user"}),
            json!({"type":"TEXT_MESSAGE_END","messageId":"m"}),
            json!({"type":"RUN_FINISHED","threadId":"t","runId":"r"}),
        ],
    );
}

#[test]
fn each_subagent_has_its_own_lane() {
    check_expanded(
        &[
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"a","delta":"1","subagentRunId":"s1"}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"b","delta":"2","subagentRunId":"s2"}"#,
            r#"{"type":"CUSTOM","name":"n","value":1}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","delta":"3","subagentRunId":"s1"}"#,
            r#"{"type":"STEP_STARTED","stepName":"x","subagentRunId":"s1"}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","delta":"4"}"#,
            r#"{"type":"MESSAGES_SNAPSHOT","messages":[]}"#,
        ],
        &[
            json!({"type":"TEXT_MESSAGE_START","messageId":"a","role":"assistant","subagentRunId":"s1"}),
            json!({"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"1","subagentRunId":"s1"}),
            json!({"type":"TEXT_MESSAGE_START","messageId":"b","role":"assistant","subagentRunId":"s2"}),
            json!({"type":"TEXT_MESSAGE_CONTENT","messageId":"b","delta":"2","subagentRunId":"s2"}),
            json!({"type":"CUSTOM","name":"n","value":1}),
            json!({"type":"TEXT_MESSAGE_CONTENT","messageId":"a","delta":"3","subagentRunId":"s1"}),
            json!({"type":"TEXT_MESSAGE_END","messageId":"a","subagentRunId":"s1"}),
            json!({"type":"STEP_STARTED","stepName":"x","subagentRunId":"s1"}),
            json!({"type":"TEXT_MESSAGE_CONTENT","messageId":"b","delta":"4","subagentRunId":"s2"}),
            json!({"type":"TEXT_MESSAGE_END","messageId":"b","subagentRunId":"s2"}),
            json!({"type":"MESSAGES_SNAPSHOT","messages":[]}),
        ],
    );
}

#[test]
fn only_some_events_leave_an_item_of_chunks_open() {
    const CHUNK: &str = r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a"}"#;
    for (json, stays_open) in [
        (r#"{"type":"RAW","event":null}"#, true),
        (
            r#"{"type":"ACTIVITY_SNAPSHOT","messageId":"p","activityType":"P","content":{}}"#,
            true,
        ),
        (
            r#"{"type":"ACTIVITY_DELTA","messageId":"p","activityType":"P","patch":[]}"#,
            true,
        ),
        (
            r#"{"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"e","encryptedValue":"x"}"#,
            true,
        ),
        (
            r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#,
            true,
        ),
        (r#"{"type":"CUSTOM","name":"n","value":null}"#, false),
        (
            r#"{"type":"CUSTOM","name":"n","value":null,"subagentRunId":"s"}"#,
            true,
        ),
        (r#"{"type":"STATE_SNAPSHOT","snapshot":null}"#, false),
        (
            r#"{"type":"TOOL_CALL_RESULT","messageId":"x","toolCallId":"c","content":"x"}"#,
            false,
        ),
        (r#"{"type":"RUN_ERROR","message":"m"}"#, false),
    ] {
        let (intake, _, refusal) = run([STARTED, CHUNK, json]);
        assert_eq!(refusal, None);
        assert_eq!(intake.open_chunks(), usize::from(stays_open), "{json}");
    }
}

#[test]
fn chunks_that_cannot_be_placed_are_refused() {
    const TEXT: &str = r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a"}"#;
    const TOOL: &str = r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c","toolCallName":"f"}"#;
    check_last_refused(&[r#"{"type":"TEXT_MESSAGE_CHUNK"}"#], 12, "messageId");
    check_last_refused(&[r#"{"type":"REASONING_MESSAGE_CHUNK"}"#], 12, "messageId");
    check_last_refused(
        &[r#"{"type":"TOOL_CALL_CHUNK","toolCallName":"f"}"#],
        12,
        "toolCallId",
    );
    check_last_refused(
        &[r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c"}"#],
        12,
        "toolCallName",
    );
    check_last_refused(
        &[TEXT, r#"{"type":"TEXT_MESSAGE_CHUNK","name":"Bot"}"#],
        12,
        "name",
    );
    check_last_refused(
        &[TEXT, r#"{"type":"TEXT_MESSAGE_CHUNK","role":"user"}"#],
        12,
        "role",
    );
    check_last_refused(
        &[TOOL, r#"{"type":"TOOL_CALL_CHUNK","toolCallName":"g"}"#],
        12,
        "toolCallName",
    );
    check_last_refused(
        &[TOOL, r#"{"type":"TOOL_CALL_CHUNK","parentMessageId":"m"}"#],
        12,
        "parentMessageId",
    );
    check_last_refused(
        &[
            TEXT,
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","subagentRunId":"s"}"#,
        ],
        10,
        "the parent agent",
    );
    check_last_refused(
        &[
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"a","subagentRunId":"s1"}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"b","subagentRunId":"s2"}"#,
            r#"{"type":"TEXT_MESSAGE_CHUNK","delta":"x"}"#,
        ],
        12,
        "several subagents",
    );
}

#[test]
fn a_refused_event_does_not_close_an_item_of_chunks() {
    let (mut intake, mut out) = (ThreadIntake::default(), Vec::new());
    for json in [
        STARTED,
        r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a"}"#,
    ] {
        intake.admit(event(json), &mut out).unwrap();
    }
    let before = intake.clone();
    let n_before = out.len();
    for refused in [
        r#"{"type":"STEP_FINISHED","stepName":"x"}"#,
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"b"}"#,
        r#"{"type":"TOOL_CALL_CHUNK","toolCallId":"c"}"#,
        STARTED,
    ] {
        intake.admit(event(refused), &mut out).unwrap_err();
        assert_eq!((&intake, out.len()), (&before, n_before), "{refused}");
    }
    intake
        .admit(
            event(r#"{"type":"TEXT_MESSAGE_CHUNK","delta":"b"}"#),
            &mut out,
        )
        .unwrap();
    assert_eq!(out.len(), n_before + 1);
}

#[test]
fn an_item_of_chunks_is_not_closed_from_another_lane() {
    check_last_refused(
        &[
            r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a","subagentRunId":"s"}"#,
            r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"b"}"#,
            r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
        ],
        12,
        "made of chunks",
    );
}

#[test]
fn closing_everything_makes_the_end_of_the_run_legal() {
    let (mut intake, mut out, refusal) = run([
        STARTED,
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#,
        r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a","subagentRunId":"s"}"#,
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
    ]);
    assert_eq!(refusal, None);
    intake.admit(event(FINISHED), &mut out).unwrap_err();
    out.extend(intake.close_all(Some(9)));
    assert_eq!(intake.open_chunks(), 0);
    assert!(!intake.order().has_open_items());
    intake.admit(event(FINISHED), &mut out).unwrap();
    check_explicit(&out);
    assert!(intake.close_all(None).is_empty());
}
