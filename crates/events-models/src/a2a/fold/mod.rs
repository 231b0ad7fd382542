//! What a task has come to: the fold of its events, and the Task object that tells a client of it.
//!
//! Events are folded as the official servers and clients do it (`a2a-sdk` 1.3.0, `@a2a-js/sdk` 1.3.0):
//!
//! - A Task object states everything anew.
//! - A status replaces the one before. The message of the old status goes to the end of the history, unless a message
//!   of its id is there: so the Python SDK does it, on both sides, and the id is looked for as the JavaScript SDK does.
//! - Metadata of an update is added to that of the task, name by name.
//! - An artifact replaces the one of its id. With `append` its parts go to the end of that one's, its metadata and
//!   unknown members are added, and its name, description and extensions count if there are any. An artifact that is
//!   not known begins with what is appended to it.
//!
//! # Invariants
//!
//! 1. The Task object and the task's next events lead to the Task that all its events lead to.
//! 2. [`TaskContent::json_bytes`] is bounded: beyond [`MAX_BYTES`] nothing but ids and the status is kept.

mod content;
mod saved;
mod task_fold;

pub use content::TaskContent;
pub(in crate::a2a) use saved::SavedContent;
pub use task_fold::TaskFold;

/// What a task may hold, in bytes of JSON: official clients take frames of 4 to 10 MiB.
pub const MAX_BYTES: usize = 3 << 20;

#[cfg(test)]
pub(in crate::a2a) mod tests;
