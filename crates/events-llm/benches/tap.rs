//! What the tap costs for each chunk, with and without somebody who watches.
//!
//! `plain` is the body alone, `quiet` a tap that nobody watches, `watched` one with a subscriber, `agui` one that
//! makes AG-UI events as well.

use std::{
    convert::Infallible,
    hint::black_box,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use divan::{Bencher, counter::ItemsCount};
use events_llm::{
    AgUiEmitter, AgUiObserver, AnswerHead, NoPrices, Provider, RequestInfo, StreamEventBroadcaster,
    Tap,
};
use http_body::{Body, Frame};

fn main() {
    divan::main();
}

/// Recorded answers: their protocol, and their bytes with one event in each chunk.
const ANSWERS: [&str; 3] = ["anthropic", "openai-chat", "ollama"];

struct Answer {
    provider: Provider,
    content_type: &'static str,
    chunks: Vec<Bytes>,
}

fn answer(name: &str) -> Answer {
    let (provider, content_type, body, end): (_, _, &[u8], &str) = match name {
        "anthropic" => (
            Provider::Anthropic,
            "text/event-stream",
            include_bytes!("../tests/fixtures/llm/anthropic/fallback_model_switch.sse"),
            "\n\n",
        ),
        "openai-chat" => (
            Provider::OpenAiChat,
            "text/event-stream",
            include_bytes!("../tests/fixtures/llm/openai-chat/text_with_usage.sse"),
            "\n\n",
        ),
        _ => (
            Provider::Ollama,
            "application/x-ndjson",
            include_bytes!("../tests/fixtures/llm/ollama/text_basic.ndjson"),
            "\n",
        ),
    };
    let text = std::str::from_utf8(body).expect("the recordings are text");
    let chunks = text.split_inclusive(end);
    Answer {
        provider,
        content_type,
        chunks: chunks.map(|chunk| Bytes::from(chunk.to_owned())).collect(),
    }
}

struct Chunks(std::vec::IntoIter<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|chunk| Ok(Frame::data(chunk))))
    }
}

fn drain(mut body: impl Body<Data = Bytes, Error = Infallible> + Unpin) {
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
        let _frame = black_box(frame);
    }
}

fn bench(bencher: Bencher<'_, '_>, name: &str, is_watched: bool, has_agui: bool) {
    let answer = answer(name);
    let broadcaster = Arc::new(StreamEventBroadcaster::default());
    let _receiver = is_watched.then(|| broadcaster.subscribe());
    let tap = Tap::new(broadcaster, Arc::new(NoPrices));
    bencher
        .counter(ItemsCount::new(answer.chunks.len()))
        .bench_local(|| {
            let request = RequestInfo::new("r").with_provider(Some(answer.provider));
            let mut exchange = tap.begin(request);
            if has_agui {
                let emitter = AgUiEmitter::new("thread", "run");
                exchange.observe(Box::new(AgUiObserver::new(emitter, |event| {
                    black_box(event);
                })));
            }
            let head = AnswerHead {
                status: 200,
                content_type: Some(answer.content_type),
                content_encoding: None,
            };
            drain(exchange.tap_body(&head, Chunks(answer.chunks.clone().into_iter())));
        });
}

#[divan::bench(args = ANSWERS)]
fn plain(bencher: Bencher<'_, '_>, name: &str) {
    let answer = answer(name);
    bencher
        .counter(ItemsCount::new(answer.chunks.len()))
        .bench_local(|| drain(Chunks(answer.chunks.clone().into_iter())));
}

#[divan::bench(args = ANSWERS)]
fn quiet(bencher: Bencher<'_, '_>, name: &str) {
    bench(bencher, name, false, false);
}

#[divan::bench(args = ANSWERS)]
fn watched(bencher: Bencher<'_, '_>, name: &str) {
    bench(bencher, name, true, false);
}

#[divan::bench(args = ANSWERS)]
fn agui(bencher: Bencher<'_, '_>, name: &str) {
    bench(bencher, name, true, true);
}
