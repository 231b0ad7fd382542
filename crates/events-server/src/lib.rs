//! The hub as one binary: configuration, the serving loop, the commands.
//!
//! ```no_run
//! use events_server::{Hub, Mode, Settings, stop_channel};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::bind(Mode::Dev { plays_demo: true }, &Settings::default()).await?;
//! let (stop, stop_requests) = stop_channel();
//! let serving = hub.run(stop_requests, |address| println!("listening on http://{address}"));
//! # stop.request();
//! serving.await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Hub`] puts the other crates together. `local` is the gate in front of it that makes a hub without tokens safe
//! on the machine of one person; `config` has the one table of settings; `commands` has what talks to a hub: `tail`,
//! `top`, `publish`, `record`, `replay`, `bench`. Sockets and connections are `events_axum::serve`.
//!
//! # What this crate does not do
//!
//! It knows no event and no stream: those are in the router and in the HTTP crate. Tokens are checked by
//! `events_axum::auth`. It speaks no TLS, which is a proxy's job.
//!
//! # Invariants
//!
//! 1. Without tokens it listens on loopback only, and answers only requests that name this machine and, when they
//!    come from a page, a page of this machine.
//! 2. The names of settings are in `config/keys.rs` and nowhere else.
//! 3. Standard output has the ready line and what was asked for; everything else is on standard error.
//! 4. Every task is in a set that its owner waits for or aborts before [`Hub::run`] returns.
//! 5. A stop request closes the listener before anything else happens.

mod agents;
mod app;
mod auth_keys;
mod cli;
mod commands;
mod config;
mod console;
mod demo;
mod engine;
mod failure;
mod llm;
mod local;
mod log_spec;
mod memory_budget;
mod page;
mod run;
mod stop;
mod telemetry;
mod terminal;
mod worst_case;

pub use app::{Hub, Mode};
pub use cli::{
    BenchArgs, Command, HubArgs, PublishArgs, PublishStream, RecordArgs, RecordStream, ReplayArgs,
    Speed, TailArgs, TailStream, TokenArgs, TokenRole, TopArgs, parse,
};
pub use config::{
    AGENT_KEYS, AgentKey, AgentSetting, AgentSettings, AuthSettings, ConfigError, Field, KEYS, Key,
    LlmSettings, Origin, PROVIDER_KEYS, Prices, ProviderKey, Settings, Sources, Unit,
};
pub use engine::EngineSettings;
pub use events_axum::serve::ConnectionLimits;
pub use failure::Failure;
pub use log_spec::{LogSpec, LogSpecError};
pub use memory_budget::MemoryBudget;
pub use run::run;
pub use stop::{Stop, StopRequests, stop_channel};
pub use worst_case::WorstCase;
