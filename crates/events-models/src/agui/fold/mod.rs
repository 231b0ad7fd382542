//! What a thread has come to: the fold of its events, and the events that tell a client of it.
//!
//! Events are folded as the official 1.0 client applies them (`@ag-ui/client` 1.0.0), so that a client that
//! joins late holds what one holds that was there from the beginning. A client that joins gets
//! [`ThreadContent::prelude`], one that has lost events in the middle of a run [`ThreadContent::catch_up`].
//!
//! # Invariants
//!
//! 1. A prelude and the thread's next events are accepted by an official client of either generation, and lead
//!    to the messages and the state that the whole thread leads to.
//! 2. What is caught up from any [`OpenSet`] of the thread is valid there, and leads to the same.
//! 3. [`ThreadContent::size`] is bounded: beyond [`MAX_BYTES`] nothing but ids is kept.

mod activity;
mod catch_up;
mod content;
mod document;
mod items;
mod messages;
mod open_set;
mod prelude;
mod reader;
mod restate;
mod run;
mod saved;
mod snapshot;
mod thread_fold;
mod tool_call;

pub use content::{ThreadContent, ThreadStatus};
pub use open_set::OpenSet;
pub use reader::{Generation, Reader};
pub(in crate::agui) use saved::SavedContent;
pub use thread_fold::ThreadFold;

/// What a thread may hold, in bytes of JSON: official clients take frames of 4 to 10 MiB.
pub const MAX_BYTES: usize = 3 << 20;

/// The code of the RUN_ERROR that a client gets who joins a thread that has grown beyond [`MAX_BYTES`].
pub const THREAD_TOO_LARGE: &str = "thread_too_large";

/// The code of the RUN_ERROR or SUBAGENT_ERROR that ends for a client what has ended in a way that is not
/// remembered.
pub const OUTCOME_UNKNOWN: &str = "outcome_unknown";

#[cfg(test)]
mod tests;
