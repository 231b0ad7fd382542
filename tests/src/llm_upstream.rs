//! A provider of language models that plays recorded answers: which one, the request's `model` says.
//!
//! `anthropic/text_basic.sse` is a recording of `crates/events-llm/tests/fixtures/llm`, `whole/chat.json` one of
//! `tests/fixtures/llm`, `pause:NAME` a recording that stops in its middle until the test lets it go on, and
//! `status:429` an error of that status.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::skip;

/// The running provider; dropping it ends it.
#[derive(Debug)]
pub struct LlmUpstream {
    address: SocketAddr,
    /// How many paused answers may go on.
    gate: Arc<Semaphore>,
    _server: JoinSet<io::Result<()>>,
}

impl LlmUpstream {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let gate = Arc::new(Semaphore::new(0));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&gate));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            address,
            gate,
            _server: server,
        })
    }

    /// Returns where the provider listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets one paused answer go on.
    pub fn go_on(&self) {
        self.gate.add_permits(1);
    }
}

async fn answer(State(gate): State<Arc<Semaphore>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let body = to_bytes(request.into_body(), 1 << 20).await;
    let body: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    // Gemini has the model in its path.
    let in_path = path.split("/models/").nth(1);
    let in_path = in_path.and_then(|rest| rest.split(':').next());
    let model = body["model"].as_str().or(in_path).unwrap_or_default();
    if let Some(status) = model.strip_prefix("status:") {
        return failure(status.parse().unwrap_or(500));
    }
    let (name, is_paused) = match model.strip_prefix("pause:") {
        Some(name) => (name, true),
        None => (model, false),
    };
    let Ok(recording) = std::fs::read(file(name)) else {
        return failure(404);
    };
    let content_type = match name.rsplit('.').next() {
        Some("ndjson") => "application/x-ndjson",
        Some("json") => "application/json",
        _ => "text/event-stream; charset=utf-8",
    };
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (
            header::HeaderName::from_static("x-request-id"),
            "req_recorded",
        ),
        (
            header::HeaderName::from_static("request-id"),
            "req_recorded",
        ),
    ];
    let body = if content_type == "application/json" {
        Body::from(recording)
    } else {
        let at = if is_paused { recording.len() / 2 } else { 0 };
        let (first, rest) = recording.split_at(at);
        let parts = [Bytes::copy_from_slice(first), Bytes::copy_from_slice(rest)];
        let steps = stream::unfold(
            (parts, 0, gate, is_paused),
            |(parts, n, gate, is_paused)| async move {
                let part = parts.get(n)?.clone();
                if n == 1 && is_paused {
                    gate.acquire().await.ok()?.forget();
                }
                Some((Ok::<_, Infallible>(part), (parts, n + 1, gate, is_paused)))
            },
        );
        Body::from_stream(steps)
    };
    (headers, body).into_response()
}

fn file(name: &str) -> PathBuf {
    let root = skip::workspace_root();
    match name.strip_prefix("whole/") {
        Some(name) => root.join("tests/fixtures/llm").join(name),
        None => root.join("crates/events-llm/tests/fixtures/llm").join(name),
    }
}

/// An error as providers send it, with the headers by which clients decide whether to try again.
fn failure(status: u16) -> Response {
    let error = json!({
        "type": "error",
        "error": { "type": "rate_limit_error", "message": format!("recorded status {status}"), "code": "x" },
        "request_id": "req_recorded",
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::RETRY_AFTER, "7"),
        (header::HeaderName::from_static("x-should-retry"), "false"),
        (
            header::HeaderName::from_static("request-id"),
            "req_recorded",
        ),
        (
            header::HeaderName::from_static("x-request-id"),
            "req_recorded",
        ),
    ];
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, headers, error.to_string()).into_response()
}
