//! A client that leaves takes its request with it, whatever it waits for.

use super::{
    client::{Client, post, post_head},
    provider::{Step, answer, chunk, chunked},
    world::{STREAM, World},
};

async fn send(world: &World) -> Client {
    let head = post_head("/llm/p/v1/messages", "", STREAM.len());
    Client::send(world.port, &head, STREAM).await
}

#[tokio::test]
async fn before_the_first_byte() {
    let mut world = World::of(vec![Step::Request, Step::UntilClosed]).await;
    let client = send(&world).await;
    world.provider.request().await;
    drop(client);
    world.provider.closed().await;
    assert_eq!(world.failure().await, "client disconnected");
    assert_eq!(world.gateway.counts().active, 0);
}

#[tokio::test]
async fn in_the_middle_of_the_answer() {
    let fixture = crate::fixtures::one("anthropic/text_basic.sse");
    let stream = "content-type: text/event-stream\r\n";
    let mut steps = answer(chunked(stream, [&fixture.body[..600]]));
    *steps.last_mut().unwrap() = Step::UntilClosed;
    let mut world = World::of(steps).await;
    let mut client = send(&world).await;
    client.read_until(&fixture.body[590..600]).await;
    drop(client);
    world.provider.request().await;
    world.provider.closed().await;
    assert_eq!(world.failure().await, "client disconnected");
}

#[tokio::test]
async fn while_its_body_is_being_sent() {
    let mut world = World::of(vec![Step::Head, Step::UntilClosed]).await;
    let head = "POST /llm/p/v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n";
    let client = Client::send(world.port, head, &chunk(b"{\"model\":")).await;
    world.provider.request().await;
    drop(client);
    world.provider.closed().await;
    assert_eq!(world.failure().await, "client disconnected");
}

#[tokio::test]
async fn while_the_provider_sends_faster_than_it_reads() {
    let mut steps = answer(chunked("content-type: text/event-stream\r\n", []));
    *steps.last_mut().unwrap() = Step::Flood(chunk(&[b'\n'; 16 << 10]), usize::MAX);
    let mut world = World::of(steps).await;
    let mut client = send(&world).await;
    client.read_until(b"\n\n\n").await;
    drop(client);
    world.provider.request().await;
    world.provider.closed().await;
    world.failure().await;
}

/// The next request on the same gateway is not disturbed by one that was given up.
#[tokio::test]
async fn and_leaves_nothing_behind() {
    let mut world = World::of(vec![Step::Request, Step::UntilClosed]).await;
    for _ in 0..20 {
        let client = send(&world).await;
        world.provider.request().await;
        drop(client);
        world.provider.closed().await;
        world.failure().await;
    }
    let counts = world.gateway.counts();
    assert_eq!(
        (counts.active, counts.detached, counts.active_runs),
        (0, 0, 0)
    );
    let reply = post(world.port, "/llm/q/", "", STREAM).await;
    assert_eq!(reply.status, 404);
}
