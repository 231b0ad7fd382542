//! Agents behind the hub: `POST /agui/run/{agent}` and `POST /agui/runs/{run}/stop`.
//!
//! Here is what the requests mean; who calls the agents is behind the trait [`Agents`]. The run's beginning is put into
//! the log before the agent is called: that is what makes a request that is sent again join its run on any replica, and
//! what tells a second run of a thread off. From then on the caller reads the log like everybody else.

mod opening;
mod run;
mod stop;

use std::{fmt, sync::Arc};

use axum::{Router, http::HeaderValue, routing::post};
use bytes::Bytes;
use events_core::{TaskId, ThreadId, UserId};
use events_models::AgUiEvent;
use events_router::{Item, OpenUser, PublishError, Published};
use tokio::sync::oneshot;

use crate::StreamState;

pub(crate) use opening::Opening;

/// Calls agents and puts what they say into users' logs.
pub trait Agents: Send + Sync + 'static {
    /// Lists the names of the agents, in their order.
    fn names(&self) -> Vec<String>;

    /// Takes a place for a call, which is free again when the place is dropped or its run has ended.
    ///
    /// # Errors
    ///
    /// There is no such agent, or no place now.
    fn reserve(&self, agent: &str, user: &UserId) -> Result<Box<dyn AgentPlace>, AgentRefusal>;

    /// Ends the call of a run that is made here, if there is one. That its run is over is in the log already.
    fn stop_here(&self, user: &UserId, run: &TaskId);
}

/// A place for one call of an agent.
pub trait AgentPlace: Send {
    /// Begins a run, in a task of its own: what becomes of whoever asked for it does not matter.
    fn begin(self: Box<Self>, call: AgentCall);
}

/// Why there is no place for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentRefusal {
    /// There is no agent of this name.
    Unknown,
    /// The user has too many runs at the same time.
    UserFull,
    /// There are too many runs at the same time over all users.
    Full,
    /// No run is begun any more.
    Closing,
}

/// A run that an agent is to be asked for.
#[derive(Debug)]
pub struct AgentCall {
    /// Whose log the run is in.
    pub user: UserId,
    /// The thread.
    pub thread: ThreadId,
    /// The run.
    pub run: TaskId,
    /// RUN_STARTED, with a message id. It goes into the log before the agent is called.
    pub start: Item,
    /// The input, byte for byte as it came.
    pub input: Bytes,
    /// The request's own header `Authorization`.
    pub authorization: Option<HeaderValue>,
    /// Keeps the user's log open.
    pub open: OpenUser,
    /// Takes what became of `start`. When it is refused, or was in the log already, the agent is not called.
    pub begun: oneshot::Sender<Result<Published, PublishError>>,
    /// Takes how the agent itself began the run.
    pub started: AgentStart,
}

/// Takes the RUN_STARTED of the agent for the client that asked for the run: it is told that one. Dropped, the client
/// is told the one in the log, without the input.
pub struct AgentStart(oneshot::Sender<AgUiEvent>);

impl AgentStart {
    /// Makes one, and where it tells.
    #[must_use]
    pub fn channel() -> (Self, oneshot::Receiver<AgUiEvent>) {
        let (sender, started) = oneshot::channel();
        (Self(sender), started)
    }

    /// Tells it.
    pub fn tell(self, event: AgUiEvent) {
        // The client may have left.
        let _is_told = self.0.send(event);
    }
}

impl fmt::Debug for AgentStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentStart").finish_non_exhaustive()
    }
}

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    state: StreamState,
    agents: Arc<dyn Agents>,
}

/// `POST /agui/run/{agent}` and `POST /agui/runs/{run}/stop`.
///
/// Each request needs a [`RequestContext`](crate::RequestContext) extension of somebody who may publish for themselves;
/// without one the answer is 401. Runs that others publish can be stopped, too.
pub fn agent_router(state: StreamState, agents: Arc<dyn Agents>) -> Router {
    Router::new()
        .route("/agui/run/{agent}", post(run::run))
        .route("/agui/runs/{run}/stop", post(stop::stop))
        .with_state(Shared { state, agents })
}
