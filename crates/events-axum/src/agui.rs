//! What unmodified official AG-UI clients and pages ask for: attaching to a thread, and what a thread has said.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use events_broadcast::ConnectError;
use events_models::{
    RunAgentInput,
    agui::{AnyJson, Message, fold::Generation},
};
use events_router::{ThreadOverview, ThreadSnapshot};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    Problem, RequestContext, StreamState,
    body::Manner,
    metrics::Bound,
    query::{HeartbeatForm, read_time},
    receive::receive,
    source::Source,
    streams::stream,
};

/// How long a client that attaches to an unknown thread may wait for it to begin.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// `POST /agui/connect` for official clients, `GET /agui/threads` and `GET /agui/threads/{thread}`.
///
/// Each request needs a [`RequestContext`] extension; without one the answer is 401.
pub fn agui_router(state: StreamState) -> Router {
    Router::new()
        .route("/agui/connect", post(connect))
        .route("/agui/threads", get(threads))
        .route("/agui/threads/{thread}", get(thread))
        .with_state(state)
}

#[derive(Debug, Deserialize)]
struct ConnectQuery {
    wait: Option<String>,
}

/// Attaches to the thread that the input names. No agent is called, and new messages are not run.
async fn connect(
    State(state): State<StreamState>,
    context: RequestContext,
    query: Result<Query<ConnectQuery>, axum::extract::rejection::QueryRejection>,
    body: Body,
) -> Result<Response, Problem> {
    let most = (state.inner.config.ndjson_bytes, Bound::BodyBytes);
    let body = receive(&state, body, most).await?;
    let Query(query) =
        query.map_err(|rejection| Problem::bad_request(format!("query: {rejection}")))?;
    let wait = query
        .wait
        .as_deref()
        .map_or(Ok(Duration::ZERO), |text| read_time("wait", text, MAX_WAIT))?;
    let input =
        RunAgentInput::from_json(&body.bytes).map_err(|invalid| Problem::of_invalid(&invalid))?;
    if state.is_draining() {
        return Err(Problem::draining());
    }
    state.check_user(context.user_id())?;
    let place = state.take_place()?;
    let generation = Generation::of(&input);
    let thread = input.thread_id.clone();
    let wish = state.router().subscribe(context.user_id());
    let subscription = match wish.for_client(input, generation).thread(thread) {
        Ok(subscription) => subscription,
        Err(ConnectError::Closed) => return Err(Problem::draining()),
        Err(error) => return Err(error.into()),
    };
    let manner = Manner {
        heartbeat: state.inner.config.heartbeat,
        heartbeat_form: HeartbeatForm::Comment,
        has_control: false,
        has_ids: true,
        is_cut_short: true,
        before: None,
        drain: Some(state.inner.drain.clone()),
        ends: state.inner.metrics.ends_of("agui_connect"),
        _place: Some(place),
    };
    let source = Source::thread(subscription, Some(Instant::now() + wait));
    Ok(stream(source, manner, (None, None), "agui_connect"))
}

/// One thread in the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Overview {
    thread_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    updated_at_ms: i64,
    message_count: usize,
}

impl From<ThreadOverview> for Overview {
    fn from(overview: ThreadOverview) -> Self {
        Self {
            thread_id: overview.thread.to_string(),
            status: overview.status.as_str(),
            run_id: overview.run_id,
            updated_at_ms: overview.updated_at_ms,
            message_count: overview.message_count,
        }
    }
}

/// What a thread has said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    messages: Vec<Message>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<AnyJson>,
    cursor: String,
}

impl From<ThreadSnapshot> for Thread {
    fn from(snapshot: ThreadSnapshot) -> Self {
        Self {
            status: snapshot.status.as_str(),
            run_id: snapshot.run_id,
            messages: snapshot.messages,
            state: snapshot.state,
            cursor: snapshot.cursor.to_string(),
        }
    }
}

async fn threads(State(state): State<StreamState>, context: RequestContext) -> Response {
    #[derive(Serialize)]
    struct Answer {
        threads: Vec<Overview>,
    }
    let threads = state.router().threads_of(context.user_id());
    let threads = threads.into_iter().map(Overview::from).collect();
    Json(Answer { threads }).into_response()
}

async fn thread(
    State(state): State<StreamState>,
    context: RequestContext,
    Path(thread): Path<String>,
) -> Result<Response, Problem> {
    let snapshot = state
        .router()
        .snapshot_thread(context.user_id(), &thread.as_str().into());
    let snapshot = snapshot.ok_or_else(|| {
        let detail = format!("nothing is known of the thread {thread:?}: it is new, or long over");
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    if snapshot.is_too_large {
        let detail = "the thread has grown too large to be told; its stream goes on";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok(Json(Thread::from(snapshot)).into_response())
}
