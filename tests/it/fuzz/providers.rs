//! Answers of language models: the bytes pass unchanged, and what is read from them does not depend on the cuts.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use events_llm::{
    AgUiEmitter, AgUiObserver, AnswerHead, NoPrices, Provider, ReaderLimits, RequestInfo,
    StreamEventBroadcaster, Tap, TapLimits, TuiStreamEvent,
};
use events_models::AgUiEvent;
use events_models::agui::order::ThreadOrder;
use events_tests::fuzz::{Example, Fuzz, cuts, files};
use events_tests::skip::workspace_root;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::broadcast::error::TryRecvError;

use super::{ensure, must_find};

const PROVIDERS: [(&str, Provider, &str); 5] = [
    ("anthropic", Provider::Anthropic, "text/event-stream"),
    ("openai-chat", Provider::OpenAiChat, "text/event-stream"),
    (
        "openai-responses",
        Provider::OpenAiResponses,
        "text/event-stream",
    ),
    ("gemini", Provider::Gemini, "text/event-stream"),
    ("ollama", Provider::Ollama, "application/x-ndjson"),
];

fn examples() -> Vec<Example> {
    let folder = workspace_root().join("crates/events-llm/tests/fixtures/llm");
    let mut examples = Vec::new();
    for (name, ..) in PROVIDERS {
        examples.extend(files(&folder.join(name)));
    }
    examples.retain(|example| example.bytes.len() < 6 << 10);
    examples
}

/// What watchers and the log are told of one answer.
#[derive(Debug, PartialEq)]
struct Told {
    passed: Vec<u8>,
    text: String,
    n_started: usize,
    n_ended: usize,
    last: Option<String>,
    run: Vec<String>,
}

fn pass(
    provider: Option<Provider>,
    content_type: &str,
    chunks: &[&[u8]],
    change: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<Told, String> {
    let broadcaster = Arc::new(StreamEventBroadcaster::new(1 << 12));
    let mut receiver = broadcaster.subscribe();
    let reader = ReaderLimits {
        max_event_bytes: 16 << 10,
    };
    let limits = TapLimits {
        reader,
        ..TapLimits::default()
    };
    let tap = Tap::with_limits(broadcaster, Arc::new(NoPrices), limits);
    let mut exchange = tap.begin(RequestInfo::new("r").with_provider(provider));
    let events: Arc<Mutex<Vec<AgUiEvent>>> = Arc::default();
    let sink = Arc::clone(&events);
    let emitter = AgUiEmitter::new("t", "r");
    exchange.observe(Box::new(AgUiObserver::new(emitter, move |event| {
        sink.lock().expect("no panic").push(event);
    })));
    let head = AnswerHead {
        status: 200,
        content_type: Some(content_type),
        content_encoding: None,
    };
    let answer = chunks
        .iter()
        .map(|chunk| Ok::<_, Infallible>(Bytes::from(change(chunk))));
    let answer: Vec<_> = answer.collect();
    let passed: Option<Vec<Bytes>> = exchange
        .tap_stream(&head, stream::iter(answer))
        .map(|chunk| chunk.unwrap_or_default())
        .collect()
        .now_or_never();
    let mut told = Told {
        passed: passed.ok_or("the tap waits")?.concat(),
        text: String::new(),
        n_started: 0,
        n_ended: 0,
        last: None,
        run: Vec::new(),
    };
    loop {
        match receiver.try_recv() {
            Ok(TuiStreamEvent::Started { .. }) => told.n_started += 1,
            Ok(TuiStreamEvent::TextDelta { text, .. }) => told.text.push_str(&text),
            Ok(event) => {
                told.n_ended += 1;
                told.last = Some(event.event_type().to_owned());
            }
            Err(TryRecvError::Lagged(n_lost)) => {
                return Err(format!("{n_lost} events of one answer"));
            }
            Err(_) => break,
        }
    }
    let mut order = ThreadOrder::default();
    let events = std::mem::take(&mut *events.lock().expect("no panic"));
    for event in &events {
        order
            .check(event)
            .map_err(|error| format!("{error}: {events:?}"))?;
        event
            .validate()
            .map_err(|error| format!("{error}: {event:?}"))?;
        let mut event = serde_json::to_value(event).map_err(|error| error.to_string())?;
        if let Some(members) = event.as_object_mut() {
            members.remove("timestamp");
        }
        told.run.push(event.to_string());
    }
    ensure!(
        order.run_id().is_none() && !order.has_open_items(),
        "the run is open: {events:?}"
    );
    Ok(told)
}

fn check(answer: &[u8], change: impl Fn(&[u8]) -> Vec<u8>) -> Result<(), String> {
    let named = PROVIDERS.map(|(_, provider, content_type)| (Some(provider), content_type));
    let unnamed = [(None, "text/event-stream"), (None, "application/json")];
    let readers: Vec<_> = named.into_iter().chain(unnamed).collect();
    // Two of them with each input.
    let n_bytes = answer.len();
    for (provider, content_type) in [readers[n_bytes % 7], readers[n_bytes / 7 % 7]] {
        let cut = pass(provider, content_type, &cuts(answer), &change)?;
        ensure!(cut.passed == answer, "{provider:?}: the bytes were changed");
        ensure!(
            (cut.n_started, cut.n_ended) == (1, 1),
            "{provider:?}: {cut:?}"
        );
        let whole = pass(provider, content_type, &[answer], |bytes| bytes.to_vec())?;
        // Deltas of one read may be told as one, and that is all that the cuts may change.
        let is_same = (&cut.text, &cut.last) == (&whole.text, &whole.last);
        ensure!(is_same, "{provider:?}: cut {cut:?}\nwhole {whole:?}");
        ensure!(
            cut.run == whole.run,
            "{provider:?}: cut {:#?}\nwhole {:#?}",
            cut.run,
            whole.run
        );
    }
    Ok(())
}

#[test]
fn an_answer_passes_unchanged_and_is_read_the_same_however_it_is_cut() {
    Fuzz::new("providers", examples()).run(|answer| check(answer, <[u8]>::to_vec));
}

#[test]
fn a_tap_that_passes_text_instead_of_bytes_is_found() {
    let as_text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_bytes();
    let mut examples = examples();
    examples.retain(|example| example.bytes.is_ascii());
    let fuzz = Fuzz::new("providers", examples);
    must_find(&fuzz, "a tap that passes text", |answer| {
        check(answer, as_text)
    });
}
