//! Answers that are read to their end without their client.

use std::time::Duration;

use events_llm::TuiStreamEvent;
use events_models::AgUiEvent;

use super::{
    client::{Client, post, post_head},
    provider::{Step, answer, chunk, chunked, whole},
    publishing::{Log, text_of},
    world::{STREAM, World},
};
use crate::{fixtures, tapping::check_told};

const DETACHED: &str = "x-events-user: ada\r\nx-events-detach: true\r\n";

async fn send(world: &World) -> Client {
    let head = post_head("/llm/p/v1/messages", DETACHED, STREAM.len());
    Client::send(world.port, &head, STREAM).await
}

#[tokio::test]
async fn a_client_that_stays_gets_the_same_bytes() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    let stream = "content-type: text/event-stream\r\n";
    let mut trailed = chunked(
        &format!("{stream}trailer: x-sum\r\n"),
        fixture.body.chunks(9),
    );
    *trailed.last_mut().unwrap() = Step::Send(b"0\r\nx-sum: 1\r\n\r\n".to_vec());
    for (steps, length, n_trailers) in [
        (
            whole(stream, &fixture.body),
            Some(fixture.body.len().to_string()),
            0,
        ),
        (trailed, None, 1),
    ] {
        let mut world = World::of(answer(steps)).await;
        let headers = format!("{DETACHED}te: trailers\r\n");
        let reply = post(world.port, "/llm/p/v1/messages", &headers, STREAM).await;
        assert!(reply.is_whole && reply.body == fixture.body);
        assert_eq!(reply.header("content-length"), length.as_deref());
        assert_eq!(reply.trailers.len(), n_trailers);
        check_told(&fixture, &world.events().await);
        assert_eq!(world.gateway.shutdown(Duration::from_secs(20)).await, 0);
        let counts = world.gateway.counts();
        assert_eq!((counts.active, counts.detached), (0, 0));
    }
}

#[tokio::test]
async fn the_answer_goes_on_without_its_client() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    for n_before in [0, 700] {
        let (front, back) = fixture.body.split_at(n_before);
        let mut steps = answer(chunked("content-type: text/event-stream\r\n", [back]));
        let head = steps.remove(1);
        let head = if n_before == 0 {
            vec![Step::UntilTold, head]
        } else {
            vec![head, Step::Send(chunk(front)), Step::UntilTold]
        };
        steps.splice(1..1, head);
        let log = Log::new();
        let mut world = World::with(steps, |_| (), log.hooks()).await;
        let mut client = send(&world).await;
        world.provider.request().await;
        if n_before > 0 {
            client.read_until(&front[n_before - 20..]).await;
        }
        drop(client);
        world.provider.tell();
        check_told(&fixture, &world.events().await);
        let events = log.run().await;
        assert_eq!(text_of(&events), fixture.expected["text"].as_str().unwrap());
        assert!(matches!(events.last(), Some(AgUiEvent::RunFinished(_))));
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_is_cut_for_the_client() {
    let mut steps = answer(chunked(
        "content-type: text/event-stream\r\n",
        [&b": a\n\n"[..]],
    ));
    steps.pop();
    let mut world = World::of(steps).await;
    let reply = post(world.port, "/llm/p/v1/messages", DETACHED, STREAM).await;
    assert_eq!(
        (reply.status, reply.is_whole, &reply.body[..]),
        (200, false, &b": a\n\n"[..])
    );
    world.failure().await;
    let mut world = World::of(vec![Step::Request]).await;
    let reply = post(world.port, "/llm/p/v1/messages", DETACHED, STREAM).await;
    assert_eq!(reply.status, 502);
    world.failure().await;
}

#[tokio::test]
async fn nobody_reads_a_silent_answer_for_ever() {
    let mut steps = answer(chunked(
        "content-type: text/event-stream\r\n",
        [&b": a\n\n"[..]],
    ));
    *steps.last_mut().unwrap() = Step::UntilClosed;
    let impatient = |config: &mut events_llm::gateway::GatewayConfig| {
        config.timeouts.answer_idle = Duration::from_millis(200);
    };
    let mut world = World::with(steps, impatient, Default::default()).await;
    let mut client = send(&world).await;
    client.read_until(b": a\n\n").await;
    drop(client);
    world.failure().await;
    world.provider.request().await;
    world.provider.closed().await;
}

#[tokio::test]
async fn there_are_only_so_many_of_them() {
    let steps = vec![Step::Request, Step::UntilClosed];
    let one = |config: &mut events_llm::gateway::GatewayConfig| config.limits.max_detached = 1;
    let mut world = World::with(steps, one, Default::default()).await;
    let client = send(&world).await;
    world.provider.request().await;
    drop(client);
    let reply = post(world.port, "/llm/p/v1/messages", DETACHED, STREAM).await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(world.gateway.counts().refused_full, 1);
    // Without that wish there is room.
    let head = post_head("/llm/p/v1/messages", "", STREAM.len());
    let _client = Client::send(world.port, &head, STREAM).await;
    world.provider.request().await;
    let started = world.receiver.try_recv().unwrap();
    assert!(matches!(started, TuiStreamEvent::Started { .. }));
    let reply = post(
        world.port,
        "/llm/p/v1/messages",
        "x-events-detach: yes\r\n",
        STREAM,
    )
    .await;
    assert_eq!(reply.status, 400);
}
