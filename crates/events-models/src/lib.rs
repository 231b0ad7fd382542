//! The events that go over the wire: AG-UI 1.0, A2A 1.0 and 0.3, system, context, analytics, command-line and
//! LLM stream events, how they are read strictly and written legally, in which order the protocols allow them, and
//! what those of a thread or task lead to.
//!
//! ```
//! use events_models::{
//!     AgUiEvent, AgUiEventBuilder, MessageRole,
//!     agui::intake::ThreadIntake,
//! };
//!
//! let mut thread = ThreadIntake::default();
//! let mut log = Vec::new();
//! thread.admit(AgUiEventBuilder::run_started("thread", "run", None), &mut log)?;
//! thread.admit(AgUiEventBuilder::text_message_start("m1", MessageRole::Assistant), &mut log)?;
//! thread.admit(AgUiEventBuilder::text_message_content("m1", "Hello"), &mut log)?;
//! thread.admit(AgUiEventBuilder::text_message_end("m1"), &mut log)?;
//! thread.admit(AgUiEventBuilder::run_finished("thread", "run", None), &mut log)?;
//!
//! let mut json = Vec::new();
//! log[2].write_json(&mut json).expect("every event has a JSON form");
//! assert_eq!(AgUiEvent::from_json(&json).as_ref(), Ok(&log[2]));
//! # Ok::<(), events_models::agui::order::OrderError>(())
//! ```
//!
//! A2A has one model and a form in each version:
//!
//! ```
//! use events_models::{A2AEvent, A2AEventBuilder, TaskState, a2a::{A2AVersion, order::TaskOrder}};
//!
//! let mut task = TaskOrder::default();
//! let submitted = A2AEventBuilder::task_submitted("t".into(), "c".into(), "cook", Some("Soup?".into()));
//! task.check(&submitted)?;
//! let done = A2AEventBuilder::task_status_update("t".into(), "c".into(), TaskState::Completed, None);
//! task.check(&done)?;
//! assert!(task.check(&done).is_err(), "nothing follows a terminal state");
//!
//! let mut json = Vec::new();
//! done.write_json_v0_3(&mut json).expect("every event has a JSON form");
//! assert_eq!(A2AEvent::from_json_as(&json, A2AVersion::V0_3).as_ref(), Ok(&done));
//! # Ok::<(), events_models::a2a::order::OrderError>(())
//! ```
//!
//! # What this crate does not do
//!
//! It knows no transport, no user, no connection and no runtime; it gives no ids to events and stores none.
//! It reads AG-UI 1.0 only: what left the protocol in 1.0 is refused with the name of its replacement; what
//! clients before 1.0 need is written by [`agui::legacy`]. Of A2A it speaks the stream objects, neither the envelopes
//! nor the REST form of 0.3.
//!
//! # Invariants
//!
//! 1. What `from_json` accepts is legal, and is written as the same JSON value, less what the protocol does
//!    not describe; A2A, whose readers have to expect more than they know, keeps that too. No number in open
//!    data and in unknown members loses a digit.
//! 2. What is written is one line: it has no line feed and no carriage return.
//! 3. An absent member is left out, never written as `null`; `null` is written only where it is a value.
//! 4. No input makes a reader panic, and none needs more stack than any other.
//! 5. [`agui::order::ThreadOrder`], [`agui::intake::ThreadIntake`] and [`a2a::order::TaskOrder`] are unchanged by
//!    what they refuse.
//! 6. What [`agui::intake::ThreadIntake`] emits has no chunks and is accepted by a fresh
//!    [`agui::order::ThreadOrder`].
//! 7. What [`agui::fold`] makes is accepted by official clients of both generations where it stands, and leads
//!    them to what the thread's own events lead to.
//! 8. A2A is read more leniently than it is written: invariant 1 holds for what is written as it should be, and the
//!    rest is written as it should have been. What was read as 0.3 may be legal there only; then
//!    [`A2AEvent::validate`] says so.
//! 9. What [`agui::checkpoint`] and [`a2a::checkpoint`] read is in all respects what was written: it refuses the same
//!    and tells the same, byte for byte, whatever comes after it.

pub mod a2a;
pub mod agui;
mod analytics;
mod checkpoint;
mod cli;
mod context;
mod invalid;
mod llm;
mod system;
mod wire;

pub use a2a::{A2AEvent, A2AEventBuilder, A2AEventType, TaskState};
pub use agui::{
    AgUiEvent, AgUiEventBuilder, AgUiEventType, JsonPatchOperation, Message, MessageRole,
    RunAgentInput,
};
pub use analytics::{AnalyticsEvent, AnalyticsEventBuilder, AnalyticsEventType};
pub use checkpoint::CheckpointError;
pub use cli::{CliOutputEvent, CliOutputEventBuilder};
pub use context::{ContextEvent, ContextEventBuilder};
pub use invalid::{InvalidEvent, InvalidKind};
pub use llm::{
    ActiveStreams, AlertKind, ModelTotals, StreamAlert, StreamDetail, StreamFeedFrame, StreamState,
    StreamSummary, StreamTotals, TuiStreamEvent, TuiStreamEventBuilder, Usd,
};
pub use system::{ContextSummary, SystemEvent, SystemEventBuilder, SystemEventType};
