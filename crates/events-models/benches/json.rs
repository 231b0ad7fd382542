//! Reading, writing and admitting AG-UI events, reading and writing A2A events: time and allocations of each.

use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use events_models::{
    A2AEvent, AgUiEvent, AgUiEventBuilder, MessageRole, agui::intake::ThreadIntake,
};

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

/// About 200 bytes.
fn content() -> AgUiEvent {
    AgUiEventBuilder::text_message_content("m1", "x".repeat(110))
}

/// 200 messages, about 100 KB, with escapes.
fn snapshot() -> AgUiEvent {
    let messages: Vec<_> = (0..200)
        .map(|number| {
            let text = "He said \\\"so be it\\\"\\n, and so it was. ".repeat(12);
            format!(r#"{{"id":"m{number}","role":"user","content":"{text}"}}"#)
        })
        .collect();
    let json = format!(
        r#"{{"type":"MESSAGES_SNAPSHOT","messages":[{}]}}"#,
        messages.join(",")
    );
    AgUiEvent::from_json(json.as_bytes()).expect("a legal event")
}

fn json_of(event: &AgUiEvent) -> Vec<u8> {
    let mut json = Vec::new();
    event.write_json(&mut json).expect("an event is JSON");
    json
}

fn read(bencher: Bencher<'_, '_>, event: &AgUiEvent) {
    let json = json_of(event);
    bencher
        .counter(BytesCount::new(json.len()))
        .bench_local(|| AgUiEvent::from_json(black_box(&json)).expect("a legal event"));
}

/// Writes into a buffer that is reused.
fn write(bencher: Bencher<'_, '_>, event: &AgUiEvent) {
    let mut json = json_of(event);
    bencher
        .counter(BytesCount::new(json.len()))
        .bench_local(|| {
            json.clear();
            black_box(event)
                .write_json(&mut json)
                .expect("an event is JSON");
            json.len()
        });
}

#[divan::bench]
fn from_json_content(bencher: Bencher<'_, '_>) {
    read(bencher, &content());
}

/// As a client with another order of members writes it.
#[divan::bench]
fn from_json_content_reordered(bencher: Bencher<'_, '_>) {
    let json = format!(
        r#"{{"messageId":"m1","type":"TEXT_MESSAGE_CONTENT","delta":"{}","timestamp":1700000000000}}"#,
        "x".repeat(110)
    );
    bencher
        .counter(BytesCount::new(json.len()))
        .bench_local(|| AgUiEvent::from_json(black_box(json.as_bytes())).expect("a legal event"));
}

#[divan::bench]
fn from_json_snapshot(bencher: Bencher<'_, '_>) {
    read(bencher, &snapshot());
}

#[divan::bench]
fn write_json_content(bencher: Bencher<'_, '_>) {
    write(bencher, &content());
}

#[divan::bench]
fn write_json_snapshot(bencher: Bencher<'_, '_>) {
    write(bencher, &snapshot());
}

#[divan::bench]
fn validate_content(bencher: Bencher<'_, '_>) {
    let event = content();
    bencher.bench_local(|| black_box(&event).validate());
}

#[divan::bench]
fn admit_content(bencher: Bencher<'_, '_>) {
    let mut thread = ThreadIntake::default();
    let mut admitted = Vec::new();
    for event in [
        AgUiEventBuilder::run_started("thread", "run", None),
        AgUiEventBuilder::text_message_start("m1", MessageRole::Assistant),
    ] {
        thread.admit(event, &mut admitted).expect("allowed here");
    }
    bencher.with_inputs(content).bench_local_values(|event| {
        admitted.clear();
        thread.admit(event, &mut admitted).expect("allowed here");
    });
}

/// A piece of an artifact, about 200 bytes.
const A2A_CHUNK: &[u8] = br#"{"artifactUpdate":{"taskId":"task-0001","contextId":"context-0001","artifact":{"artifactId":"report","parts":[{"text":"The next few words of a long report, and then some."}]},"append":true}}"#;

#[divan::bench]
fn from_json_a2a_chunk(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::new(A2A_CHUNK.len()))
        .bench_local(|| A2AEvent::from_json(black_box(A2A_CHUNK)).expect("a legal event"));
}

#[divan::bench]
fn write_json_a2a_chunk(bencher: Bencher<'_, '_>) {
    let event = A2AEvent::from_json(A2A_CHUNK).expect("a legal event");
    let mut json = Vec::with_capacity(2 * A2A_CHUNK.len());
    bencher
        .counter(BytesCount::new(A2A_CHUNK.len()))
        .bench_local(|| {
            json.clear();
            black_box(&event)
                .write_json(&mut json)
                .expect("an event is JSON");
            json.len()
        });
}
