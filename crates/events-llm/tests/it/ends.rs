//! Exactly one end, whatever happens to an exchange.

use std::sync::Arc;

use events_llm::{Exchange, StreamState, TuiStreamEvent};

use crate::{
    fixtures::{self, Fixture},
    proxy::{Next, Script, Watched, drain, head, terminal, text_of},
};

fn error_message(events: &[TuiStreamEvent]) -> &str {
    let TuiStreamEvent::Error { message, .. } = terminal(events) else {
        panic!("{events:?}");
    };
    message
}

#[test]
fn a_client_that_leaves_before_the_answer_is_told() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let mut watched = Watched::new();
    drop(watched.begin(&fixture));
    assert_eq!(error_message(&watched.events()), "client disconnected");
}

#[test]
fn an_exchange_without_an_answer_says_why() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let mut watched = Watched::new();
    watched
        .begin(&fixture)
        .fail("the provider cannot be reached");
    assert_eq!(
        error_message(&watched.events()),
        "the provider cannot be reached"
    );
}

#[test]
fn a_client_may_leave_after_any_frame() {
    for fixture in fixtures::all().into_iter().filter(Fixture::is_stream) {
        let size = fixture.body.len() / 12 + 1;
        let n_frames = fixture.body.len().div_ceil(size);
        for n_read in 0..=n_frames {
            let mut watched = Watched::new();
            let script = Script::of(fixture.body.chunks(size).take(n_read)).then(Next::Waiting);
            let mut body = watched.begin(&fixture).tap_body(&head(&fixture), script);
            assert_eq!(drain(&mut body).len(), n_read);
            drop(body);
            let events = watched.events();
            let is_whole = n_read == n_frames;
            if let TuiStreamEvent::Completed { detail, .. } = terminal(&events) {
                assert!(
                    is_whole || detail.finish_reason.is_some(),
                    "{}",
                    fixture.name
                );
            }
            let text = fixture.expected["text"].as_str().unwrap();
            let refusal = fixture.expected["refusal"].as_str().unwrap();
            assert!(format!("{text}{refusal}").starts_with(&text_of(&events)));
            assert_eq!(watched.tap.broadcaster().counts().active, 0);
        }
    }
}

#[test]
fn the_last_frame_counts_though_nobody_asks_for_more() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let mut watched = Watched::new();
    let script = Script::of([&fixture.body[..]]).then(Next::Waiting);
    let mut body = watched.begin(&fixture).tap_body(&head(&fixture), script);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = http_body::Body::poll_frame(std::pin::Pin::new(&mut body), &mut context);
    assert!(polled.is_ready());
    drop(body);
    let events = watched.events();
    assert_eq!(
        terminal(&events).event_type(),
        "completed",
        "the end mark was in it"
    );
}

#[test]
fn a_body_that_knows_its_length_ends_without_being_asked() {
    let fixture = fixtures::one("openai-chat/derived_cut_no_done.sse");
    let mut watched = Watched::new();
    let mut script = Script::of([&fixture.body[..]]);
    script.is_sized = true;
    let mut body = watched.begin(&fixture).tap_body(&head(&fixture), script);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = http_body::Body::poll_frame(std::pin::Pin::new(&mut body), &mut context);
    assert!(polled.is_ready());
    drop(body);
    assert_eq!(
        error_message(&watched.events()),
        "the answer ended before it was complete"
    );
}

#[test]
fn a_stream_without_anything_in_it_is_cut() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    for body in [
        &b""[..],
        b": ping\n\n",
        b"data: {\"type\":\"ping\"}\n\n",
        b"data: {\"ty",
    ] {
        let mut watched = Watched::new();
        let script = Script::of([body]);
        drain(&mut watched.begin(&fixture).tap_body(&head(&fixture), script));
        let events = watched.events();
        assert_eq!(
            error_message(&events),
            "the answer ended before it was complete"
        );
    }
}

#[test]
fn what_was_counted_before_the_cut_is_kept_and_marked() {
    let fixture = fixtures::one("anthropic/derived_cut_mid_event.sse");
    for next in [Next::Broken, Next::Waiting] {
        let mut watched = Watched::new();
        let is_broken = matches!(next, Next::Broken);
        let script = Script::of([&fixture.body[..]]).then(next);
        let mut body = watched.begin(&fixture).tap_body(&head(&fixture), script);
        let frames = drain(&mut body);
        assert_eq!(
            frames.last().unwrap().is_err(),
            is_broken,
            "the error is handed on"
        );
        drop(body);
        let events = watched.events();
        let TuiStreamEvent::Error {
            message,
            input_tokens,
            output_tokens,
            detail,
            ..
        } = terminal(&events)
        else {
            panic!("{events:?}");
        };
        assert_eq!((*input_tokens, *output_tokens), (Some(47), Some(4)));
        assert!(detail.partial);
        assert_eq!(message.contains("in the middle"), is_broken, "{message}");
    }
}

#[tokio::test]
async fn a_task_that_is_cancelled_ends_its_exchange() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let mut watched = Watched::new();
    let script = Script::of([&fixture.body[..200]]).then(Next::Waiting);
    let mut body = watched.begin(&fixture).tap_body(&head(&fixture), script);
    let mut tasks = tokio::task::JoinSet::new();
    let gone = Arc::new(tokio::sync::Notify::new());
    let waits = Arc::clone(&gone);
    tasks.spawn(async move {
        drain(&mut body);
        waits.notify_one();
        std::future::pending::<()>().await;
        drop(body);
    });
    gone.notified().await;
    tasks.shutdown().await;
    assert_eq!(error_message(&watched.events()), "client disconnected");
}

#[test]
fn the_registry_shows_a_request_from_its_beginning_to_its_end() {
    let fixture = fixtures::one("anthropic/tool_use.sse");
    let watched = Watched::new();
    let broadcaster = Arc::clone(watched.tap.broadcaster());
    let state = || broadcaster.snapshot().remove(0).state;
    let exchange: Exchange = watched.begin(&fixture);
    assert_eq!(state(), StreamState::Waiting);
    let half = fixture.body.len() / 2;
    let script = Script::of([&fixture.body[..half]]).then(Next::Waiting);
    let script = script.then(Next::Data(fixture.body[half..].to_vec().into()));
    let mut body = exchange.tap_body(&head(&fixture), script);
    drain(&mut body);
    assert_eq!(state(), StreamState::Streaming);
    assert_eq!(broadcaster.snapshot()[0].input_tokens, Some(15));
    drain(&mut body);
    assert_eq!(state(), StreamState::Completed);
    let summary = broadcaster.snapshot().remove(0);
    assert_eq!((summary.tool_calls, summary.output_tokens), (1, Some(12)));
    assert_eq!(broadcaster.counts().completed, 1);
}

#[test]
fn without_watchers_the_registry_is_kept_all_the_same() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let watched = Watched::new();
    let broadcaster = Arc::clone(watched.tap.broadcaster());
    let tap = watched.tap.clone();
    drop(watched);
    assert_eq!(broadcaster.receiver_count(), 0);
    let request = events_llm::RequestInfo::new("r").with_provider(Some(fixture.provider));
    let script = Script::of([&fixture.body[..]]);
    drain(&mut tap.begin(request).tap_body(&head(&fixture), script));
    let summary = broadcaster.snapshot().remove(0);
    assert_eq!(summary.text, fixture.expected["text"]);
    assert_eq!(summary.model, fixture.expected["model"]);
}
