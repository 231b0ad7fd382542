//! A scripted A2A agent whose tasks are published into a hub: what the official kit of tests (a2a-tck, 1.0) wants of the
//! server that it is pointed at.
//!
//! What to do is told by what the message's id begins with, as in the kit's scenarios. Sending is answered here,
//! everything else by the hub, and every stream comes out of the hub: also that of the one who sends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use events_axum::{RequestContext, StreamState, hub_router};
use events_core::UserId;
use events_models::A2AEvent;
use events_router::EventRouter;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// The user whose tasks they are.
const USER: &str = "tck";

/// The largest request, in bytes.
const MAX_BODY: usize = 1 << 20;

/// A running agent; dropping it closes its listener and lets go of its connections.
#[derive(Debug)]
pub struct TckAgent {
    address: SocketAddr,
    router: EventRouter,
    _server: JoinSet<io::Result<()>>,
}

/// What the handlers share.
#[derive(Debug)]
struct Agent {
    hub: Router,
    router: EventRouter,
    n_tasks: AtomicUsize,
}

/// One thing that a script does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The task gets this state, and says this if it is not empty.
    Status(&'static str, &'static str),
    /// A text goes into an artifact, perhaps behind others.
    Text(&'static str, bool),
    /// A file of one line is made.
    File,
    /// Some data is made.
    Data,
}

use Step::{Data, File, Status, Text};

/// The scripts, by what the id of the message begins with. One without an end goes on with the next message to its task.
const SCRIPTS: &[(&str, &[Step])] = &[
    (
        "tck-complete-task",
        &[Status("COMPLETED", "Hello from TCK")],
    ),
    (
        "tck-artifact-text",
        &[
            Text("Generated text content", false),
            Status("COMPLETED", ""),
        ],
    ),
    ("tck-artifact-file", &[File, Status("COMPLETED", "")]),
    ("tck-artifact-data", &[Data, Status("COMPLETED", "")]),
    ("tck-input-required", &[Status("INPUT_REQUIRED", "")]),
    ("tck-reject-task", &[Status("REJECTED", "rejected")]),
    (
        "tck-stream-001",
        &[
            Status("WORKING", ""),
            Text("Stream hello from TCK", false),
            Status("COMPLETED", ""),
        ],
    ),
    ("tck-stream-002", &[Status("COMPLETED", "")]),
    (
        "tck-stream-003",
        &[
            Status("WORKING", ""),
            Text("Stream task lifecycle", false),
            Status("COMPLETED", ""),
        ],
    ),
    (
        "tck-stream-ordering-001",
        &[
            Status("WORKING", ""),
            Text("Ordered output", false),
            Status("COMPLETED", ""),
        ],
    ),
    (
        "tck-stream-artifact-text",
        &[
            Status("WORKING", ""),
            Text("Streamed text content", false),
            Status("COMPLETED", ""),
        ],
    ),
    (
        "tck-stream-artifact-file",
        &[Status("WORKING", ""), File, Status("COMPLETED", "")],
    ),
    (
        "tck-stream-artifact-chunked",
        &[
            Status("WORKING", ""),
            Text("chunk-1 ", false),
            Text("chunk-2", true),
            Status("COMPLETED", ""),
        ],
    ),
    ("test-resubscribe-message-id", &[Status("WORKING", "")]),
];

impl TckAgent {
    /// Starts an agent on a free port of 127.0.0.1. Everybody is the same user; the card is at the well-known path.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    pub async fn start() -> io::Result<Self> {
        let router = EventRouter::default();
        let user = RequestContext::new(UserId::new(USER));
        let agent = Agent {
            hub: hub_router(StreamState::new(router.clone())).layer(Extension(user)),
            router: router.clone(),
            n_tasks: AtomicUsize::new(0),
        };
        let app = Router::new().fallback(serve).with_state(Arc::new(agent));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            address,
            router,
            _server: server,
        })
    }

    /// Returns where the agent listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the router of the hub.
    #[must_use]
    pub fn router(&self) -> &EventRouter {
        &self.router
    }
}

/// Sends through what is for the hub, and answers what sends a message.
async fn serve(State(agent): State<Arc<Agent>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let sent = (parts.method == Method::POST)
        .then(|| serde_json::from_slice::<Value>(&body).ok())
        .flatten();
    let path = parts.uri.path().to_owned();
    let (id, method, params) = match (path.trim_end_matches('/'), sent) {
        ("/a2a/rpc", Some(call)) => {
            let method = call["method"].as_str().unwrap_or_default().to_owned();
            (Some(call["id"].clone()), method, call["params"].clone())
        }
        ("/a2a/rest/message:send", Some(params)) => (None, "SendMessage".to_owned(), params),
        ("/a2a/rest/message:stream", Some(params)) => {
            (None, "SendStreamingMessage".to_owned(), params)
        }
        _ => (None, String::new(), Value::Null),
    };
    if method != "SendMessage" && method != "SendStreamingMessage" {
        return agent
            .ask(Request::from_parts(parts, Body::from(body)))
            .await;
    }
    let Some((task, steps)) = agent.begin(&params["message"]).await else {
        // The hub knows the error for a task that it does not know.
        return agent
            .read(id, &params["message"]["taskId"], "GetTask")
            .await;
    };
    let is_streamed = method == "SendStreamingMessage";
    let followed = match is_streamed {
        true => Some(agent.read(id.clone(), &task, "SubscribeToTask").await),
        false => None,
    };
    for step in steps {
        agent.publish(step.event(&task)).await;
    }
    match followed {
        Some(stream) => stream,
        None => wrapped(agent.read(id, &task, "GetTask").await).await,
    }
}

impl Agent {
    async fn ask(&self, request: Request) -> Response {
        match self.hub.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn publish(&self, event: Value) -> bool {
        let Ok(event) = A2AEvent::from_json(event.to_string().as_bytes()) else {
            return false;
        };
        let published = self.router.publish(&UserId::new(USER), event).await;
        published.is_ok()
    }

    /// Makes the task of a message, or finds it, and returns its id and what is to be done; none for an unknown task.
    async fn begin(&self, message: &Value) -> Option<(Value, &'static [Step])> {
        let id = message["messageId"].as_str().unwrap_or_default();
        let of_prefix = |(prefix, _): &&(&str, _)| id.starts_with(prefix);
        let steps = SCRIPTS
            .iter()
            .find(of_prefix)
            .map_or(SCRIPTS[0].1, |(_, steps)| *steps);
        if let Some(task) = message["taskId"].as_str() {
            let known = self
                .router
                .snapshot_task(&UserId::new(USER), &task.into(), None);
            return known.map(|_| (Value::from(task), steps));
        }
        let n = self.n_tasks.fetch_add(1, Ordering::Relaxed);
        let task = Value::from(format!("tck-task-{n}"));
        let begun = json!({ "task": {
            "id": task, "contextId": "tck", "status": { "state": "TASK_STATE_SUBMITTED" }, "history": [message],
        } });
        self.publish(begun).await;
        Some((task, steps))
    }

    /// Lets the hub answer about a task, in the binding of who asked.
    async fn read(&self, id: Option<Value>, task: &Value, method: &str) -> Response {
        let request = Request::builder().header("A2A-Version", "1.0");
        let request = match id {
            Some(id) => {
                let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": { "id": task } });
                let request = request.method(Method::POST).uri("/a2a/rpc");
                request.body(Body::from(call.to_string()))
            }
            None => {
                let verb = if method == "GetTask" {
                    ""
                } else {
                    ":subscribe"
                };
                let path = format!(
                    "/a2a/rest/tasks/{}{verb}",
                    task.as_str().unwrap_or_default()
                );
                request.uri(path).body(Body::empty())
            }
        };
        match request {
            Ok(request) => self.ask(request).await,
            Err(error) => error.to_string().into_response(),
        }
    }
}

/// Puts a task into the answer to a message, which may also be a message.
async fn wrapped(response: Response) -> Response {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    let body = to_bytes(response.into_body(), MAX_BODY)
        .await
        .unwrap_or_default();
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut answer) if is_json && answer.get("jsonrpc").is_some() => {
            if let Some(task) = answer.get_mut("result") {
                *task = json!({ "task": task });
            }
            Json(answer).into_response()
        }
        Ok(task) => Json(json!({ "task": task })).into_response(),
        Err(error) => error.to_string().into_response(),
    }
}

impl Step {
    fn event(self, task: &Value) -> Value {
        let artifact = |part: Value, append: bool| {
            json!({ "artifactUpdate": {
                "taskId": task, "contextId": "tck", "append": append, "lastChunk": append,
                "artifact": { "artifactId": "artifact", "parts": [part] },
            } })
        };
        match self {
            Status(state, says) => {
                let mut status = json!({ "state": format!("TASK_STATE_{state}") });
                if !says.is_empty() {
                    let id = format!("{}-{state}", task.as_str().unwrap_or_default());
                    status["message"] = json!({ "messageId": id, "role": "ROLE_AGENT", "parts": [{ "text": says }] });
                }
                json!({ "statusUpdate": { "taskId": task, "contextId": "tck", "status": status } })
            }
            Text(text, append) => artifact(json!({ "text": text }), append),
            File => artifact(
                json!({ "raw": "b3V0cHV0", "filename": "output.txt", "mediaType": "text/plain" }),
                false,
            ),
            Data => artifact(json!({ "data": { "key": "value", "count": 42 } }), false),
        }
    }
}
