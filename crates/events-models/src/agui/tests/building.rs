//! Events that are built in Rust.

use events_core::ManualClock;
use serde_json::json;

use super::{value, written};
use crate::agui::*;

#[test]
fn what_is_built_in_rust_is_validated() {
    let check = |event: AgUiEvent, path: &str, word: &str| {
        let error = event.validate().unwrap_err();
        assert_eq!(error.path, path);
        assert!(error.reason.contains(word), "{error}");
    };
    let mut late = StepStarted::new("s");
    late.timestamp = Some(i64::MAX);
    check(late.into(), "$.timestamp", "out of range");

    let mut empty = RunFinished::new("t", "r");
    empty.outcome = Some(RunOutcome::Interrupt(InterruptOutcome::new(vec![])));
    check(empty.into(), "$.outcome.interrupts", "at least one");

    let mut null = RunFinished::new("t", "r");
    null.result = Some(AnyJson::null());
    check(null.into(), "$.result", "never null");

    let patch = vec![JsonPatchOperation::remove("no-slash")];
    check(
        StateDelta::new(patch).into(),
        "$.delta[0].path",
        "JSON Pointer",
    );
    let mut odd = JsonPatchOperation::remove("/a");
    odd.value = Some(json!(1).into());
    check(
        StateDelta::new(vec![odd]).into(),
        "$.delta[0].value",
        "does not use",
    );
    let mut missing = JsonPatchOperation::add("/a", json!(1));
    missing.value = None;
    check(
        StateDelta::new(vec![missing]).into(),
        "$.delta[0].value",
        "needs",
    );
    let mut twice = JsonPatchOperation::add("/a", json!(1));
    twice.extra.push(("path".to_owned(), json!("/b").into()));
    check(
        StateDelta::new(vec![twice]).into(),
        "$.delta[0].path",
        "described",
    );

    let mut usage = TokenUsage::new();
    usage.input_tokens = Some(u64::MAX);
    let mut error = RunError::new("m");
    error.usage = Some(vec![TokenUsage::new(), usage]);
    check(error.into(), "$.usage[1].inputTokens", "out of range");
}

#[test]
fn a_tool_result_of_any_json_becomes_text() {
    for (content, expected_json) in [
        (json!({"a": 1}), json!("{\"a\":1}")),
        (json!("text"), json!("text")),
        (json!(null), json!("null")),
        (json!([]), json!("[]")),
        (json!(["a"]), json!("[\"a\"]")),
        (
            json!([{"type": "text", "text": "x"}]),
            json!([{"type": "text", "text": "x"}]),
        ),
    ] {
        let event = AgUiEventBuilder::tool_call_result("m", "c", content);
        assert_eq!(value(&written(&event))["content"], expected_json);
        assert_eq!(value(&written(&event))["role"], "tool");
    }
}

#[test]
fn an_event_is_stamped_with_the_time_of_a_clock() {
    let stamped = AgUiEventBuilder::stamp(&ManualClock::new(42), StepStarted::new("s"));
    assert_eq!(
        written(&stamped),
        r#"{"type":"STEP_STARTED","stepName":"s","timestamp":42}"#
    );
    let now = AgUiEventBuilder::step_started("s").timestamp().unwrap();
    assert!(now > 1_600_000_000_000, "{now} is not in milliseconds");
}

#[test]
fn every_builder_makes_a_legal_event_of_its_own_type() {
    use AgUiEventBuilder as Make;
    let object = || serde_json::Map::new();
    let events = [
        Make::text_message_start("m", MessageRole::User),
        Make::text_message_content("m", "x"),
        Make::text_message_end("m"),
        Make::text_message_chunk("m", "x"),
        Make::tool_call_start("c", "f", Some("m".to_owned())),
        Make::tool_call_args("c", "{}"),
        Make::tool_call_end("c"),
        Make::tool_call_chunk("c", "f", "{}"),
        Make::tool_call_result("m", "c", "x"),
        Make::state_snapshot(json!(null)),
        Make::state_delta(vec![JsonPatchOperation::copy_from("/a", "/b")]),
        Make::messages_snapshot(vec![UserMessage::new("1", "hi").into()]),
        Make::activity_snapshot("a", "PLAN", object()),
        Make::activity_delta("a", "PLAN", vec![JsonPatchOperation::test("/a", json!(1))]),
        Make::raw(json!(1), None),
        Make::custom("n", json!(null)),
        Make::run_started("t", "r", Some(RunAgentInput::new("t", "r", vec![]))),
        Make::run_finished("t", "r", Some(json!(null))),
        Make::run_error("m", Some("C".to_owned())),
        Make::step_started("s"),
        Make::step_finished("s"),
        Make::reasoning_start("r"),
        Make::reasoning_message_start("r"),
        Make::reasoning_message_content("r", ""),
        Make::reasoning_message_end("r"),
        Make::reasoning_message_chunk("r", ""),
        Make::reasoning_end("r"),
        Make::reasoning_encrypted_value(EncryptedSubtype::ToolCall, "c", "b64"),
        Make::subagent_started("s", "n"),
        Make::subagent_finished("s", None),
        Make::subagent_error("s", "m", None),
    ];
    let mut types = std::collections::BTreeSet::new();
    for event in &events {
        assert_eq!(event.validate(), Ok(()));
        assert_eq!(
            AgUiEvent::from_json(written(event).as_bytes()).as_ref(),
            Ok(event)
        );
        assert_eq!(
            serde_json::from_value::<AgUiEvent>(value(&written(event))).unwrap(),
            *event
        );
        types.insert(event.event_type().as_str());
    }
    assert_eq!(types.len(), 31);
    let cancelled = Make::run_finished_with("t", "r", RunOutcome::Cancelled);
    assert_eq!(
        value(&written(&cancelled))["outcome"],
        json!({"type": "cancelled"})
    );
}

#[test]
fn only_runs_name_their_thread_and_only_subagents_events_name_one() {
    let started = AgUiEventBuilder::run_started(events_core::ContextId::new("c"), "r", None);
    assert_eq!(
        (started.thread_id(), started.run_id()),
        (Some("c"), Some("r"))
    );
    assert_eq!(started.subagent_run_id(), None);
    let ended = AgUiEventBuilder::subagent_finished("s", None);
    assert_eq!(
        (ended.thread_id(), ended.subagent_run_id()),
        (None, Some("s"))
    );
}
