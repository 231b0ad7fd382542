//! Calls AG-UI agents over HTTP and puts what they say into users' logs.
//!
//! ```
//! use std::sync::Arc;
//! use events_agents::{AgentCaller, AgentConfig, AgentsConfig};
//! use events_axum::{StreamState, agent_router};
//! use events_router::EventRouter;
//!
//! let state = StreamState::new(EventRouter::default());
//! let mut config = AgentsConfig::default();
//! config.agents.insert("helper".to_owned(), AgentConfig::new("http://127.0.0.1:8000/"));
//! let agents = AgentCaller::new(config, state.router().clone())?;
//! // `POST /agui/run/helper` is `POST http://127.0.0.1:8000/`, in the log of whoever asks.
//! let app = agent_router(state, Arc::new(agents));
//! # let _ = app;
//! # Ok::<(), events_agents::AgentsError>(())
//! ```
//!
//! **The way of a run.** RUN_STARTED goes into the user's log, with the messages that the thread does not have. Then
//! the agent is called with the input, byte for byte. What it says is read strictly and appended in its order; the
//! agent is read no faster than the log takes it. The caller's stream comes out of the log, and so do those of all
//! others. A caller that leaves changes nothing.
//!
//! **Every run ends.** An agent that cannot be reached, answers with an error, says what is not AG-UI or not allowed
//! there, is silent for too long, or ends before RUN_FINISHED: the run ends with RUN_ERROR, which says what happened
//! and needs nothing closed. Its codes are those of [`RunEnd`]. What comes after the end is counted and left aside.
//!
//! **What is passed over.** Events of a type that AG-UI 1.0 does not have are left out and counted, as the official
//! client does it; likewise the four optional members that it takes for absent when they are `null`. Chunks become
//! explicit events in the log. An agent that names another thread or run than it was asked for gets the names that it
//! was asked for.
//!
//! # What this crate does not do
//!
//! It answers no request: that is [`events_axum::agent_router`]. It repeats no call, since an agent may have acted.
//!
//! # Invariants
//!
//! 1. The agent is called only after RUN_STARTED is in the log, and at most once for it.
//! 2. Between the agent and the log there is no queue: at most one piece of its answer is held.
//! 3. A run that is active in the log and called here ends in the log, but for a log that is out of reach.
//! 4. No header's value and no address is in a log line, an event or an error.
//! 5. No task is spawned that [`AgentCaller::shutdown`] does not wait for.

mod answer;
mod call;
mod caller;
mod config;
mod end;
mod metrics;
mod writer;

pub use caller::AgentCaller;
pub use config::{AgentConfig, AgentLimits, AgentsConfig, AgentsError};
pub use end::RunEnd;
