//! Answers that are published as AG-UI runs.

use std::sync::Arc;

use events_core::UserId;
use events_llm::gateway::{EmissionDenied, RunPublishError};
use events_models::AgUiEvent;

use super::{
    client::{Client, post, post_head},
    provider::{Step, answer, chunk, chunked, whole},
    publishing::{Log, error_code, text_of},
    world::{STREAM, World, path_of},
};
use crate::fixtures;

const ADA: &str = "x-events-user: ada\r\nx-events-thread: t1\r\n";

fn stream_of(body: &[u8]) -> Vec<Step> {
    answer(chunked(
        "content-type: text/event-stream\r\n",
        body.chunks(100),
    ))
}

#[tokio::test]
async fn every_answer_becomes_a_valid_run_that_says_the_same() {
    for fixture in fixtures::all()
        .into_iter()
        .filter(fixtures::Fixture::is_stream)
    {
        let head = format!("content-type: {}\r\n", fixture.content_type());
        let steps = answer(whole(&head, &fixture.body));
        let log = Log::new();
        let world = World::with(steps, |_| (), log.hooks()).await;
        let reply = post(world.port, path_of(fixture.provider), ADA, STREAM).await;
        assert!(reply.body == fixture.body);
        assert_eq!(reply.header("x-events-thread"), Some("t1"));
        let events = log.run().await;
        let expected = &fixture.expected;
        let said = [&expected["text"], &expected["refusal"]].map(|said| said.as_str().unwrap());
        assert_eq!(text_of(&events), said.concat(), "{}", fixture.name);
        for batch in log.batches() {
            assert_eq!((batch.user.as_str(), batch.thread.as_str()), ("ada", "t1"));
        }
    }
}

#[tokio::test]
async fn a_thread_that_is_not_named_is_a_new_one_and_the_client_is_told() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let log = Log::new();
    let world = World::with(stream_of(&fixture.body), |_| (), log.hooks()).await;
    let mut threads = Vec::new();
    for _ in 0..2 {
        let reply = post(
            world.port,
            "/llm/p/v1/messages",
            "x-events-user: ada\r\n",
            STREAM,
        )
        .await;
        threads.push(reply.header("x-events-thread").unwrap().to_owned());
    }
    assert_ne!(threads[0], threads[1]);
    log.run().await;
    assert_eq!(log.batches()[0].thread.as_str(), threads[0]);
}

#[tokio::test]
async fn without_a_user_nothing_is_published_and_no_header_is_added() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let log = Log::new();
    let world = World::with(stream_of(&fixture.body), |_| (), log.hooks()).await;
    for headers in ["", "x-events-thread: t1\r\n", "x-events-agent: a\r\n"] {
        let reply = post(world.port, "/llm/p/v1/messages", headers, STREAM).await;
        assert_eq!(reply.header("x-events-thread"), None);
    }
    assert_eq!(log.n_calls(), 0);
    for headers in [
        "x-events-user: \r\n",
        "x-events-user: a\r\nx-events-user: b\r\n",
    ] {
        let reply = post(world.port, "/llm/p/v1/messages", headers, STREAM).await;
        assert_eq!(reply.status, 400);
    }
}

/// What waits is published in one batch, with deltas of one message joined.
#[tokio::test]
async fn a_log_that_stops_holds_no_byte_up_and_gets_larger_batches() {
    let fixture = fixtures::one("openai-chat/text_with_usage.sse");
    let log = Log::new();
    log.stop();
    let world = World::with(stream_of(&fixture.body), |_| (), log.hooks()).await;
    let reply = post(world.port, "/llm/p/v1/chat/completions", ADA, STREAM).await;
    assert!(reply.is_whole && reply.body == fixture.body);
    assert_eq!((log.n_calls(), log.batches().len()), (1, 0));
    log.go_on();
    let events = log.run().await;
    assert_eq!(text_of(&events), fixture.expected["text"].as_str().unwrap());
    assert!(events.len() < 20, "{} events", events.len());
    assert!(log.batches().len() <= 2);
}

#[tokio::test]
async fn a_run_that_comes_too_fast_is_ended_and_stays_valid() {
    let fixture = fixtures::one("openai-chat/text_with_usage.sse");
    let log = Log::new();
    log.stop();
    let small = |config: &mut events_llm::gateway::GatewayConfig| {
        config.limits.max_run_queue_bytes = 1_000;
    };
    let world = World::with(stream_of(&fixture.body), small, log.hooks()).await;
    let reply = post(world.port, "/llm/p/v1/chat/completions", ADA, STREAM).await;
    assert!(reply.is_whole && reply.body == fixture.body);
    log.go_on();
    let events = log.run().await;
    assert_eq!(error_code(&events), Some("too_slow"));
    let text = fixture.expected["text"].as_str().unwrap();
    assert!(text.starts_with(&text_of(&events)));
    assert_eq!(world.gateway.shutdown(super::provider::LIMIT).await, 0);
    let counts = world.gateway.counts();
    assert_eq!(
        (
            counts.runs_too_slow,
            counts.runs_published,
            counts.active_runs
        ),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn a_refusal_ends_the_run_and_not_the_answer() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    let refused = || Some(RunPublishError::Refused("another run is active".to_owned()));
    for errors in [vec![refused()], vec![None, refused()]] {
        let (n_well, log) = (errors.len() - 1, Log::new());
        log.fail(errors);
        // In two parts, so that there is a second batch.
        let (front, back) = fixture.body.split_at(700);
        let mut steps = answer(chunked("content-type: text/event-stream\r\n", [front]));
        steps.insert(3, Step::UntilTold);
        steps.insert(4, Step::Send(chunk(back)));
        let world = World::with(steps, |_| (), log.hooks()).await;
        let head = post_head("/llm/p/v1/messages", ADA, STREAM.len());
        let mut client = Client::send(world.port, &head, STREAM).await;
        client.read_until(&front[650..]).await;
        world.provider.tell();
        let reply = client.answer().await;
        assert!(reply.is_whole && reply.body == fixture.body);
        assert_eq!(world.gateway.shutdown(super::provider::LIMIT).await, 0);
        // An end would be that of the other run.
        assert_eq!((log.batches().len(), log.n_calls()), (n_well, n_well + 1));
        assert_eq!(world.gateway.counts().runs_refused, 1);
    }
}

#[tokio::test]
async fn a_log_that_is_away_for_a_moment_still_learns_of_the_end() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    let log = Log::new();
    log.fail(vec![
        None,
        Some(RunPublishError::Unavailable("disk".to_owned())),
    ]);
    let (front, back) = fixture.body.split_at(700);
    let mut steps = answer(chunked("content-type: text/event-stream\r\n", [front]));
    steps.insert(3, Step::UntilTold);
    steps.insert(4, Step::Send(chunk(back)));
    let world = World::with(steps, |_| (), log.hooks()).await;
    let head = post_head("/llm/p/v1/messages", ADA, STREAM.len());
    let mut client = Client::send(world.port, &head, STREAM).await;
    client.read_until(&front[650..]).await;
    world.provider.tell();
    assert!(client.answer().await.body == fixture.body);
    assert_eq!(error_code(&log.run().await), Some("log_unavailable"));
}

#[tokio::test]
async fn a_request_without_an_answer_is_a_run_that_failed() {
    let log = Log::new();
    let world = World::with(vec![Step::Request], |_| (), log.hooks()).await;
    let reply = post(world.port, "/llm/p/v1/messages", ADA, STREAM).await;
    assert_eq!(
        (reply.status, reply.header("x-events-thread")),
        (502, Some("t1"))
    );
    let events = log.run().await;
    assert_eq!(events.len(), 2);
    assert!(matches!(&events[1], AgUiEvent::RunError(error) if error.message.contains("closed")));
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_run() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    let log = Log::new();
    let mut steps = stream_of(&fixture.body[..700]);
    *steps.last_mut().unwrap() = Step::UntilClosed;
    let world = World::with(steps, |_| (), log.hooks()).await;
    let head = post_head("/llm/p/v1/messages", ADA, STREAM.len());
    let mut client = Client::send(world.port, &head, STREAM).await;
    client.read_until(&fixture.body[690..700]).await;
    drop(client);
    let events = log.run().await;
    assert!(
        matches!(events.last(), Some(AgUiEvent::RunError(error)) if error.message == "client disconnected")
    );
}

#[tokio::test]
async fn who_may_publish_for_whom_is_decided_before_anything_is_sent() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let log = Log::new();
    let mut hooks = log.hooks();
    hooks.authorize = Some(Arc::new(|_: &http::Extensions, user: &UserId| {
        if user.as_str() == "ada" {
            Ok(())
        } else {
            Err(EmissionDenied("this token is not for that user".to_owned()))
        }
    }));
    let mut world = World::with(stream_of(&fixture.body), |_| (), hooks).await;
    let reply = post(
        world.port,
        "/llm/p/v1/messages",
        "x-events-user: bob\r\n",
        STREAM,
    )
    .await;
    assert_eq!(
        (reply.status, reply.detail().as_str()),
        (403, "this token is not for that user")
    );
    assert!(world.provider.seen.try_recv().is_err() && world.receiver.try_recv().is_err());
    assert_eq!(
        post(world.port, "/llm/p/v1/messages", ADA, STREAM)
            .await
            .status,
        200
    );
    log.run().await;
}
