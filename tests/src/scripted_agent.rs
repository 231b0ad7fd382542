//! An AG-UI agent that does what the path says: a good one, and every way to be none.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

/// The running agent; dropping it ends it.
#[derive(Debug)]
pub struct ScriptedAgent {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    /// How many paused answers may go on.
    gate: Semaphore,
    calls: Mutex<Vec<Call>>,
    n_given_up: AtomicUsize,
}

/// A request that the agent got.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Counts an answer that nobody reads to its end.
struct Watch {
    shared: Arc<Shared>,
    is_read: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.is_read {
            self.shared.n_given_up.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl ScriptedAgent {
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
        let shared = Arc::new(Shared {
            gate: Semaphore::new(0),
            calls: Mutex::default(),
            n_given_up: AtomicUsize::new(0),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            address,
            shared,
            _server: server,
        })
    }

    /// Returns the address of a script.
    #[must_use]
    pub fn url(&self, script: &str) -> String {
        format!("http://{}/{script}", self.address)
    }

    /// Lets one paused answer go on.
    pub fn go_on(&self) {
        self.shared.gate.add_permits(1);
    }

    /// Returns the requests that came so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.shared.calls.lock();
        calls.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts the answers that were given up in their middle.
    #[must_use]
    pub fn n_given_up(&self) -> usize {
        self.shared.n_given_up.load(Ordering::SeqCst)
    }
}

/// The events of a good run, for an input.
#[must_use]
pub fn whole_run(input: &Value) -> Vec<Value> {
    let (thread, run) = (&input["threadId"], &input["runId"]);
    let mut events = vec![
        json!({ "type": "RUN_STARTED", "threadId": thread, "runId": run, "timestamp": 1 }),
        json!({ "type": "STEP_STARTED", "stepName": "think" }),
        json!({ "type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant" }),
    ];
    for n in 0..10 {
        let delta = format!("word-{n} ");
        events.push(json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": delta }));
    }
    events.extend([
        json!({ "type": "TEXT_MESSAGE_END", "messageId": "m" }),
        json!({ "type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "look", "parentMessageId": "m" }),
        json!({ "type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": "{\"at\":\"it\"}" }),
        json!({ "type": "TOOL_CALL_END", "toolCallId": "c" }),
        json!({ "type": "TOOL_CALL_RESULT", "messageId": "r", "toolCallId": "c", "content": "seen", "role": "tool" }),
        json!({ "type": "STATE_SNAPSHOT", "snapshot": { "n": 1 } }),
        json!({ "type": "STATE_DELTA", "delta": [{ "op": "replace", "path": "/n", "value": 2 }] }),
        json!({ "type": "STEP_FINISHED", "stepName": "think" }),
        json!({ "type": "RUN_FINISHED", "threadId": thread, "runId": run, "result": { "ok": true } }),
    ]);
    events
}

/// The text that the message of a good run has at its end.
#[must_use]
pub fn whole_text() -> String {
    (0..10).map(|n| format!("word-{n} ")).collect()
}

fn frames(events: &[Value]) -> Bytes {
    let frame = |event: &Value| format!("data: {event}\n\n");
    events.iter().map(frame).collect::<String>().into()
}

fn events_of(text: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], text.into()).into_response()
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 8 << 20).await.unwrap_or_default();
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let call = Call {
        headers: parts.headers,
        body,
    };
    let calls = shared.calls.lock();
    calls.unwrap_or_else(PoisonError::into_inner).push(call);
    let run = whole_run(&input);
    let script = parts.uri.path().trim_start_matches('/');
    match script {
        "whole" => events_of(frames(&run)),
        "paused" => paused(shared, &run),
        "hang" => std::future::pending().await,
        "silent" => {
            let first = stream::iter([Ok::<_, Infallible>(frames(&run[..5]))]);
            events_of(Body::from_stream(first.chain(stream::pending())))
        }
        "cut" => {
            let said = stream::iter([Ok(frames(&run[..5]))]);
            // Not at once: what was said is written while a body waits.
            let cut = stream::once(async {
                yield_now().await;
                Err(io::Error::other("cut"))
            });
            events_of(Body::from_stream(said.chain(cut)))
        }
        "unfinished" => events_of(frames(&run[..5])),
        "bad-json" => events_of([&frames(&run[..5])[..], b"data: {\"type\":\n\n"].concat()),
        "bad-order" => {
            let content = json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "x", "delta": "y" });
            events_of(frames(&[&run[..5], &[content]].concat()))
        }
        "open-end" => events_of(frames(&[&run[..5], &run[run.len() - 1..]].concat())),
        "no-start" => events_of(frames(&run[2..])),
        "own-error" => {
            let error =
                json!({ "type": "RUN_ERROR", "message": "the model is tired", "code": "tired" });
            events_of(frames(&[&run[..5], &[error]].concat()))
        }
        "after-end" => events_of(frames(&[&run[..], &run[1..4]].concat())),
        "html" => ([(header::CONTENT_TYPE, "text/html")], "<p>hello</p>").into_response(),
        "moved" => (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, "/whole")],
        )
            .into_response(),
        status => {
            let status = status.parse().unwrap_or(404);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
            (status, "secret of the agent").into_response()
        }
    }
}

/// A good run that stops in the middle of its message until the test lets it go on.
fn paused(shared: Arc<Shared>, run: &[Value]) -> Response {
    let (before, after) = (frames(&run[..6]), frames(&run[6..]));
    let watch = Watch {
        shared,
        is_read: false,
    };
    let rest = stream::once(async move {
        let mut watch = watch;
        // The gate is never closed.
        if let Ok(permit) = watch.shared.gate.acquire().await {
            permit.forget();
        }
        watch.is_read = true;
        Ok::<_, Infallible>(after)
    });
    let first = stream::iter([Ok(before)]);
    events_of(Body::from_stream(first.chain(rest)))
}
