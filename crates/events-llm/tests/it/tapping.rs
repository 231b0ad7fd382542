//! The bytes pass as they are, and watchers learn what they say.

use std::{
    io::Write as _,
    panic,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use events_llm::{
    AnswerHead, Ending, Extraction, Observer, PriceQuery, PriceSource, ReaderLimits, RequestInfo,
    StreamEventBroadcaster, Tap, TapLimits, TuiStreamEvent, Usd,
};
use futures_util::{FutureExt as _, StreamExt as _};
use http_body::Body;

use crate::{
    fixtures::{self, Fixture},
    proxy::{Next, Script, Watched, drain, head, infallible, terminal, text_of},
};

/// Checks that a tapped body gives the very frames, and returns what watchers were told.
fn pass(fixture: &Fixture, pieces: &[&[u8]]) -> Vec<TuiStreamEvent> {
    let mut watched = Watched::new();
    let exchange = watched.begin(fixture);
    let mut body = exchange.tap_body(&head(fixture), Script::of(pieces.iter().copied()));
    let frames = drain(&mut body);
    let passed: Vec<Bytes> = frames
        .into_iter()
        .map(|frame| frame.unwrap().into_data().unwrap())
        .collect();
    assert!(passed == pieces, "{}: the frames are changed", fixture.name);
    drop(body);
    watched.events()
}

fn choose_text(fixture: &Fixture) -> String {
    let text = fixture.expected["text"].as_str().unwrap();
    let refusal = fixture.expected["refusal"].as_str().unwrap();
    format!("{text}{refusal}")
}

/// Checks that watchers were told what a recorded answer says, and its end once.
pub(crate) fn check_told(fixture: &Fixture, events: &[TuiStreamEvent]) {
    assert_eq!(text_of(events), choose_text(fixture), "{}", fixture.name);
    let expected = &fixture.expected;
    let terminated = expected["if_tail_flushed"]
        .get("terminated")
        .unwrap_or(&expected["terminated"])
        .as_bool()
        .unwrap();
    match terminal(events) {
        TuiStreamEvent::Completed {
            input_tokens,
            output_tokens,
            detail,
            ..
        } => {
            assert!(expected["error"].is_null(), "{}", fixture.name);
            assert!(terminated, "{}", fixture.name);
            assert_eq!(*input_tokens, expected["input_tokens"].as_u64());
            assert_eq!(*output_tokens, expected["output_tokens"].as_u64());
            assert_eq!(
                detail.finish_reason.as_deref(),
                expected["stop_reason"].as_str()
            );
            assert!(!detail.partial);
        }
        TuiStreamEvent::Error { message, .. } => match expected["error"]["message"].as_str() {
            Some(expected) => assert_eq!(message, expected),
            None => {
                assert!(!terminated, "{}", fixture.name);
                assert_eq!(message, "the answer ended before it was complete");
            }
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_answer_passes_unchanged_and_is_told_once() {
    for fixture in fixtures::all() {
        let events = pass(&fixture, &[&fixture.body]);
        check_told(&fixture, &events);
    }
}

#[test]
fn the_frames_keep_their_borders_at_every_cut() {
    for (name, _, cuts) in fixtures::cut_plans() {
        let fixture = fixtures::one(&name);
        pass(&fixture, &fixtures::cut(&fixture.body, &cuts));
    }
}

#[test]
fn trailers_the_size_hint_and_the_end_are_the_bodys_own() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let watched = Watched::new();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-checksum", http::HeaderValue::from_static("1"));
    let mut script = Script::of([&fixture.body[..]]).then(Next::Trailers(trailers.clone()));
    script.is_sized = true;
    let hint = script.size_hint();
    let mut body = watched.begin(&fixture).tap_body(&head(&fixture), script);
    assert_eq!(body.size_hint().exact(), hint.exact());
    assert!(!body.is_end_stream());
    let frames = drain(&mut body);
    assert_eq!(frames[1].as_ref().unwrap().trailers_ref(), Some(&trailers));
    assert!(body.is_end_stream());
}

#[test]
fn a_stream_of_bytes_passes_as_a_body_does() {
    let fixture = fixtures::one("gemini/thinking_stream.sse");
    let mut watched = Watched::new();
    let pieces: Vec<_> = fixture.body.chunks(100).map(infallible).collect();
    let stream = futures_util::stream::iter(pieces.clone());
    let stream = watched.begin(&fixture).tap_stream(&head(&fixture), stream);
    let passed: Vec<_> = stream.collect().now_or_never().unwrap();
    assert_eq!(passed, pieces);
    let events = watched.events();
    assert_eq!(text_of(&events), choose_text(&fixture));
    assert_eq!(terminal(&events).event_type(), "completed");
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_encoded_answer_is_read_and_stays_encoded() {
    let fixture = fixtures::one("openai-chat/text_with_usage.sse");
    for (encoding, encoded) in [
        ("gzip", gzip(&fixture.body)),
        ("zstd", zstd::encode_all(&fixture.body[..], 1).unwrap()),
    ] {
        let mut watched = Watched::new();
        let head = AnswerHead {
            content_encoding: Some(encoding),
            ..head(&fixture)
        };
        let script = Script::of(encoded.chunks(300));
        let mut body = watched.begin(&fixture).tap_body(&head, script);
        let passed: Vec<u8> = drain(&mut body)
            .into_iter()
            .flat_map(|frame| frame.unwrap().into_data().unwrap())
            .collect();
        assert!(passed == encoded);
        assert_eq!(text_of(&watched.events()), choose_text(&fixture));
    }
}

#[test]
fn what_cannot_be_decoded_passes_with_a_notice() {
    let fixture = fixtures::one("openai-chat/text_with_usage.sse");
    for (encoding, encoded, part) in [
        (
            "compress",
            fixture.body.clone(),
            "content-encoding is not known",
        ),
        ("gzip", fixture.body.clone(), "does not decode"),
        ("gzip", gzip(&vec![b' '; 4 << 20]), "over the limit"),
    ] {
        let limits = TapLimits {
            max_decoded_bytes: 1 << 20,
            ..TapLimits::default()
        };
        let mut watched = Watched::new();
        let prices = Arc::new(events_llm::NoPrices);
        watched.tap = Tap::with_limits(Arc::clone(watched.tap.broadcaster()), prices, limits);
        let head = AnswerHead {
            content_encoding: Some(encoding),
            ..head(&fixture)
        };
        let mut body = watched
            .begin(&fixture)
            .tap_body(&head, Script::of(encoded.chunks(999)));
        let n_passed: usize = drain(&mut body)
            .into_iter()
            .map(|frame| frame.unwrap().into_data().unwrap().len())
            .sum();
        assert_eq!(n_passed, encoded.len());
        let events = watched.events();
        let TuiStreamEvent::Completed {
            detail,
            input_tokens: None,
            ..
        } = terminal(&events)
        else {
            panic!("{events:?}");
        };
        let notice = detail.notice.as_deref().unwrap();
        assert!(notice.contains(part), "{notice}");
        assert!(detail.partial);
    }
}

struct Panics;

impl Observer for Panics {
    fn extraction(&mut self, _: &Extraction) {
        panic!("an observer with a mistake");
    }

    fn ending(&mut self, _: &Ending) {
        panic!("an observer with a mistake");
    }
}

#[derive(Debug)]
struct PanickingPrices;

impl PriceSource for PanickingPrices {
    fn price(&self, _: &PriceQuery<'_>) -> Option<Usd> {
        panic!("a price list with a mistake");
    }
}

#[test]
fn a_mistake_beside_the_stream_does_not_touch_it() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let mut watched = Watched::new();
    watched.tap = Tap::new(
        Arc::clone(watched.tap.broadcaster()),
        Arc::new(PanickingPrices),
    );
    let mut exchange = watched.begin(&fixture);
    exchange.observe(Box::new(Panics));
    let mut body = exchange.tap_body(&head(&fixture), Script::of(fixture.body.chunks(50)));
    let frames = drain(&mut body);
    drop(body);
    panic::set_hook(hook);
    assert_eq!(frames.len(), fixture.body.len().div_ceil(50));
    let events = watched.events();
    let TuiStreamEvent::Completed {
        cost_usd: None,
        input_tokens,
        ..
    } = terminal(&events)
    else {
        panic!("{events:?}");
    };
    assert_eq!(*input_tokens, fixture.expected["input_tokens"].as_u64());
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Extraction>>>);

impl Observer for Seen {
    fn extraction(&mut self, extraction: &Extraction) {
        self.0.lock().unwrap().push(extraction.clone());
    }

    fn ending(&mut self, _: &Ending) {}
}

#[test]
fn a_frame_is_handed_on_before_it_is_read_and_read_when_nothing_more_has_come() {
    let fixture = fixtures::one("openai-chat/basic_no_usage.sse");
    let seen = Seen::default();
    let watched = Watched::new();
    let mut exchange = watched.begin(&fixture);
    exchange.observe(Box::new(seen.clone()));
    let script = Script::of([&fixture.body[..]]).then(Next::Waiting);
    let mut body = exchange.tap_body(&head(&fixture), script);
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut body).poll_frame(&mut context).is_ready());
    assert!(seen.0.lock().unwrap().is_empty(), "the bytes go first");
    assert!(matches!(
        Pin::new(&mut body).poll_frame(&mut context),
        Poll::Pending
    ));
    assert!(!seen.0.lock().unwrap().is_empty());
}

#[test]
fn without_a_known_route_a_stream_is_read_and_a_body_is_not() {
    for (name, content_type, is_read) in [
        ("anthropic/text_basic.sse", "text/event-stream", true),
        ("ollama/text_basic.ndjson", "application/x-ndjson", true),
        ("anthropic/text_basic.sse", "audio/mpeg", false),
    ] {
        let fixture = fixtures::one(name);
        let mut watched = Watched::new();
        let exchange = watched.tap.begin(RequestInfo::new("r"));
        let head = AnswerHead {
            status: 200,
            content_type: Some(content_type),
            content_encoding: None,
        };
        let mut body = exchange.tap_body(&head, Script::of([&fixture.body[..]]));
        drain(&mut body);
        let events = watched.events();
        assert_eq!(terminal(&events).event_type(), "completed");
        assert_eq!(!text_of(&events).is_empty(), is_read, "{name}");
        let TuiStreamEvent::Started { model, .. } = &events[0] else {
            panic!("{events:?}");
        };
        let expected = if is_read {
            fixture.expected["model"].as_str().unwrap()
        } else {
            ""
        };
        assert_eq!(model, expected, "the model that answers");
    }
}

#[test]
fn an_event_that_is_too_large_is_passed_over_with_a_notice() {
    let fixture = fixtures::one("openai-responses/web_search_tool.sse");
    let limits = TapLimits {
        reader: ReaderLimits {
            max_event_bytes: 2_048,
        },
        ..TapLimits::default()
    };
    let broadcaster = Arc::new(StreamEventBroadcaster::default());
    let prices = Arc::new(events_llm::NoPrices);
    let mut watched = Watched {
        receiver: broadcaster.subscribe(),
        tap: Tap::with_limits(broadcaster, prices, limits),
    };
    drain(
        &mut watched
            .begin(&fixture)
            .tap_body(&head(&fixture), Script::of([&fixture.body[..]])),
    );
    let events = watched.events();
    assert_eq!(text_of(&events), choose_text(&fixture));
    let TuiStreamEvent::Completed { detail, .. } = terminal(&events) else {
        panic!("{events:?}");
    };
    assert!(detail.notice.as_deref().unwrap().contains("too large"));
    assert!(detail.estimated_output_tokens.is_some());
}
