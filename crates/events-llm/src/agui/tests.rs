//! Runs out of extractions that come in any order.

use events_models::agui::order::ThreadOrder;
use proptest::prelude::*;

use super::{items::MAX_DELTA, *};
use crate::StreamFailure;

fn run(extractions: &[Extraction], ending: &Ending) -> Vec<AgUiEvent> {
    let mut emitter = AgUiEmitter::new("thread", "run").with_vendor(Some("v".to_owned()));
    let mut events = Vec::new();
    for extraction in extractions {
        emitter.extraction(extraction, &mut |event| events.push(event));
    }
    emitter.finish(ending, &mut |event| events.push(event));
    emitter.finish(ending, &mut |_| panic!("a run ends once"));
    events
}

fn types(events: &[AgUiEvent]) -> Vec<&'static str> {
    events
        .iter()
        .map(|event| event.event_type().as_str())
        .collect()
}

fn check_order(events: &[AgUiEvent]) {
    let mut order = ThreadOrder::default();
    for event in events {
        order.check(event).unwrap();
        let mut json = Vec::new();
        event.write_json(&mut json).unwrap();
        assert_eq!(AgUiEvent::from_json(&json).as_ref(), Ok(event));
    }
    assert!(!order.is_run_active());
}

fn text(delta: &str) -> Extraction {
    Extraction::Text {
        choice: 0,
        delta: delta.to_owned(),
    }
}

fn thought(delta: &str) -> Extraction {
    Extraction::Reasoning {
        choice: 0,
        delta: delta.to_owned(),
    }
}

fn call(call: u32, id: &str) -> Extraction {
    Extraction::ToolCallStarted {
        choice: 0,
        call,
        id: Some(id.to_owned()),
        name: "n".to_owned(),
        is_server: false,
    }
}

fn value(call: Option<u32>) -> Extraction {
    Extraction::Encrypted {
        call,
        value: "v".to_owned(),
    }
}

#[test]
fn a_thought_a_text_and_a_call_become_a_run() {
    let events = run(
        &[
            thought("hm"),
            Extraction::ReasoningEnded { choice: 0 },
            value(None),
            text("I look."),
            call(0, "c"),
            Extraction::ToolCallArguments {
                call: 0,
                delta: "{}".to_owned(),
            },
            Extraction::ToolCallEnded { call: 0 },
        ],
        &Ending::default(),
    );
    assert_eq!(
        types(&events),
        [
            "RUN_STARTED",
            "REASONING_START",
            "REASONING_MESSAGE_START",
            "REASONING_MESSAGE_CONTENT",
            "REASONING_MESSAGE_END",
            "REASONING_END",
            "REASONING_ENCRYPTED_VALUE",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_CONTENT",
            "TEXT_MESSAGE_END",
            "TOOL_CALL_START",
            "TOOL_CALL_ARGS",
            "TOOL_CALL_END",
            "RUN_FINISHED",
        ]
    );
    check_order(&events);
}

#[test]
fn a_failure_ends_the_run_with_the_tokens_that_are_known() {
    let ending = Ending {
        failure: Some(StreamFailure {
            kind: Some("overloaded_error".to_owned()),
            code: None,
            message: "Overloaded".to_owned(),
        }),
        model: Some("m".to_owned()),
        usage: Some(Usage {
            input_tokens: Some(3),
            ..Usage::default()
        }),
        ..Ending::default()
    };
    let events = run(&[text("so f")], &ending);
    check_order(&events);
    let Some(AgUiEvent::RunError(error)) = events.last() else {
        panic!("the run fails");
    };
    assert_eq!(error.code.as_deref(), Some("overloaded_error"));
    let usage = &error.usage.as_ref().unwrap()[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.total_tokens),
        (Some(3), None, None)
    );
    assert_eq!(
        (usage.provider.as_deref(), usage.model.as_deref()),
        (Some("v"), Some("m"))
    );
}

#[test]
fn calls_of_one_turn_share_their_message_and_a_repeated_id_is_another_call() {
    let events = run(&[call(0, "c"), call(1, "c")], &Ending::default());
    check_order(&events);
    let starts: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            AgUiEvent::ToolCallStart(start) => Some(start),
            _ => None,
        })
        .collect();
    assert_eq!(starts[0].parent_message_id, starts[1].parent_message_id);
    assert_ne!(starts[0].tool_call_id, starts[1].tool_call_id);
    assert_eq!(starts[0].tool_call_id.as_str(), "c");
}

#[test]
fn a_restart_closes_what_is_open_and_goes_on_with_a_new_message() {
    let events = run(
        &[text("a"), Extraction::Restarted, text("b")],
        &Ending::default(),
    );
    check_order(&events);
    let starts = types(&events)
        .iter()
        .filter(|name| **name == "TEXT_MESSAGE_START")
        .count();
    assert_eq!(starts, 2);
}

#[test]
fn other_alternatives_are_not_shown() {
    let other = Extraction::Text {
        choice: 1,
        delta: "x".to_owned(),
    };
    let events = run(&[other], &Ending::default());
    assert_eq!(types(&events), ["RUN_STARTED", "RUN_FINISHED"]);
}

#[test]
fn a_long_text_becomes_several_events_of_whole_characters() {
    let long = "\u{20ac}".repeat(100_000);
    let events = run(&[text(&long)], &Ending::default());
    let deltas: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            AgUiEvent::TextMessageContent(content) => Some(content.delta.as_str()),
            _ => None,
        })
        .collect();
    assert!(deltas.len() > 4 && deltas.iter().all(|delta| delta.len() <= MAX_DELTA));
    assert_eq!(deltas.concat(), long);
}

fn any_extraction() -> impl Strategy<Value = Extraction> {
    prop_oneof![
        Just(text("t")),
        Just(thought("r")),
        Just(Extraction::ReasoningEnded { choice: 0 }),
        Just(Extraction::Restarted),
        Just(Extraction::Ended),
        Just(value(None)),
        (0_u32..4).prop_map(|number| value(Some(number))),
        (0_u32..4, 0_u32..3).prop_map(|(number, id)| call(number, &id.to_string())),
        (0_u32..4).prop_map(|call| Extraction::ToolCallArguments {
            call,
            delta: "{".to_owned()
        }),
        (0_u32..4).prop_map(|call| Extraction::ToolCallEnded { call }),
        (0_u32..4).prop_map(|call| Extraction::ToolCallResult {
            call,
            content: "[]".to_owned()
        }),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_the_run_is_valid(
        extractions in proptest::collection::vec(any_extraction(), 0..60),
        has_failed: bool,
    ) {
        let ending = Ending {
            failure: has_failed.then(StreamFailure::default),
            ..Ending::default()
        };
        check_order(&run(&extractions, &ending));
    }
}
