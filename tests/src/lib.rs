//! What the integration tests need and no crate should contain: sockets that misbehave on purpose,
//! a client that shares no code with ours, and the official clients as judges.
//!
//! ```
//! use events_tests::raw_client::{FrameSplitter, RawFrame};
//!
//! let mut splitter = FrameSplitter::default();
//! splitter.push(b"id: 7\ndata: {\"a\":1}\n\n: quiet\n\n").unwrap();
//! let frame = splitter.next_frame().unwrap().unwrap();
//! assert_eq!((frame.id.as_deref(), frame.data.as_deref()), (Some("7"), Some("{\"a\":1}")));
//! assert_eq!(splitter.next_frame().unwrap().unwrap().comments, ["quiet"]);
//! ```
//!
//! # What this crate does not do
//!
//! It tests nothing by itself beyond its own parts; the tests are in the one binary `it`.
//! It starts a hub of the workspace's crates, but uses none of them to read what they have written: a
//! mistake that is made twice in the same way would not be seen.
//!
//! # Invariants
//!
//! 1. Every wait has a limit, and running into it is an error that says what was waited for.
//! 2. What a test starts (tasks, processes, folders) ends when its handle is dropped.
//! 3. A test that lacks something it needs says so, and fails when everything is required.

pub mod a2a_client;
pub mod agui_check;
pub mod agui_runs;
#[cfg(target_os = "linux")]
pub mod attack;
pub mod browser;
pub mod cargo;
pub mod client_log;
pub mod conformance;
pub mod deadline;
pub mod devtools;
pub mod fault_proxy;
pub mod fuzz;
pub mod guest;
pub mod hub;
pub mod llm_client;
pub mod llm_upstream;
pub mod nats_server;
#[cfg(target_os = "linux")]
pub mod network;
pub mod postgres_server;
pub mod processor_time;
pub mod raw_client;
pub mod report_server;
pub mod resident;
pub mod resume;
pub mod rigs;
pub mod sample;
pub mod scripted_agent;
pub mod server_process;
pub mod skip;
mod standstill;
pub mod storm;
pub mod tck_agent;
pub mod terminal;
pub mod tls_front;
pub mod tokens;

/// The programs of the README, as tests of documents.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
