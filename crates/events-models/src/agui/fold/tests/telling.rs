//! What clients are told.

use events_core::Fold;
use serde_json::{Value, json};

use super::{FINISH, START, json_of, run};
use crate::{
    RunAgentInput,
    agui::{
        fold::{Generation, OpenSet, Reader, ThreadFold},
        legacy,
        tests::event,
    },
};

fn input(messages: &Value) -> RunAgentInput {
    let json = json!({"threadId": "asked", "runId": "now", "protocolVersion": "1.0", "messages": messages});
    RunAgentInput::from_json(json.to_string().as_bytes()).unwrap()
}

#[track_caller]
fn check_prelude(fold: &ThreadFold, expected: &Value) {
    assert_eq!(Value::Array(json_of(&fold.prelude())), *expected);
}

#[test]
fn a_joiner_of_a_run_is_told_all_that_is_open_with_its_owner() {
    let fold = run(&[
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s0","name":"n"}"#,
        r#"{"type":"SUBAGENT_FINISHED","subagentRunId":"s0","result":1,"rawEvent":{}}"#,
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n","parentSubagentRunId":"s0"}"#,
        r#"{"type":"STEP_STARTED","stepName":"p","subagentRunId":"s"}"#,
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f","parentMessageId":"m","subagentRunId":"s"}"#,
        r#"{"type":"TOOL_CALL_ARGS","toolCallId":"c","delta":"{"}"#,
        r#"{"type":"REASONING_START","messageId":"t"}"#,
        r#"{"type":"REASONING_MESSAGE_START","messageId":"t","role":"reasoning"}"#,
        r#"{"type":"STATE_SNAPSHOT","snapshot":7}"#,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"u","role":"user","name":"Ada"}"#,
    ]);
    check_prelude(
        &fold,
        &json!([
            {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
            {"type": "MESSAGES_SNAPSHOT", "messages": [
                {"role": "assistant", "id": "m", "subagentRunId": "s", "toolCalls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]},
                {"role": "reasoning", "id": "t", "content": ""},
                {"role": "user", "id": "u", "content": "", "name": "Ada"}]},
            {"type": "STATE_SNAPSHOT", "snapshot": 7},
            {"type": "SUBAGENT_STARTED", "subagentRunId": "s0", "name": "n"},
            {"type": "SUBAGENT_FINISHED", "subagentRunId": "s0", "result": 1},
            {"type": "SUBAGENT_STARTED", "subagentRunId": "s", "name": "n", "parentSubagentRunId": "s0"},
            {"type": "STEP_STARTED", "stepName": "p", "subagentRunId": "s"},
            {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "f", "parentMessageId": "m",
             "subagentRunId": "s"},
            {"type": "REASONING_START", "messageId": "t"},
            {"type": "REASONING_MESSAGE_START", "messageId": "t", "role": "reasoning"},
            {"type": "TEXT_MESSAGE_START", "messageId": "u", "role": "user", "name": "Ada"},
        ]),
    );
}

#[test]
fn who_joins_between_runs_is_told_how_the_last_one_ended() {
    let end = r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r","outcome":{"type":"interrupt","interrupts":[{"id":"i","reason":"ask"}]},"usage":[{"model":"x"}],"timestamp":5}"#;
    let told = json_of(&run(&[end]).prelude());
    assert_eq!(told.len(), 3);
    assert_eq!(told[2], serde_json::from_str::<Value>(end).unwrap());
    let error = r#"{"type":"RUN_ERROR","message":"no","code":"c"}"#;
    assert_eq!(json_of(&run(&[error]).prelude())[2]["code"], "c");
    // An error can come first; it needs no run.
    let mut fold = ThreadFold::default();
    fold.apply(event(error)).unwrap();
    assert_eq!(
        json_of(&fold.prelude()),
        [serde_json::from_str::<Value>(error).unwrap()]
    );
}

#[test]
fn an_unknown_thread_answers_with_the_ids_of_the_request() {
    let fold = ThreadFold::default();
    check_prelude(&fold, &json!([]));
    let input = input(&json!([]));
    let told = fold.content().prelude(fold.order(), &Reader::of(&input));
    assert_eq!(
        Value::Array(json_of(&told)),
        json!([
            {"type": "RUN_STARTED", "threadId": "asked", "runId": "now"},
            {"type": "RUN_FINISHED", "threadId": "asked", "runId": "now"},
        ])
    );
    assert!(fold.catch_up(&OpenSet::default()).is_empty());
}

/// Runs a thread of three messages, and returns the ids in each snapshot for a client that holds some.
fn snapshots_for(held: &[&str]) -> Vec<Vec<String>> {
    let fold = run(&[
        r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"u","role":"user","content":"?"},{"id":"a","role":"assistant","content":"new"},{"id":"x","role":"activity","activityType":"P","content":{}},{"id":"b","role":"assistant"}]}"#,
    ]);
    let messages: Vec<_> = held
        .iter()
        .map(|id| json!({"id": id, "role": "assistant", "content": "old"}))
        .collect();
    let input = input(&json!(messages));
    let told = json_of(&fold.content().prelude(fold.order(), &Reader::of(&input)));
    let ids = |event: &Value| {
        let messages = event["messages"].as_array()?;
        assert!(
            messages
                .iter()
                .all(|message| message["id"] != "a" || message["content"] == "new")
        );
        Some(
            messages
                .iter()
                .map(|message| message["id"].as_str().unwrap().to_owned())
                .collect(),
        )
    };
    told.iter().filter_map(ids).collect()
}

#[test]
fn the_messages_of_the_request_keep_their_order_and_are_not_lost() {
    assert_eq!(snapshots_for(&[]), [["u", "a", "x", "b"]]);
    assert_eq!(snapshots_for(&["u", "a"]), [["u", "a", "x", "b"]]);
    assert_eq!(
        snapshots_for(&["u", "own", "a"]),
        [["u", "own", "a", "x", "b"]]
    );
    assert_eq!(snapshots_for(&["u", "a", "b"]), [["u", "a", "b", "x"]]);
}

#[test]
fn a_client_with_another_order_is_first_told_what_stands_right() {
    assert_eq!(
        snapshots_for(&["u", "b", "own"]),
        [vec!["u"], vec!["u", "a", "x", "b", "own"]]
    );
    assert_eq!(snapshots_for(&["b"]), [vec![], vec!["u", "a", "x", "b"]]);
}

#[test]
fn catching_up_tells_the_messages_then_the_ends_then_the_starts() {
    let mut fold = run(&[
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#,
        r#"{"type":"STEP_STARTED","stepName":"p","subagentRunId":"s"}"#,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#,
    ]);
    let since = fold.open();
    for line in [
        r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#,
        r#"{"type":"STEP_FINISHED","stepName":"p","subagentRunId":"s"}"#,
        r#"{"type":"STEP_STARTED","stepName":"p"}"#,
        r#"{"type":"SUBAGENT_ERROR","subagentRunId":"s","message":"no"}"#,
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"z","name":"n"}"#,
    ] {
        fold.apply(event(line)).unwrap();
    }
    assert_eq!(
        Value::Array(json_of(&fold.catch_up(&since))),
        json!([
            {"type": "MESSAGES_SNAPSHOT", "messages": [{"role": "assistant", "id": "m", "content": ""}]},
            {"type": "TEXT_MESSAGE_END", "messageId": "m"},
            {"type": "STEP_FINISHED", "stepName": "p", "subagentRunId": "s"},
            {"type": "SUBAGENT_ERROR", "subagentRunId": "s", "message": "no"},
            {"type": "SUBAGENT_STARTED", "subagentRunId": "z", "name": "n"},
            {"type": "STEP_STARTED", "stepName": "p"},
        ])
    );
}

#[test]
fn how_a_run_ended_is_told_while_it_is_remembered() {
    let mut fold = run(&[r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#]);
    let since = fold.open();
    fold.apply(event(r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#))
        .unwrap();
    fold.apply(event(FINISH)).unwrap();
    let types = |fold: &ThreadFold| {
        let told = fold.catch_up(&since);
        told.iter()
            .map(|event| event.event_type().as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        types(&fold),
        ["MESSAGES_SNAPSHOT", "TEXT_MESSAGE_END", "RUN_FINISHED"]
    );
    for number in 0..9 {
        let start = START.replace("\"r\"", &format!("\"r{number}\""));
        fold.apply(event(&start)).unwrap();
        if number == 0 {
            assert_eq!(
                types(&fold),
                [
                    "MESSAGES_SNAPSHOT",
                    "TEXT_MESSAGE_END",
                    "RUN_FINISHED",
                    "RUN_STARTED",
                    "MESSAGES_SNAPSHOT"
                ]
            );
        }
        fold.apply(event(FINISH)).unwrap();
    }
    let told = json_of(&fold.catch_up(&since));
    assert_eq!(told[1]["code"], "outcome_unknown", "{told:#?}");
    assert_eq!(told.len(), 5, "{told:#?}");
}

#[test]
fn who_may_have_seen_a_run_end_before_it_failed_is_told_that_first() {
    const ERROR: &str = r#"{"type":"RUN_ERROR","message":"no"}"#;
    let types = |fold: &ThreadFold, missed: &[&str]| {
        let missed: Vec<_> = missed.iter().map(|line| event(line)).collect();
        let told = fold.catch_up(&OpenSet::before(&fold.open(), &missed));
        told.iter()
            .map(|event| event.event_type().as_str())
            .collect::<Vec<_>>()
    };
    let told = ["RUN_ERROR", "RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_ERROR"];
    assert_eq!(types(&run(&[FINISH, ERROR]), &[ERROR]), told);
    assert_eq!(types(&run(&[ERROR]), &[ERROR]), told);
    // What has begun says that a run was active.
    let step = r#"{"type":"STEP_STARTED","stepName":"s"}"#;
    assert_eq!(
        types(&run(&[step, ERROR]), &[step, ERROR]),
        ["MESSAGES_SNAPSHOT", "RUN_ERROR"]
    );
    // No error may follow an error.
    let mut fold = ThreadFold::default();
    fold.apply(event(ERROR)).unwrap();
    assert_eq!(types(&fold, &[ERROR]), ["RUN_ERROR"]);
    assert_eq!(types(&ThreadFold::default(), &[ERROR]), ["RUN_ERROR"]);
}

#[test]
fn older_clients_are_told_in_their_form() {
    let fold = run(&[
        r#"{"type":"TOOL_CALL_RESULT","messageId":"m","toolCallId":"c","content":[{"type":"text","text":"x"}]}"#,
        r#"{"type":"RUN_FINISHED","threadId":"t","runId":"r","outcome":{"type":"cancelled"},"usage":[{"model":"x"}]}"#,
    ]);
    let reader = Reader {
        generation: Generation::V0_0_59,
        ..Reader::default()
    };
    let told = fold.content().prelude(fold.order(), &reader);
    assert!(!told.iter().any(legacy::differs));
    let told = json_of(&told);
    assert_eq!(
        told[1]["messages"][0]["content"],
        r#"[{"type":"text","text":"x"}]"#
    );
    assert_eq!(
        (&told[2]["type"], &told[2]["code"]),
        (&json!("RUN_ERROR"), &json!("cancelled"))
    );
    assert_eq!(told[2]["usage"], json!([{"model": "x"}]));
}

#[test]
fn the_generation_is_told_by_the_declared_version() {
    let of = |version: Value| {
        let json =
            json!({"threadId": "t", "runId": "r", "messages": [], "protocolVersion": version});
        let json = json.to_string().replace(",\"protocolVersion\":null", "");
        let json = json.replace("\"protocolVersion\":null,", "");
        Generation::of(&RunAgentInput::from_json(json.as_bytes()).unwrap())
    };
    assert_eq!(of(Value::Null), Generation::V0_0_59);
    assert_eq!(of(json!("0.9")), Generation::V0_0_59);
    assert_eq!(of(json!("what")), Generation::V0_0_59);
    assert_eq!(of(json!("1.0")), Generation::V1_0);
    assert_eq!(of(json!("2")), Generation::V1_0);
}
