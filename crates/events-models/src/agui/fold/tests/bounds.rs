//! What a thread may hold.

use events_core::Fold;
use serde_json::json;

use super::{START, json_of, run};
use crate::{
    AgUiEvent, AgUiEventBuilder as Make, JsonPatchOperation,
    agui::{
        StateDelta,
        fold::{MAX_BYTES, Reader, ThreadFold},
        tests::event,
    },
};

const OPEN: &str = r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#;

fn say(fold: &mut ThreadFold, n_bytes: usize) {
    fold.apply(Make::text_message_content("m", "x".repeat(n_bytes)))
        .unwrap();
}

fn types(events: &[AgUiEvent]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| event.event_type().as_str())
        .collect()
}

#[test]
fn beyond_the_bound_only_ids_stay_and_a_joiner_is_told() {
    let mut fold = run(&[OPEN]);
    let since = fold.open();
    say(&mut fold, MAX_BYTES - MAX_BYTES / 4);
    assert!(!fold.content().is_too_large());
    say(&mut fold, MAX_BYTES / 4);
    assert!(fold.content().is_too_large());
    assert!(fold.size() < 4_096, "{}", fold.size());
    assert_eq!(types(&fold.prelude()), ["RUN_STARTED", "RUN_ERROR"]);
    assert_eq!(json_of(&fold.prelude())[1]["code"], "thread_too_large");
    assert_eq!(types(&fold.catch_up(&since)), ["RUN_ERROR"]);
    // The order is still that of the thread.
    fold.apply(event(r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#))
        .unwrap();
}

#[test]
fn escapes_count_as_they_are_written() {
    let mut fold = run(&[OPEN]);
    let text = "\u{0001}".repeat(MAX_BYTES / 6);
    fold.apply(Make::text_message_content("m", text)).unwrap();
    assert!(fold.content().is_too_large());
}

#[test]
fn a_snapshot_or_an_input_makes_it_whole_again() {
    let snapshot = r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"m","role":"assistant","content":"short"}]}"#;
    let mut fold = run(&[OPEN]);
    say(&mut fold, MAX_BYTES);
    say(&mut fold, 1);
    fold.apply(event(snapshot)).unwrap();
    assert!(!fold.content().is_too_large());
    say(&mut fold, 1);
    assert_eq!(
        json_of(&fold.prelude())[1]["messages"][0]["content"],
        "shortx"
    );

    let mut fold = run(&[OPEN, r#"{"type":"STATE_SNAPSHOT","snapshot":1}"#]);
    say(&mut fold, MAX_BYTES);
    fold.apply(event(snapshot)).unwrap();
    assert!(fold.content().is_too_large(), "the state is still lost");
    fold.apply(event(r#"{"type":"RUN_ERROR","message":"no"}"#))
        .unwrap();
    fold.apply(event(START)).unwrap();
    assert!(
        fold.content().is_too_large(),
        "a run without input says nothing of it"
    );
    fold.apply(event(r#"{"type":"RUN_ERROR","message":"no"}"#))
        .unwrap();
    fold.apply(event(r#"{"type":"RUN_STARTED","threadId":"t","runId":"r","input":{"threadId":"t","runId":"r","messages":[]}}"#)).unwrap();
    assert!(!fold.content().is_too_large());
    assert_eq!(fold.content().state(), None);
}

#[test]
fn a_patch_cannot_make_a_state_larger_or_deeper_than_can_be_sent() {
    let mut fold = run(&[r#"{"type":"STATE_SNAPSHOT","snapshot":{"a":["some text"]}}"#]);
    let doubling = StateDelta::new(vec![JsonPatchOperation::copy_from("/a", "/a/-")]);
    for _ in 0..40 {
        fold.apply(doubling.clone().into()).unwrap();
        assert!(fold.size() < 2 * MAX_BYTES);
    }
    assert!(fold.content().is_too_large());

    let mut fold = run(&[r#"{"type":"STATE_SNAPSHOT","snapshot":[]}"#]);
    for depth in 0..200 {
        let path = "/0".repeat(depth + 1);
        let deeper = StateDelta::new(vec![JsonPatchOperation::add(path, json!([]))]);
        fold.apply(deeper.into()).unwrap();
    }
    assert!(fold.content().is_too_large());
}

#[test]
fn patches_that_replace_do_not_let_the_size_grow() {
    let mut fold = run(&[r#"{"type":"STATE_SNAPSHOT","snapshot":{"n":0}}"#]);
    let text = "y".repeat(1_000);
    for _ in 0..10_000 {
        let delta = StateDelta::new(vec![JsonPatchOperation::replace("/n", json!(text))]);
        fold.apply(delta.into()).unwrap();
    }
    assert!(!fold.content().is_too_large());
    assert!(fold.size() < 16_384, "{}", fold.size());
}

#[test]
fn a_too_large_thread_tells_the_older_generation_the_same() {
    let mut fold = run(&[OPEN]);
    say(&mut fold, MAX_BYTES);
    let reader = Reader {
        generation: crate::agui::fold::Generation::V0_0_59,
        ..Reader::default()
    };
    let told = fold.content().prelude(fold.order(), &reader);
    assert_eq!(types(&told), ["RUN_STARTED", "RUN_ERROR"]);
}
