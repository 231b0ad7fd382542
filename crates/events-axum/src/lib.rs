//! Streams and publishing as an axum router. How things are done, page by page, from cursors to coming from axum's
//! `Sse`: [`guide`].
//!
//! ```
//! use axum::{Extension, Router};
//! use events_axum::{RequestContext, StreamState, stream_router};
//! use events_core::UserId;
//! use events_router::EventRouter;
//!
//! let state = StreamState::new(EventRouter::default());
//! // Your own authentication inserts the context; here everybody is Ada.
//! let ada = RequestContext::new(UserId::new("ada"));
//! let app: Router = Router::new().nest("/events", stream_router(state.clone())).layer(Extension(ada));
//! # let _ = app;
//! ```
//!
//! Serve it with `serve::Server::new(listener, app).run(state.drain_on(signal))` (feature `serve`), or with
//! `axum::serve(listener, app.into_make_service()).with_graceful_shutdown(state.drain_on(signal))`: at the signal every
//! open stream ends within [`StreamConfig::drain_window`], so that the server can stop although streams never end by
//! themselves. A client that does not read cannot be told: `serve::Server` drops its connection a second after the
//! window. With `axum::serve` it stays until TCP gives it up, so put an outer deadline, window plus a second, around that
//! server, and then let the process end: such a connection is a task of axum's, which dropping the server does not end
//! and dropping its runtime does. Given the router itself instead of `into_make_service`, axum copies
//! all routes for each connection: 11 KB of the 33 KB of an idle stream.
//!
//! For many streams, give the runtime the `event_interval` of `serve::Server::EVENT_INTERVAL`, and run
//! [`EventRouter::flush`](events_router::EventRouter::flush) once for each of its workers, as the program `events` does:
//! readers are then told first come, first served, and a saturated server writes many events at a time.
//!
//! Event streams of your own handlers are ended as well if [`end_on_drain`] is around your application.
//!
//! # What this crate does not do
//!
//! Without the feature `auth` it authenticates nobody: a layer of yours inserts a [`RequestContext`] into each request's
//! extensions. It speaks no TLS and has no database. The accept loop is there only with the feature `serve`.
//!
//! # Invariants
//!
//! 1. A stream's slot is owned by its body from the moment it is taken: no await lies in between.
//! 2. What a client has been sent is a prefix of its stream: a new cursor is sent only with, or after, what it covers.
//! 3. A cursor never makes an error status; browsers do not retry after one.
//! 4. No task is spawned here but those of the serving loop, which owns them. Timers live in the bodies that wait on
//!    them.
//! 5. Inner crates know no status codes; `reject.rs` decides.
//! 6. No answer goes on after the context that it was given for has expired or was revoked.
//! 7. A token, ticket or cookie is never shown: not in a log, a span, a metric or an answer to others.

mod a2a;
mod address;
mod admission;
mod agents;
mod agui;
#[cfg(feature = "serve")]
mod aside;
#[cfg(feature = "auth")]
pub mod auth;
mod body;
mod context;
mod drain;
mod frames;
pub mod guide;
mod handmade;
mod head;
mod heartbeat;
#[cfg(feature = "javascript")]
mod javascript;
mod live;
mod metrics;
mod operations;
mod parting;
mod publish;
mod query;
mod rates;
mod receive;
mod reject;
mod revocations;
mod revoking;
#[cfg(feature = "serve")]
pub mod serve;
mod source;
mod state;
mod streams;
mod tally;
mod tenure;
mod transport;
mod wrapped;

#[cfg(test)]
mod tests;

pub use a2a::{A2AConfig, CardConfig, a2a_router};
pub use address::ClientAddress;
pub use admission::Rates;
pub use agents::{AgentCall, AgentPlace, AgentRefusal, AgentStart, Agents, agent_router};
pub use agui::agui_router;
pub use context::{ContextProvider, RequestContext, Role, RouterContexts, UserPattern};
pub use handmade::{StreamWithGuard, create_sse_stream, standard_keep_alive};
#[cfg(feature = "javascript")]
pub use javascript::{JAVASCRIPT_PATH, javascript_router};
pub use metrics::{Bound, Edge};
pub use operations::{metrics_router, operations_router};
pub use publish::publish_router;
pub use rates::Rate;
pub use reject::Problem;
pub use state::{StreamConfig, StreamState};
pub use streams::stream_router;
pub use wrapped::end_on_drain;

/// Everything a hub serves: streams, endpoints for official clients, publishing, health, metrics and connections.
pub fn hub_router(state: StreamState) -> axum::Router {
    stream_router(state.clone())
        .merge(agui_router(state.clone()))
        .merge(a2a_router(state.clone()))
        .merge(publish_router(state.clone()))
        .merge(operations_router(state))
}
