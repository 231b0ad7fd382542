//! A proxy with the tap between real sockets.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::State, http::Request, response::Response, routing::any};
use bytes::Bytes;
use events_llm::{NoPrices, Provider, RequestInfo, StreamEventBroadcaster, Tap, TuiStreamEvent};
use futures_util::StreamExt as _;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::broadcast::Receiver,
    task::JoinSet,
    time::timeout,
};

use crate::fixtures;

const LIMIT: Duration = Duration::from_secs(20);

/// How the provider sends its answer.
#[derive(Clone, Copy, PartialEq)]
enum Sends {
    /// With its length.
    Whole,
    /// In pieces.
    Pieces,
    /// A half, and then nothing more.
    Half,
}

async fn answer(State((body, sends)): State<(Bytes, Sends)>) -> Response<Body> {
    let n_sent = if sends == Sends::Half {
        body.len() / 2
    } else {
        body.len()
    };
    let pieces: Vec<_> = body[..n_sent]
        .chunks(64)
        .map(Bytes::copy_from_slice)
        .collect();
    let pieces = futures_util::stream::iter(pieces).map(Ok::<_, std::io::Error>);
    let body = match sends {
        Sends::Whole => Body::from(body),
        Sends::Pieces => Body::from_stream(pieces),
        Sends::Half => Body::from_stream(pieces.chain(futures_util::stream::pending())),
    };
    let response = Response::builder().header("content-type", "text/event-stream");
    response.header("request-id", "req_1").body(body).unwrap()
}

async fn forward(
    State((tap, provider_port)): State<(Tap, u16)>,
    mut request: Request<Body>,
) -> Response<Body> {
    let path = request.uri().to_string();
    let info = RequestInfo::new("r").with_provider(Provider::of_path(&path));
    let exchange = tap.begin(info.with_model(Some("asked".to_owned())));
    *request.uri_mut() = format!("http://127.0.0.1:{provider_port}{path}")
        .parse()
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    exchange.tap_response(response).map(Body::new)
}

async fn serve(tasks: &mut JoinSet<()>, app: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    port
}

/// A provider, a proxy before it, and a request to the proxy.
async fn request(sends: Sends, body: &[u8]) -> (JoinSet<()>, TcpStream, Receiver<TuiStreamEvent>) {
    let mut tasks = JoinSet::new();
    let state = (Bytes::copy_from_slice(body), sends);
    let provider = Router::new().fallback(any(answer)).with_state(state);
    let provider_port = serve(&mut tasks, provider).await;
    let broadcaster = Arc::new(StreamEventBroadcaster::new(4_096));
    let receiver = broadcaster.subscribe();
    let tap = Tap::new(broadcaster, Arc::new(NoPrices));
    let proxy = Router::new()
        .fallback(any(forward))
        .with_state((tap, provider_port));
    let port = serve(&mut tasks, proxy).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = b"POST /v1/messages HTTP/1.0\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    client.write_all(request).await.unwrap();
    (tasks, client, receiver)
}

/// Waits for the end of the exchange, and checks that there is one only.
async fn terminal(mut receiver: Receiver<TuiStreamEvent>) -> TuiStreamEvent {
    loop {
        let event = timeout(LIMIT, receiver.recv()).await.unwrap().unwrap();
        if event.is_terminal() {
            assert!(receiver.try_recv().is_err(), "nothing follows the end");
            return event;
        }
    }
}

#[tokio::test]
async fn the_client_gets_the_providers_bytes_and_the_end_is_told() {
    let fixture = fixtures::one("anthropic/tool_unicode_args.sse");
    for sends in [Sends::Whole, Sends::Pieces] {
        let (_tasks, mut client, receiver) = request(sends, &fixture.body).await;
        let mut bytes = Vec::new();
        timeout(LIMIT, client.read_to_end(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        let head_end = bytes
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .unwrap()
            + 4;
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        assert!(head.contains("request-id: req_1"), "{head}");
        assert_eq!(
            head.contains("content-length"),
            sends == Sends::Whole,
            "{head}"
        );
        assert!(bytes[head_end..] == fixture.body);
        let TuiStreamEvent::Completed { input_tokens, .. } = terminal(receiver).await else {
            panic!("the answer is complete");
        };
        assert_eq!(input_tokens, Some(618));
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_is_told_with_what_was_counted() {
    let fixture = fixtures::one("anthropic/text_basic.sse");
    let (_tasks, mut client, receiver) = request(Sends::Half, &fixture.body).await;
    let mut bytes = [0; 400];
    timeout(LIMIT, client.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    drop(client);
    let TuiStreamEvent::Error {
        message,
        input_tokens,
        detail,
        ..
    } = terminal(receiver).await
    else {
        panic!("the client left");
    };
    assert_eq!(message, "client disconnected");
    assert_eq!(input_tokens, Some(15));
    assert!(detail.partial);
}
