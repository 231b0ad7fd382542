//! What unmodified official AG-UI clients and pages ask for: attaching to a thread, and what a thread has said.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use events_broadcast::ConnectError;
use events_models::{
    RunAgentInput,
    agui::{AnyJson, Message, fold::Generation},
};
use events_router::{ThreadOverview, ThreadRetold, ThreadSnapshot};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    Problem, RequestContext, StreamState,
    body::Manner,
    metrics::Bound,
    query::{HeartbeatForm, PathName, QueryOf, read_time},
    receive::{check_coding, receive},
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
    QueryOf(query): QueryOf<ConnectQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    check_coding(&headers)?;
    let most = (state.inner.config.ndjson_bytes, Bound::BodyBytes);
    let body = receive(&state, body, most).await?;
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
    let place = state.take_place(&context)?;
    let generation = Generation::of(&input);
    let thread = input.thread_id.clone();
    let _open = state.open_user(context.user_id()).await?;
    let wish = state.router().subscribe(context.user_id());
    let subscription = match wish.for_client(input, generation).thread(thread) {
        Ok(subscription) => subscription,
        Err(ConnectError::Closed) => return Err(Problem::draining()),
        Err(error) => return Err(error.into()),
    };
    let manner = state.official_manner("agui_connect", &context, place);
    let source = Source::thread(subscription, Some(Instant::now() + wait));
    Ok(stream(source, manner, (None, None)))
}

impl StreamState {
    /// How the stream of an official AG-UI client behaves: it takes every frame for an event, and a clean end for a
    /// success.
    pub(crate) fn official_manner(
        &self,
        name: &'static str,
        context: &RequestContext,
        place: OwnedSemaphorePermit,
    ) -> Manner {
        Manner {
            heartbeat: self.inner.config.heartbeat,
            heartbeat_form: HeartbeatForm::Comment,
            has_control: false,
            has_ids: true,
            is_cut_short: true,
            before: None,
            state: Some(self.clone()),
            name: name.into(),
            tenure: self.tenure(context),
            _place: Some(place),
        }
    }
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

async fn threads(
    State(state): State<StreamState>,
    context: RequestContext,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Answer {
        threads: Vec<Overview>,
    }
    let _open = state.open_user(context.user_id()).await?;
    let threads = state.router().threads_of(context.user_id());
    let threads = threads.into_iter().map(Overview::from).collect();
    Ok(Json(Answer { threads }).into_response())
}

/// In which form a thread is asked for.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    /// Its messages and its state.
    #[default]
    Content,
    /// The shortest valid events that put a reader there.
    Events,
}

#[derive(Debug, Deserialize)]
struct ThreadQuery {
    #[serde(default)]
    form: Form,
}

/// Where a thread stands, as events.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Retold<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    events: Vec<&'a RawValue>,
    cursor: String,
}

async fn thread(
    State(state): State<StreamState>,
    context: RequestContext,
    QueryOf(ThreadQuery { form }): QueryOf<ThreadQuery>,
    PathName(thread): PathName,
) -> Result<Response, Problem> {
    let (user, id) = (context.user_id(), thread.as_str().into());
    let _open = state.open_user(user).await?;
    let unknown = || {
        let detail = format!("nothing is known of the thread {thread:?}: it is new, or long over");
        Problem::new(StatusCode::NOT_FOUND, detail)
    };
    match form {
        Form::Content => {
            let snapshot = state.router().snapshot_thread(user, &id);
            let snapshot = snapshot.ok_or_else(unknown)?;
            check_size(snapshot.is_too_large)?;
            Ok(Json(Thread::from(snapshot)).into_response())
        }
        Form::Events => {
            let retold = state.router().retell_thread(user, &id);
            let retold = retold.ok_or_else(unknown)?;
            check_size(retold.is_too_large)?;
            Ok(Json(Retold::of(&retold)).into_response())
        }
    }
}

fn check_size(is_too_large: bool) -> Result<(), Problem> {
    if is_too_large {
        let detail = "the thread has grown too large to be told; its stream goes on";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok(())
}

impl<'a> Retold<'a> {
    fn of(retold: &'a ThreadRetold) -> Self {
        let events = retold.events.iter();
        Self {
            status: retold.status.as_str(),
            run_id: retold.run_id.clone(),
            // Every event was written as JSON.
            events: events
                .filter_map(|json| serde_json::from_slice(json).ok())
                .collect(),
            cursor: retold.cursor.to_string(),
        }
    }
}
