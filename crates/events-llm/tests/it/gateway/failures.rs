//! What a client and watchers are told when there is no answer, or half of one.

use std::time::Duration;

use tokio::net::TcpListener;

use super::{
    client::{Client, ask, post, post_head},
    provider::{Provider, Step, answer, chunk, chunked},
    world::{STREAM, World},
};
use crate::fixtures;

/// A path with what must never be repeated.
const PATH: &str = "/llm/p/v1beta/models/m:streamGenerateContent?alt=sse&key=SECRET";

/// Asks, and checks that the answer is this problem and that watchers were told the same, once.
async fn check(mut world: World, status: u16, text: &str) {
    let reply = post(world.port, PATH, "authorization: Bearer SECRET\r\n", STREAM).await;
    assert_eq!(
        (reply.status, reply.detail()),
        (status, format!("{text} (provider p)"))
    );
    assert_eq!(world.failure().await, text);
    assert_eq!(world.gateway.counts().active, 0);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let provider = Provider::start(Vec::new()).await;
    let world = World::before(provider, &place, |_| (), Default::default()).await;
    check(world, 502, "the provider refused the connection").await;
}

#[tokio::test]
async fn a_name_that_is_not_known_is_a_502() {
    let provider = Provider::start(Vec::new()).await;
    let place = "http://no-such-host.invalid";
    let world = World::before(provider, place, |_| (), Default::default()).await;
    check(world, 502, "the provider's host name cannot be resolved").await;
}

#[tokio::test]
async fn a_provider_that_closes_or_resets_is_a_502() {
    let text = "the provider closed the connection before it answered";
    for steps in [
        vec![Step::Request],
        vec![Step::Request, Step::Reset],
        vec![
            Step::Request,
            Step::Send(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()),
        ],
    ] {
        check(World::of(steps).await, 502, text).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_a_502() {
    for bytes in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 two OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
    ] {
        let world = World::of(answer(vec![Step::Send(bytes.into())])).await;
        check(world, 502, "the provider's answer is no HTTP").await;
    }
}

#[tokio::test]
async fn a_head_without_end_is_a_502_and_the_connection_is_closed() {
    let text = "the head of the provider's answer is too large";
    let endless_value = vec![
        Step::Request,
        Step::Send(b"HTTP/1.1 200 OK\r\nx-endless: ".to_vec()),
        Step::Flood(vec![b'a'; 4_096], usize::MAX),
    ];
    let endless_list = vec![
        Step::Request,
        Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Step::Flood(b"x-endless: a\r\n".repeat(256), usize::MAX),
    ];
    for steps in [endless_value, endless_list] {
        let mut world = World::of(steps).await;
        let reply = post(world.port, PATH, "", STREAM).await;
        assert_eq!(
            (reply.status, reply.detail()),
            (502, format!("{text} (provider p)"))
        );
        assert_eq!(world.failure().await, text);
        world.provider.request().await;
        world.provider.closed().await;
    }
}

fn impatient(config: &mut events_llm::gateway::GatewayConfig) {
    config.timeouts.answer_head = Duration::from_millis(200);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_a_504() {
    let steps = vec![Step::Request, Step::UntilClosed];
    let mut world = World::with(steps, impatient, Default::default()).await;
    let reply = post(world.port, PATH, "", STREAM).await;
    assert_eq!(reply.status, 504);
    assert_eq!(world.failure().await, "the provider did not answer in time");
    world.provider.request().await;
    world.provider.closed().await;
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_a_504() {
    // A TLS server that says nothing: TCP is there, the connection is not.
    let provider = Provider::start(vec![Step::UntilClosed]).await;
    let place = format!("https://127.0.0.1:{}", provider.port);
    let world = World::before(
        provider,
        &place,
        |config| config.timeouts.connect = Duration::from_millis(200),
        Default::default(),
    )
    .await;
    check(
        world,
        504,
        "no connection to the provider came about in time",
    )
    .await;
}

#[tokio::test]
async fn a_provider_that_falls_silent_is_cut_off_and_so_is_its_client() {
    let mut steps = answer(chunked(
        "content-type: text/event-stream\r\n",
        [&b": a\n\n"[..]],
    ));
    *steps.last_mut().unwrap() = Step::UntilClosed;
    let mut world = World::with(
        steps,
        |config| config.timeouts.answer_idle = Duration::from_millis(200),
        Default::default(),
    )
    .await;
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!((reply.status, &reply.body[..]), (200, &b": a\n\n"[..]));
    assert!(!reply.is_whole, "the end is no clean one");
    world.failure().await;
    world.provider.request().await;
    world.provider.closed().await;
}

/// The client's body ends exactly where the provider's did, and not with a clean end.
#[tokio::test]
async fn an_answer_that_is_cut_is_cut_for_the_client() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    let stream = "content-type: text/event-stream\r\n";
    for cut in [1, 100, 777, fixture.body.len() - 1] {
        let front = &fixture.body[..cut];
        let mut chunks = answer(chunked(stream, [front]));
        chunks.pop();
        let head = format!(
            "HTTP/1.1 200 OK\r\n{stream}content-length: {}\r\n\r\n",
            fixture.body.len()
        );
        let sized = vec![Step::Request, Step::Send([head.as_bytes(), front].concat())];
        for steps in [chunks, sized] {
            let mut world = World::of(steps).await;
            let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
            assert_eq!(reply.status, 200);
            assert!(!reply.is_whole);
            assert!(reply.body == front, "cut at {cut}");
            if cut < fixture.body.len() - 1 {
                let message = world.failure().await;
                assert_eq!(
                    message,
                    "the connection to the provider failed in the middle of the answer"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_is_no_clean_end() {
    let mut steps = answer(chunked(
        "content-type: text/event-stream\r\n",
        [&b": a\n\n"[..]],
    ));
    *steps.last_mut().unwrap() = Step::UntilTold;
    steps.push(Step::Reset);
    let mut world = World::of(steps).await;
    let mut client = Client::send(
        world.port,
        &post_head("/llm/p/v1/messages", "", STREAM.len()),
        STREAM,
    )
    .await;
    client.read_until(b": a\n\n").await;
    world.provider.tell();
    assert!(!client.answer().await.is_whole);
    world.failure().await;
}

#[tokio::test]
async fn a_body_that_stops_coming_is_a_408() {
    let mut world = World::with(
        vec![Step::Head, Step::UntilClosed],
        |config| config.timeouts.request_idle = Duration::from_millis(200),
        Default::default(),
    )
    .await;
    // Short and read before: nothing was sent on, and there is nothing to tell.
    let client = Client::send(world.port, &post_head("/llm/p/v1/messages", "", 100), b"{").await;
    assert_eq!(client.answer().await.status, 408);
    assert!(world.receiver.try_recv().is_err());
    // Sent on as it comes.
    let head = "POST /llm/p/v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n";
    let reply = ask(world.port, head, &chunk(b"{")).await;
    assert_eq!(reply.status, 408);
    assert_eq!(
        world.failure().await,
        "the request's body did not come in time"
    );
}

#[tokio::test]
async fn an_error_of_the_provider_passes_as_it_is() {
    let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let head = format!(
        "HTTP/1.1 529 \r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut world = World::of(answer(vec![Step::Send([head.as_bytes(), body].concat())])).await;
    let reply = post(world.port, "/llm/p/v1/messages", "", STREAM).await;
    assert_eq!((reply.status, &reply.body[..]), (529, &body[..]));
    assert_eq!(world.failure().await, "Overloaded");
}
