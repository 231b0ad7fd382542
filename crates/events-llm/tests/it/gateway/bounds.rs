//! What is bounded, and what flows on all the same.

use std::io::Write as _;

use events_llm::TuiStreamEvent;
use tokio::io::AsyncReadExt as _;

use super::{
    client::{Client, ask, post, post_head},
    provider::{LIMIT, Step, answer, chunk, chunked, whole},
    world::{STREAM, World},
};

#[tokio::test]
async fn requests_at_the_same_time() {
    let steps = vec![Step::Request, Step::UntilClosed];
    let two = |config: &mut events_llm::gateway::GatewayConfig| config.limits.max_streams = 2;
    let mut world = World::with(steps, two, Default::default()).await;
    let head = post_head("/llm/p/v1/messages", "", STREAM.len());
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(Client::send(world.port, &head, STREAM).await);
        world.provider.request().await;
    }
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1"))
    );
    let counts = world.gateway.counts();
    assert_eq!((counts.active, counts.refused_full), (2, 1));
    clients.pop();
    world.provider.closed().await;
    world.events().await;
    clients.push(Client::send(world.port, &head, STREAM).await);
    world.provider.request().await;
}

#[tokio::test]
async fn the_body_of_a_request() {
    let small = |config: &mut events_llm::gateway::GatewayConfig| {
        config.limits.max_request_bytes = 1_000;
        config.limits.max_buffered_request_bytes = 100;
    };
    let steps = vec![Step::Head, Step::UntilClosed];
    let mut world = World::with(steps, small, Default::default()).await;
    let text = "the request's body is larger than the limit of 1000 bytes";
    // By its length, before any of it.
    let client = Client::send(world.port, &post_head("/llm/p/v1/messages", "", 1_001), b"").await;
    let reply = client.answer().await;
    assert_eq!((reply.status, reply.detail().as_str()), (413, text));
    assert!(world.provider.seen.try_recv().is_err() && world.receiver.try_recv().is_err());
    // On its way.
    let head = "POST /llm/p/v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n";
    let reply = ask(world.port, head, &chunk(&[b' '; 600]).repeat(2)).await;
    assert_eq!(reply.status, 413);
    assert_eq!(
        world.failure().await,
        "the request's body is larger than the limit"
    );
    world.provider.request().await;
    world.provider.closed().await;
}

#[tokio::test]
async fn the_headers_of_a_request() {
    let small = |config: &mut events_llm::gateway::GatewayConfig| {
        config.limits.max_request_headers = 10;
        config.limits.max_request_head_bytes = 1_000;
    };
    let world = World::with(answer(whole("", b"ok")), small, Default::default()).await;
    let long = format!("x-long: {}\r\n", "a".repeat(1_000));
    for headers in ["x-many: 1\r\n".repeat(10), long] {
        let reply = post(world.port, "/llm/p/v1/messages", &headers, STREAM).await;
        assert_eq!(reply.status, 431);
    }
    assert_eq!(
        post(world.port, "/llm/p/v1/messages", "", STREAM)
            .await
            .status,
        200
    );
}

/// Bodies that are held until they are sent share one bound; beyond it they are sent on as they come.
#[tokio::test]
async fn bodies_that_are_held() {
    let none =
        |config: &mut events_llm::gateway::GatewayConfig| config.limits.max_buffered_bytes = 0;
    let mut world = World::with(answer(whole("", b"ok")), none, Default::default()).await;
    assert_eq!(
        post(world.port, "/llm/p/v1/messages", "", STREAM)
            .await
            .body,
        b"ok"
    );
    assert_eq!(world.provider.request().await.body, STREAM);
    let TuiStreamEvent::Started { model, .. } = &world.events().await[0] else {
        panic!("it starts");
    };
    assert_eq!(model, "", "the body was not read before");
}

/// 100 MB in one event without a line's end: the reader gives it up, and the bytes flow.
#[tokio::test]
async fn an_event_that_never_ends() {
    let piece = vec![b'x'; 1 << 20];
    let mut steps = answer(chunked(
        "content-type: text/event-stream\r\n",
        [&b"data: "[..]],
    ));
    steps.insert(3, Step::Flood(chunk(&piece), 100));
    let mut world = World::of(steps).await;
    let head = post_head("/llm/p/v1/messages", "", STREAM.len());
    let mut client = Client::send(world.port, &head, STREAM).await;
    client.read_until(b"data: ").await;
    let (mut buffer, mut n_read) = (vec![0; 1 << 20], client.bytes.len());
    let reading = async {
        loop {
            match client.stream.read(&mut buffer).await.unwrap() {
                0 => return,
                n => n_read += n,
            }
        }
    };
    tokio::time::timeout(LIMIT * 3, reading).await.unwrap();
    assert!(n_read > 100 << 20, "{n_read}");
    let events = world.events().await;
    let Some(TuiStreamEvent::Completed { detail, .. } | TuiStreamEvent::Error { detail, .. }) =
        events.last()
    else {
        panic!("{events:?}");
    };
    assert!(
        detail
            .notice
            .as_ref()
            .is_some_and(|notice| notice.contains("too large")),
        "{detail:?}"
    );
}

#[tokio::test]
async fn a_body_that_decodes_to_far_more_than_it_is() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![b'\n'; 1 << 20]).unwrap();
    let bomb = encoder.finish().unwrap().repeat(6);
    let head = "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n";
    let mut world = World::of(answer(whole(head, &bomb))).await;
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert!(reply.is_whole && reply.body == bomb);
    let events = world.events().await;
    let (TuiStreamEvent::Completed { detail, .. } | TuiStreamEvent::Error { detail, .. }) =
        events.last().unwrap()
    else {
        panic!("{events:?}");
    };
    assert!(detail.notice.is_some(), "{detail:?}");
}

/// Whoever watches and does not read delays nothing.
#[tokio::test]
async fn a_watcher_that_has_stopped() {
    let fixture = crate::fixtures::one("openai-responses/reasoning_encrypted.sse");
    let steps = chunked(
        "content-type: text/event-stream\r\n",
        fixture.body.chunks(64),
    );
    let world = World::of(answer(steps)).await;
    let _stopped: Vec<_> = (0..8)
        .map(|_| world.gateway.broadcaster().watch())
        .collect();
    for _ in 0..5 {
        let reply = post(world.port, "/llm/p/v1/responses", "", STREAM).await;
        assert!(reply.is_whole && reply.body == fixture.body);
    }
}
