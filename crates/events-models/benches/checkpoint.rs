//! Saving a thread and reading it again: what it costs a replica to begin.

use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use events_models::{
    AgUiEvent, AgUiEventBuilder as Make, JsonPatchOperation, MessageRole,
    agui::{
        checkpoint::{self, ThreadLimits},
        fold::ThreadContent,
        intake::ThreadIntake,
    },
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// So many messages of 4 KiB each, each with a call of a tool, and a state that was patched.
fn thread(n_messages: usize) -> (ThreadIntake, ThreadContent) {
    let (mut intake, mut content) = (ThreadIntake::default(), ThreadContent::default());
    let mut tell = |event: AgUiEvent| {
        let mut out = Vec::new();
        intake.admit(event, &mut out).expect("a valid run");
        out.into_iter().for_each(|event| content.take(event));
    };
    tell(Make::run_started("thread", "run", None));
    tell(Make::state_snapshot(
        json!({"count": 0, "names": ["one", "two"], "share": 0.25}),
    ));
    let counted = JsonPatchOperation::replace("/count", json!(1));
    tell(Make::state_delta(vec![counted]));
    for number in 0..n_messages {
        let (id, call) = (format!("message-{number}"), format!("call-{number}"));
        tell(Make::text_message_start(&*id, MessageRole::Assistant));
        tell(Make::text_message_content(
            &*id,
            "Forty letters of text and a line's end.\n".repeat(97),
        ));
        tell(Make::text_message_end(&*id));
        tell(Make::tool_call_start(&*call, "search", Some(id)));
        tell(Make::tool_call_args(&*call, r#"{"query":"soup"}"#));
        tell(Make::tool_call_end(&*call));
    }
    assert!(!content.is_too_large(), "the bench is about what is kept");
    (intake, content)
}

fn saved((intake, content): &(ThreadIntake, ThreadContent)) -> Vec<u8> {
    let mut saved = Vec::new();
    checkpoint::write(intake, content, &mut saved).expect("a thread has a form");
    saved
}

/// One message, and about the most that a thread holds.
const SIZES: [usize; 2] = [1, 715];

#[divan::bench(args = SIZES)]
fn write(bencher: Bencher<'_, '_>, n_messages: usize) {
    let thread = thread(n_messages);
    let n_bytes = saved(&thread).len();
    bencher
        .counter(BytesCount::new(n_bytes))
        .bench_local(|| saved(black_box(&thread)));
}

#[divan::bench(args = SIZES)]
fn read(bencher: Bencher<'_, '_>, n_messages: usize) {
    let saved = saved(&thread(n_messages));
    bencher
        .counter(BytesCount::new(saved.len()))
        .bench_local(|| checkpoint::read(black_box(&saved), ThreadLimits::default()));
}
