//! Every answer is a valid AG-UI run, wherever it is cut.

use std::sync::{Arc, Mutex};

use events_llm::{AgUiEmitter, AgUiObserver};
use events_models::{AgUiEvent, agui::order::ThreadOrder};

use crate::{
    fixtures::{self, Fixture},
    proxy::{Next, Script, Watched, drain, head},
};

/// Passes a part of an answer through a tap and returns its AG-UI events.
fn run(fixture: &Fixture, pieces: &[&[u8]], last: Option<Next>) -> Vec<AgUiEvent> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let watched = Watched::new();
    let mut exchange = watched.begin(fixture);
    let emitter = AgUiEmitter::new("thread", "run");
    exchange.observe(Box::new(AgUiObserver::new(emitter, move |event| {
        sink.lock().unwrap().push(event);
    })));
    let mut script = Script::of(pieces.iter().copied());
    script.next.extend(last);
    drain(&mut exchange.tap_body(&head(fixture), script));
    let events = std::mem::take(&mut *events.lock().unwrap());
    check(fixture, &events);
    events
}

fn check(fixture: &Fixture, events: &[AgUiEvent]) {
    let mut order = ThreadOrder::default();
    for event in events {
        if let Err(error) = order.check(event) {
            panic!("{}: {error}\n{events:#?}", fixture.name);
        }
        let mut json = Vec::new();
        event.write_json(&mut json).unwrap();
        assert_eq!(AgUiEvent::from_json(&json).as_ref(), Ok(event));
    }
    assert!(!order.is_run_active(), "{}: the run goes on", fixture.name);
}

fn text_of(events: &[AgUiEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        AgUiEvent::TextMessageContent(content) => Some(content.delta.as_str()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn every_answer_is_a_valid_run_that_says_the_same() {
    for fixture in fixtures::all() {
        let events = run(&fixture, &[&fixture.body], None);
        let expected = &fixture.expected;
        let text = format!(
            "{}{}",
            expected["text"].as_str().unwrap(),
            expected["refusal"].as_str().unwrap()
        );
        assert_eq!(text_of(&events), text, "{}", fixture.name);
        let n_calls = events
            .iter()
            .filter(|event| matches!(event, AgUiEvent::ToolCallStart(_)));
        assert_eq!(
            n_calls.count(),
            expected["tool_calls"].as_array().unwrap().len()
        );
        let usage = match events.last().unwrap() {
            AgUiEvent::RunFinished(end) => {
                assert!(expected["error"].is_null(), "{}", fixture.name);
                end.usage.as_ref()
            }
            AgUiEvent::RunError(end) => {
                if let Some(message) = expected["error"]["message"].as_str() {
                    assert_eq!(end.message, message, "{}", fixture.name);
                }
                end.usage.as_ref()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(usage.is_some(), expected["usage_seen"], "{}", fixture.name);
        if let Some(usage) = usage {
            assert_eq!(usage[0].input_tokens, expected["input_tokens"].as_u64());
            assert_eq!(usage[0].output_tokens, expected["output_tokens"].as_u64());
            assert_eq!(usage[0].model.as_deref(), expected["model"].as_str());
        }
    }
}

#[test]
fn every_cut_plan_gives_the_same_run() {
    let types =
        |events: &[AgUiEvent]| -> Vec<_> { events.iter().map(AgUiEvent::event_type).collect() };
    for (name, plan, cuts) in fixtures::cut_plans() {
        let fixture = fixtures::one(&name);
        let whole = run(&fixture, &[&fixture.body], None);
        let cut = run(&fixture, &fixtures::cut(&fixture.body, &cuts), None);
        assert_eq!(types(&cut), types(&whole), "{name} {plan}");
    }
}

#[test]
fn an_answer_that_is_cut_anywhere_is_a_valid_run() {
    for fixture in fixtures::all().into_iter().filter(Fixture::is_stream) {
        for end in (0..fixture.body.len()).step_by(fixture.body.len() / 25 + 1) {
            for last in [None, Some(Next::Broken), Some(Next::Waiting)] {
                run(&fixture, &[&fixture.body[..end]], last);
            }
        }
    }
}
