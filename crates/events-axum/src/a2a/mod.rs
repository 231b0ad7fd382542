//! What unmodified official A2A clients ask for: the agent card, JSON-RPC and REST, for tasks that others do.
//!
//! The facts are those of the 1.0.1 text (3.1.6, 5.4, 9, 11), and where it is silent those of the official servers
//! `a2a-sdk` 1.3.0 and `@a2a-js/sdk` 1.3.0. A hub has no agent: tasks are read and followed, and everything that would
//! start or change one is refused with the error that the protocol has for it.

mod asker;
mod call;
mod card;
mod fault;
mod rest;
mod rpc;
mod wishes;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    response::Response,
    routing::{any, get, post},
};
use bytes::Bytes;
use events_core::TaskId;
use events_models::a2a::A2AVersion;
use events_router::TaskEnd;

use crate::{
    RequestContext, StreamState, body::Manner, query::HeartbeatForm, source::Source,
    streams::stream,
};

pub use card::CardConfig;
use fault::Fault;

/// Settings of the endpoints for official A2A clients.
#[derive(Clone, Debug)]
pub struct A2AConfig {
    /// The silence after which a comment is sent: the official Python client gives a stream up after 5 seconds.
    pub heartbeat: Duration,
    /// Whether a stream also ends at a state that waits for somebody.
    pub end: TaskEnd,
    /// What the agent card says.
    pub card: CardConfig,
}

impl Default for A2AConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(4),
            end: TaskEnd::default(),
            card: CardConfig::default(),
        }
    }
}

/// The endpoints for official A2A clients: `/.well-known/agent-card.json`, JSON-RPC at `/a2a/rpc`, REST 1.0 below
/// `/a2a/rest`; and the same below `/a2a/users/{user}`, an address that serves as the base of a client which can name
/// its user nowhere else.
///
/// Each request but that for the card needs a [`RequestContext`] extension; without one the answer is 401. A user in
/// the path must be the one of the context.
pub fn a2a_router(state: StreamState) -> Router {
    let mut router = Router::new().route(card::PATH, get(card::card)).route(
        &format!("/a2a/users/{{user}}{}", card::PATH),
        get(card::card),
    );
    for base in ["/a2a", "/a2a/users/{user}"] {
        router = router
            // The official kit of tests puts a slash behind the address.
            .route(&format!("{base}/rpc"), post(rpc::rpc))
            .route(&format!("{base}/rpc/"), post(rpc::rpc))
            .route(&format!("{base}/rest/{{*path}}"), any(rest::rest));
    }
    router.with_state(state)
}

impl StreamState {
    /// Answers with a stream of a running task: the Task, then what follows. `before` stands before each event, with
    /// a brace behind it.
    fn follow_task(
        &self,
        context: &RequestContext,
        task: &TaskId,
        version: A2AVersion,
        before: Option<Bytes>,
        name: &'static str,
    ) -> Result<Response, Fault> {
        if self.is_draining() {
            return Err(Fault::draining());
        }
        let place = self
            .take_place(context)
            .map_err(|problem| Fault::too_many(problem.detail()))?;
        let config = &self.inner.config.a2a;
        let wish = self.router().subscribe(context.user_id());
        let subscription = wish
            .running_task(task.clone(), config.end)
            .map_err(|error| Fault::of_attach(&error, task))?;
        let manner = Manner {
            heartbeat: config.heartbeat,
            heartbeat_form: HeartbeatForm::Comment,
            has_control: false,
            has_ids: true,
            is_cut_short: true,
            before: before.map(|before| Box::from(&*before)),
            state: Some(self.clone()),
            name: name.into(),
            tenure: self.tenure(context),
            _place: Some(place),
        };
        let source = Source::official_task(subscription, version);
        Ok(stream(source, manner, (None, None)))
    }
}

/// The user that a path names, percent-encoded.
fn user_in(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/a2a/users/")?;
    rest.split('/').next().filter(|user| !user.is_empty())
}

/// Decodes what a client has percent-encoded.
fn decoded(text: &str) -> Result<Arc<str>, Fault> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded
        .map(|text| text.as_ref().into())
        .map_err(|_not_utf8| Fault::invalid_params(format!("{text:?} is not UTF-8")))
}
