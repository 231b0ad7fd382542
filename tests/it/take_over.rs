//! Streams that are given their sockets, and those that must not be.
//!
//! Each test asks the server how many it has given away: a stream that looks the same both ways proves nothing.

mod ends;
mod nginx;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request as Asked;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use events_axum::serve::{Server, TakeOver};
use events_axum::{RequestContext, StreamConfig, StreamState, hub_router};
use events_core::UserId;
use events_router::EventRouter;
use events_tests::deadline::{PATIENCE, within};
use events_tests::raw_client::{RawSse, Request, get};
use events_tests::sample;
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

/// A hub of one user with whatever is around it. Dropping it closes everything.
struct Served {
    address: SocketAddr,
    state: StreamState,
    stop: oneshot::Sender<()>,
    server: JoinSet<()>,
}

impl Served {
    async fn start(config: StreamConfig, layered: impl FnOnce(Router) -> Router) -> Self {
        let state = StreamState::with_config(EventRouter::default(), config);
        let app = layered(hub_router(state.clone())).layer(from_fn(be_ada));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let drained = state.drain_on(async { stopped.await.unwrap_or_default() });
        let mut server = JoinSet::new();
        let serving = Server::new(listener, app).with_edge(state.edge().clone());
        server.spawn(serving.run(drained));
        Self {
            address,
            state,
            stop,
            server,
        }
    }

    async fn plain() -> Self {
        Self::start(StreamConfig::default(), |app| app).await
    }

    async fn publish(&self, run: &str, n_deltas: usize) -> Vec<String> {
        let lines = sample::run("t", run, n_deltas);
        for event in sample::typed(&lines) {
            let ada = UserId::new("ada");
            let published = self.state.router().publish(&ada, event);
            published.await.unwrap();
        }
        lines
    }

    /// How many streams were given their sockets.
    async fn n_taken(&self) -> u64 {
        let page = get(self.address, "/metrics", &[]).await.unwrap().text();
        let name = "events_sockets_taken_over_total ";
        let value = page.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
    }

    async fn n_connected(&self, n_wanted: usize) {
        let gone = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            while self.state.router().agui().total() != n_wanted {
                ticks.tick().await;
            }
            Ok(())
        };
        within("connections", PATIENCE, gone).await.unwrap();
    }
}

async fn be_ada(mut request: Asked, next: Next) -> Response {
    let ada = RequestContext::operator(UserId::new("ada"));
    request.extensions_mut().insert(ada);
    next.run(request).await
}

/// Reads from a socket until a text is there.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    within(text, PATIENCE, async {
        while !String::from_utf8_lossy(&seen).contains(text) {
            if stream.read_buf(&mut seen).await? == 0 {
                let seen = String::from_utf8_lossy(&seen).into_owned();
                return Err(io::Error::other(seen));
            }
        }
        Ok(())
    })
    .await
    .unwrap();
    String::from_utf8(seen).unwrap()
}

/// Checks that a stream carries what is published, each event once and in order.
async fn check_whole(served: &Served, stream: &mut RawSse, run: &str) {
    for line in served.publish(run, 20).await {
        let frame = stream.next_event(PATIENCE).await.unwrap();
        assert_eq!(
            frame.json().unwrap(),
            line.parse::<serde_json::Value>().unwrap()
        );
    }
}

#[tokio::test]
async fn a_plain_stream_is_given_its_socket_and_is_whole() {
    let served = Served::plain().await;
    let mut stream = RawSse::connect(served.address, "/agui", &[]).await.unwrap();
    assert_eq!(stream.head().header("connection"), Some("close"));
    assert_eq!(stream.head().header("transfer-encoding"), Some("chunked"));
    check_whole(&served, &mut stream, "r1").await;
    assert_eq!(served.n_taken().await, 1);
    for path in ["/contexts", "/analytics", "/a2a", "/agui?thread=t"] {
        let mut stream = RawSse::connect(served.address, path, &[]).await.unwrap();
        stream.next_frame(PATIENCE).await.unwrap().unwrap();
    }
    assert_eq!(served.n_taken().await, 5);
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_its_stream_from_hyper() {
    let served = Served::plain().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream
        .write_all(b"GET /agui HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let head = read_until(&mut stream, "connected\n\n").await;
    assert!(!head.contains("chunked"), "{head}");
    served.publish("r", 1).await;
    read_until(&mut stream, "RUN_FINISHED").await;
    assert_eq!(served.n_taken().await, 0);
}

#[tokio::test]
async fn the_head_alone_leaves_the_connection_to_the_next_request() {
    let served = Served::plain().await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream
        .write_all(b"HEAD /agui HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(!head.contains("connection: close"), "{head}");
    served.n_connected(0).await;
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(
        read_until(&mut stream, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
    );
    // The stream may be the third request of its connection.
    stream
        .write_all(b"GET /agui HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let head = read_until(&mut stream, "connected\n\n").await;
    assert!(head.contains("connection: close"), "{head}");
    served.publish("r", 1).await;
    read_until(&mut stream, "RUN_FINISHED").await;
    assert_eq!(served.n_taken().await, 1);
}

#[tokio::test]
async fn requests_that_say_more_than_one_head_stay_with_hyper() {
    let served = Served::plain().await;
    let pipelined =
        "GET /agui HTTP/1.1\r\nhost: a\r\n\r\nGET /health/live HTTP/1.1\r\nhost: a\r\n\r\n";
    let body = "GET /agui HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
    let upgrade = "GET /agui HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";
    for (at, request) in [pipelined, body, upgrade].into_iter().enumerate() {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_until(&mut stream, "connected\n\n").await;
        assert!(!head.contains("connection: close"), "{head}");
        served.publish(&format!("r{at}"), 1).await;
        read_until(&mut stream, "RUN_FINISHED").await;
    }
    assert_eq!(served.n_taken().await, 0);
}

#[tokio::test]
async fn what_is_compressed_stays_with_hyper_and_the_layer_itself_does_not_matter() {
    let layer = CompressionLayer::new().compress_when(SizeAbove::new(0));
    let served = Served::start(StreamConfig::default(), |app| app.layer(layer)).await;
    let request = Request::get("/agui").header("accept-encoding", "gzip");
    let stream = RawSse::open(served.address, &request).await.unwrap();
    assert_eq!(stream.head().header("content-encoding"), Some("gzip"));
    assert_eq!(served.n_taken().await, 0);
    let mut stream = RawSse::connect(served.address, "/agui", &[]).await.unwrap();
    check_whole(&served, &mut stream, "r").await;
    assert_eq!(served.n_taken().await, 1);
}

/// Puts a comment before each piece of a body.
async fn mark(request: Asked, next: Next) -> Response {
    next.run(request).await.map(|body| {
        let pieces = body.into_data_stream();
        Body::from_stream(
            pieces.map(|piece| piece.map(|piece| [b": marked\n\n", &*piece].concat())),
        )
    })
}

#[tokio::test]
async fn a_layer_around_the_body_stays_around_it() {
    let served = Served::start(StreamConfig::default(), |app| app.layer(from_fn(mark))).await;
    let mut stream = RawSse::connect(served.address, "/agui", &[]).await.unwrap();
    for n_events in 1..=10 {
        served.publish(&format!("r{n_events}"), 0).await;
        for _ in 0..4 {
            stream.next_event(PATIENCE).await.unwrap();
        }
    }
    let frames = stream.frames();
    let is_marked = |frame: &&events_tests::raw_client::RawFrame| {
        frame
            .comments
            .iter()
            .any(|comment| comment.trim() == "marked")
    };
    assert!(frames.iter().filter(is_marked).count() >= 11);
    assert_eq!(served.n_taken().await, 1);
}

async fn forget(request: Asked, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().remove::<TakeOver>();
    response
}

async fn keep_alive(request: Asked, next: Next) -> Response {
    let mut response = next.run(request).await;
    let value = HeaderValue::from_static("keep-alive");
    response.headers_mut().insert(CONNECTION, value);
    response
}

async fn accepted(request: Asked, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.extensions().get::<TakeOver>().is_some() {
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    response
}

#[tokio::test]
async fn answers_that_a_layer_has_made_its_own_stay_with_hyper() {
    let all: [fn(Router) -> Router; 3] = [
        |app| app.layer(from_fn(forget)),
        |app| app.layer(from_fn(keep_alive)),
        |app| app.layer(from_fn(accepted)),
    ];
    for layered in all {
        let served = Served::start(StreamConfig::default(), layered).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream
            .write_all(b"GET /agui HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let head = read_until(&mut stream, "connected\n\n").await;
        assert!(!head.contains("connection: close"), "{head}");
        served.publish("r", 1).await;
        read_until(&mut stream, "RUN_FINISHED").await;
        assert_eq!(served.n_taken().await, 0);
    }
}

#[tokio::test]
async fn heartbeats_come_over_the_socket_too() {
    let config = StreamConfig {
        heartbeat: Duration::from_millis(50),
        ..StreamConfig::default()
    };
    let served = Served::start(config, |app| app).await;
    let path = "/agui?heartbeat=event";
    let mut stream = RawSse::connect(served.address, path, &[]).await.unwrap();
    for _ in 0..3 {
        let frame = stream.next_event(PATIENCE).await.unwrap();
        assert_eq!(frame.event.as_deref(), Some("heartbeat"));
    }
    check_whole(
        &served,
        &mut RawSse::connect(served.address, "/agui", &[]).await.unwrap(),
        "r",
    )
    .await;
    assert_eq!(served.n_taken().await, 2);
}
