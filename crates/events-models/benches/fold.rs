//! Folding AG-UI threads: what a delta costs, and what a joiner costs.

use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use events_models::{
    AgUiEvent, AgUiEventBuilder as Make, JsonPatchOperation, MessageRole,
    agui::{
        fold::{Reader, ThreadContent},
        order::ThreadOrder,
    },
};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    // Many samples of many runs: the minimum and the median then hold on a machine with neighbours.
    divan::Divan::default()
        .sample_count(500)
        .sample_size(64)
        .max_time(Duration::from_millis(1_500))
        .config_with_args()
        .main();
}

/// About 200 bytes of JSON.
fn text_delta() -> AgUiEvent {
    Make::text_message_content("m1", "x".repeat(110))
}

fn state_delta() -> AgUiEvent {
    Make::state_delta(vec![JsonPatchOperation::replace("/item42/count", json!(7))])
}

/// About 5 KB.
fn state() -> Value {
    (0..100)
        .map(|number| {
            (
                format!("item{number}"),
                json!({"count": number, "name": "something"}),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A run with an open message, and the order that goes with it.
fn thread(n_deltas: usize) -> (ThreadContent, ThreadOrder) {
    let (mut content, mut order) = (ThreadContent::default(), ThreadOrder::default());
    let opening = [
        Make::run_started("thread", "run", None),
        Make::state_snapshot(state()),
        Make::state_delta(vec![JsonPatchOperation::replace("/item1/count", json!(1))]),
        Make::text_message_start("m1", MessageRole::Assistant),
    ];
    let deltas = (0..n_deltas).map(|_| text_delta());
    for event in opening.into_iter().chain(deltas) {
        order.check(&event).expect("a valid run");
        content.take(event);
    }
    (content, order)
}

fn json_of(event: &AgUiEvent) -> Vec<u8> {
    let mut json = Vec::new();
    event.write_json(&mut json).expect("an event is JSON");
    json
}

/// Starts afresh now and then, so that the bound is never met.
fn take(bencher: Bencher<'_, '_>, event: fn() -> AgUiEvent) {
    let (mut content, _) = thread(0);
    let mut n_taken = 0;
    bencher.with_inputs(event).bench_local_values(|event| {
        n_taken += 1;
        if n_taken % 16_384 == 0 {
            content = thread(0).0;
        }
        content.take(event);
    });
}

#[divan::bench]
fn take_text_delta(bencher: Bencher<'_, '_>) {
    take(bencher, text_delta);
}

#[divan::bench]
fn take_state_delta(bencher: Bencher<'_, '_>) {
    take(bencher, state_delta);
}

/// What a replica does that folds from its log.
#[divan::bench]
fn read_and_take_text_delta(bencher: Bencher<'_, '_>) {
    let json = json_of(&text_delta());
    let (mut content, _) = thread(0);
    let mut n_taken = 0;
    bencher.bench_local(|| {
        n_taken += 1;
        if n_taken % 16_384 == 0 {
            content = thread(0).0;
        }
        let event = AgUiEvent::from_json(black_box(&json)).expect("a legal event");
        content.take(event);
    });
}

#[divan::bench(args = [100, 10_000], sample_size = 4)]
fn prelude(bencher: Bencher<'_, '_>, n_deltas: usize) {
    let (content, order) = thread(n_deltas);
    bencher.bench_local(|| black_box(&content).prelude(&order, &Reader::default()));
}
