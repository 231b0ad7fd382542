//! Asking an agent for a run.

use std::collections::HashSet;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use events_core::UserId;
use events_models::{
    AgUiEventBuilder, RunAgentInput,
    agui::{RunStarted, fold::Generation, order::OrderError},
};
use events_router::{BusEvent, EventRouter, Item, MsgId, PublishError, Refusal};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use super::{AgentCall, AgentPlace, AgentRefusal, Opening, Shared};
use crate::{
    Problem, RequestContext, StreamState,
    metrics::Bound,
    query::PathName,
    receive::{check_coding, discard, receive},
    source::Source,
    streams::stream,
};

/// The longest `threadId` and `runId` together, in bytes: both are in the message id of the run's beginning.
const MAX_ID_BYTES: usize = 512;
/// The most names of agents that are listed to a client that has named none of them.
const MAX_LISTED: usize = 20;

/// What a client has asked for.
struct Asked {
    context: RequestContext,
    input: RunAgentInput,
    generation: Generation,
    stream_place: OwnedSemaphorePermit,
}

pub(super) async fn run(
    State(shared): State<Shared>,
    context: RequestContext,
    PathName(agent): PathName,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let state = &shared.state;
    let place = match shared.admit(&context, &agent) {
        Ok(place) => place,
        Err(problem) => {
            state.count_bound(&problem);
            // A client that sends all before it reads would not see the answer.
            discard(body).await;
            return problem.into_response();
        }
    };
    if let Err(problem) = check_coding(&headers) {
        discard(body).await;
        return problem.into_response();
    }
    let authorization = headers.get(header::AUTHORIZATION).cloned();
    let answer = Box::pin(begin(state, context, place, authorization, body)).await;
    answer.unwrap_or_else(|problem| {
        state.count_bound(&problem);
        problem.into_response()
    })
}

impl Shared {
    fn admit(&self, context: &RequestContext, agent: &str) -> Result<Box<dyn AgentPlace>, Problem> {
        let user = context.user_id();
        self.state.check_user(user)?;
        if !context.may_publish_for(user) {
            let detail = "your role may read only: asking an agent needs that of a publisher";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        if self.state.is_draining() {
            return Err(Problem::draining());
        }
        self.agents.reserve(agent, user).map_err(|refusal| {
            let busy = |status, detail: &str| Problem::new(status, detail).retry_after(5);
            match refusal {
                AgentRefusal::Unknown => self.unknown(agent),
                AgentRefusal::UserFull => busy(
                    StatusCode::TOO_MANY_REQUESTS,
                    "you have too many runs of agents at the same time; wait for one, or stop one",
                ),
                AgentRefusal::Full => busy(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many runs of agents are active; try again",
                ),
                AgentRefusal::Closing => Problem::draining(),
            }
        })
    }

    fn unknown(&self, agent: &str) -> Problem {
        let mut names = self.agents.names();
        let n_more = names.len().saturating_sub(MAX_LISTED);
        names.truncate(MAX_LISTED);
        let known = match (names.is_empty(), n_more) {
            (true, _) => "none is configured: start the hub with --agent NAME=URL".to_owned(),
            (false, 0) => format!("there are {}", names.join(", ")),
            (false, n) => format!("there are {} and {n} more", names.join(", ")),
        };
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no agent {agent:?}; {known}"),
        )
    }
}

async fn begin(
    state: &StreamState,
    context: RequestContext,
    place: Box<dyn AgentPlace>,
    authorization: Option<HeaderValue>,
    body: Body,
) -> Result<Response, Problem> {
    let most = (state.inner.config.ndjson_bytes, Bound::BodyBytes);
    let body = receive(state, body, most).await?;
    let input =
        RunAgentInput::from_json(&body.bytes).map_err(|invalid| Problem::of_invalid(&invalid))?;
    let n_id_bytes = input.thread_id.as_str().len() + input.run_id.as_str().len();
    if n_id_bytes > MAX_ID_BYTES || input.run_id.as_str().is_empty() {
        let detail = format!(
            "a runId is not empty, and threadId and runId have at most {MAX_ID_BYTES} bytes together"
        );
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let asked = Asked {
        stream_place: state.take_place(&context)?,
        generation: Generation::of(&input),
        context,
        input,
    };
    let (user, input) = (asked.context.user_id(), &asked.input);
    let open = state.open_user(user).await?;
    let router = state.router();
    let standing = router.thread_standing(user, &input.thread_id);
    if standing.is_some_and(|(_, run)| run.as_deref() == Some(input.run_id.as_str())) {
        return asked.join(state);
    }
    // The reader is there before there is anything to read.
    let wish = router.subscribe(user);
    let subscription = wish
        .for_run(input.clone(), asked.generation)
        .thread(input.thread_id.clone())?;
    let (started, opening) = Opening::new(asked.generation);
    let (begun, has_begun) = oneshot::channel();
    place.begin(AgentCall {
        user: user.clone(),
        thread: input.thread_id.clone(),
        run: input.run_id.clone(),
        start: start_of(router, user, input)?,
        input: body.bytes.clone(),
        authorization,
        open,
        begun,
        started,
    });
    match has_begun.await {
        Ok(Ok(published)) if published.duplicates == 0 => {
            let manner = state.official_manner("agui_run", &asked.context, asked.stream_place);
            let source = Source::run(subscription, opening);
            Ok(stream(source, manner, (None, None)))
        }
        // Another request of this client has begun it.
        Ok(Ok(_)) => {
            drop(subscription);
            asked.join(state)
        }
        Ok(Err(PublishError::Refused {
            refusal: Refusal::Order(OrderError::RunActive { active, .. }),
            ..
        })) => {
            drop(subscription);
            if active == asked.input.run_id.as_str() {
                return asked.join(state);
            }
            let detail = format!(
                "the thread's run {active:?} is active, and a thread has one run at a time: wait for its end, follow \
                 it by POST /agui/connect, or stop it by POST /agui/runs/{active}/stop"
            );
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        Ok(Err(error)) => Err(Problem::of_publish(&error, |_| None)),
        Err(_closing) => Err(Problem::draining()),
    }
}

impl Asked {
    /// Follows a run that is there already, as `POST /agui/connect` does.
    fn join(self, state: &StreamState) -> Result<Response, Problem> {
        let wish = state.router().subscribe(self.context.user_id());
        let thread = self.input.thread_id.clone();
        let subscription = wish
            .for_client(self.input, self.generation)
            .thread(thread)?;
        let manner = state.official_manner("agui_run", &self.context, self.stream_place);
        let source = Source::thread(subscription, Some(Instant::now()));
        Ok(stream(source, manner, (None, None)))
    }
}

/// Makes the RUN_STARTED of a run, with what the log needs of its input.
fn start_of(router: &EventRouter, user: &UserId, input: &RunAgentInput) -> Result<Item, Problem> {
    let mut start = RunStarted::new(input.thread_id.clone(), input.run_id.clone());
    start.parent_run_id.clone_from(&input.parent_run_id);
    start.input = Some(Box::new(recorded(router, user, input)));
    let mut event = AgUiEventBuilder::stamp(&**router.clock(), start);
    let mut json = Vec::new();
    let is_written = event.write_json(&mut json).is_ok();
    if (!is_written || json.len() > router.store().limits().event_bytes)
        && let events_models::AgUiEvent::RunStarted(start) = &mut event
    {
        // Those who join later lack the question then; the run itself does not.
        start.input = None;
    }
    let thread = Some(input.thread_id.clone());
    let item = Item::new(BusEvent::AgUi { thread, event });
    let msg_id = msg_id_of(input.thread_id.as_str(), input.run_id.as_str());
    let msg_id = msg_id.map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(item.with_msg_id(msg_id))
}

/// Makes the message id of a run's beginning: of the thread and the run, whose bytes may be any.
fn msg_id_of(thread: &str, run: &str) -> Result<MsgId, events_router::MsgIdError> {
    // 64-bit FNV-1a twice, forwards and backwards: two runs of one user do not meet by chance, and whoever makes
    // them meet joins a run of his own.
    let hash = |bytes: &mut dyn Iterator<Item = u8>| {
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let ids = || thread.bytes().chain([0xff]).chain(run.bytes());
    let (forwards, backwards) = (hash(&mut ids()), hash(&mut ids().rev()));
    let n_bytes = thread.len();
    MsgId::new(format!(
        "agui-run:{n_bytes}:{forwards:016x}{backwards:016x}"
    ))
}

/// What the log keeps of an input: the messages that the thread does not have, and the state. The rest is for the agent
/// alone: its properties often hold secrets, and its history would be kept once for each run.
fn recorded(router: &EventRouter, user: &UserId, input: &RunAgentInput) -> RunAgentInput {
    let snapshot = router.snapshot_thread(user, &input.thread_id);
    let known = snapshot.filter(|snapshot| !snapshot.is_too_large);
    let known = known.map(|snapshot| snapshot.messages).unwrap_or_default();
    let known: HashSet<_> = known.iter().map(|message| message.id()).collect();
    let messages = input.messages.iter();
    let messages = messages.filter(|message| !known.contains(message.id()));
    let mut recorded = RunAgentInput::new(
        input.thread_id.clone(),
        input.run_id.clone(),
        messages.cloned().collect::<Vec<_>>(),
    );
    recorded.state.clone_from(&input.state);
    recorded
        .protocol_version
        .clone_from(&input.protocol_version);
    recorded
}
