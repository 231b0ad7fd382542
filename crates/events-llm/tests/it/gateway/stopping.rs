//! The gateway goes away.

use std::time::Duration;

use super::{
    client::{Client, post, post_head},
    provider::{LIMIT, Step, answer, chunked, whole},
    publishing::Log,
    world::{STREAM, World},
};

const DETACHED: &str = "x-events-user: ada\r\nx-events-detach: true\r\n";

#[tokio::test]
async fn new_requests_are_refused_and_what_runs_goes_on() {
    let mut steps = vec![Step::Request, Step::UntilTold];
    steps.extend(whole("", b"ok"));
    let mut world = World::of(steps).await;
    let head = post_head("/llm/p/v1/messages", "", STREAM.len());
    let client = Client::send(world.port, &head, STREAM).await;
    world.provider.request().await;
    assert_eq!(world.gateway.shutdown(LIMIT).await, 0);
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1"))
    );
    world.provider.tell();
    assert_eq!(client.answer().await.body, b"ok");
}

#[tokio::test]
async fn answers_without_their_client_are_waited_for() {
    let fixture = crate::fixtures::one("anthropic/text_basic.sse");
    let mut steps = vec![Step::Request, Step::UntilTold];
    steps.extend(chunked(
        "content-type: text/event-stream\r\n",
        [&fixture.body[..]],
    ));
    let log = Log::new();
    let mut world = World::with(steps, |_| (), log.hooks()).await;
    let head = post_head("/llm/p/v1/messages", DETACHED, STREAM.len());
    drop(Client::send(world.port, &head, STREAM).await);
    world.provider.request().await;
    let gateway = world.gateway.clone();
    let stopping = async { gateway.shutdown(LIMIT).await };
    let telling = async { world.provider.tell() };
    let (n_cut_off, ()) = futures_util::future::join(stopping, telling).await;
    assert_eq!(n_cut_off, 0);
    log.run().await;
    assert_eq!(gateway.counts().runs_published, 1);
}

#[tokio::test]
async fn and_cut_off_at_the_limit_with_an_end_that_is_no_clean_one() {
    let mut steps = answer(chunked(
        "content-type: text/event-stream\r\n",
        [&b": a\n\n"[..]],
    ));
    *steps.last_mut().unwrap() = Step::UntilClosed;
    let log = Log::new();
    let mut world = World::with(steps, |_| (), log.hooks()).await;
    let head = post_head("/llm/p/v1/messages", DETACHED, STREAM.len());
    let mut client = Client::send(world.port, &head, STREAM).await;
    client.read_until(b": a\n\n").await;
    assert_eq!(world.gateway.shutdown(Duration::from_millis(50)).await, 1);
    let reply = client.answer().await;
    assert!(!reply.is_whole);
    world.failure().await;
    world.provider.request().await;
    world.provider.closed().await;
    log.run().await;
}

/// Idle connections and their tasks end with the gateway.
#[tokio::test]
async fn nothing_of_it_is_left() {
    let mut steps = answer(whole("", b"ok"));
    steps.push(Step::Again);
    let world = World::of(steps).await;
    post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    let (mut provider, tasks) = world.end();
    provider.request().await;
    assert!(provider.seen.try_recv().is_err(), "the connection is kept");
    drop(tasks);
    provider.closed().await;
}
