//! The parts of a user's state that are saved, each for itself: threads, tasks, and the list of contexts.

use std::sync::Arc;

use bytes::Bytes;
use events_core::Checkpoint;
use events_models::{
    ContextSummary,
    a2a::checkpoint::{self as task_checkpoint, TaskLimits},
    agui::checkpoint::{self as thread_checkpoint, ThreadLimits},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    applying::Floors,
    refused::{RefusedRecords, Stretch},
};
use crate::{lane::LaneState, thread::Thread};

/// The part that is the list of contexts.
pub(super) const CONTEXTS_PART: &str = "contexts";

/// Parts of this many bytes are named by a hash.
const MAX_NAME: usize = 400;

/// The name of a part. The state says whose it is; the name only has to be the same on every replica.
#[derive(Debug)]
pub(super) struct PartName(Box<str>);

impl PartName {
    pub(super) fn of_thread(thread: &str) -> Self {
        Self::of("agui", thread)
    }

    pub(super) fn of_task(task: &str) -> Self {
        Self::of("a2a", task)
    }

    pub(super) fn of_contexts() -> Self {
        Self(CONTEXTS_PART.into())
    }

    fn of(kind: &str, name: &str) -> Self {
        if name.len() <= MAX_NAME {
            return Self(format!("{kind}/{name}").into());
        }
        let digest = Sha256::digest(name.as_bytes());
        let hash = digest.iter().map(|byte| format!("{byte:02x}"));
        Self(format!("{kind}#{}", hash.collect::<String>()).into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A part as it is saved: a line of JSON that says what it is, and behind it the state as its model writes it. Which
/// records up to its place were refused is said where there are any.
#[derive(Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case", deny_unknown_fields)]
enum Head<'h> {
    Thread {
        #[serde(borrow)]
        thread: std::borrow::Cow<'h, str>,
        touched_ms: i64,
        run_timeout_ms: i64,
        has_timed_out: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Stretch>,
    },
    Task {
        #[serde(borrow)]
        task: std::borrow::Cow<'h, str>,
        touched_ms: i64,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Stretch>,
    },
    Contexts {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Stretch>,
    },
}

impl Head<'_> {
    fn write(
        &self,
        state: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>,
    ) -> Option<Bytes> {
        let mut out = serde_json::to_vec(self).ok()?;
        out.push(b'\n');
        state(&mut out).ok()?;
        Some(out.into())
    }
}

impl LaneState {
    /// Writes the parts of these names as they are after the place `seq`; one that is gone is empty.
    pub(super) fn save_parts(
        &self,
        names: impl IntoIterator<Item = Box<str>>,
        seq: u64,
        refused: &RefusedRecords,
    ) -> Vec<Checkpoint> {
        let mut parts: Vec<Checkpoint> = names
            .into_iter()
            .map(|part| Checkpoint {
                part,
                seq,
                state: Bytes::new(),
            })
            .collect();
        // Names are made of what they name and not the other way round; there are few of either.
        let mut fill = |name: PartName, write: &dyn Fn(Vec<Stretch>) -> Option<Bytes>| {
            if let Some(found) = parts.iter_mut().find(|part| *part.part == *name.as_str()) {
                found.state = write(refused.of_part(name.as_str())).unwrap_or_default();
            }
        };
        for (thread, entry) in &self.threads.threads {
            fill(PartName::of_thread(thread), &|refused| {
                let head = Head::Thread {
                    thread: (&**thread).into(),
                    touched_ms: entry.touched_ms,
                    run_timeout_ms: entry.run_timeout_ms,
                    has_timed_out: entry.has_timed_out,
                    refused,
                };
                head.write(|out| thread_checkpoint::write(&entry.intake, &entry.content, out))
            });
        }
        for (task, order, content, touched_ms) in self.tasks.saved() {
            fill(PartName::of_task(task), &|refused| {
                let head = Head::Task {
                    task: task.into(),
                    touched_ms,
                    refused,
                };
                head.write(|out| task_checkpoint::write(order, content, out))
            });
        }
        fill(PartName::of_contexts(), &|refused| {
            let contexts = self.contexts.list();
            Head::Contexts { refused }.write(|out| serde_json::to_writer(out, &contexts))
        });
        parts
    }

    /// Takes over what was saved. A part that cannot be read is left out, and what it held is made of the records that
    /// are still there.
    pub(super) fn restore_parts(&mut self, parts: Vec<Checkpoint>) -> (Floors, RefusedRecords) {
        let mut floors = Floors::default();
        let mut refusals = RefusedRecords::default();
        for checkpoint in parts {
            if checkpoint.state.is_empty() {
                continue;
            }
            match self.restore_part(&checkpoint.state) {
                Ok(refused) => {
                    refusals.restore(&checkpoint.part, refused);
                    floors.0.insert(checkpoint.part, checkpoint.seq);
                }
                Err(error) => {
                    tracing::warn!(%error, "checkpoint not read; its events are read instead");
                }
            }
        }
        (floors, refusals)
    }

    /// Returns what was refused of the part.
    fn restore_part(&mut self, state: &[u8]) -> Result<Vec<Stretch>, String> {
        let split = state.iter().position(|byte| *byte == b'\n');
        let (head, rest) = state.split_at(split.ok_or("it has no head")?);
        let rest = &rest[1..];
        let head: Head<'_> = serde_json::from_slice(head).map_err(|error| error.to_string())?;
        let bounds = self.budget.threads;
        let refused = match head {
            Head::Thread {
                thread,
                touched_ms,
                run_timeout_ms,
                has_timed_out,
                refused,
            } => {
                let limits = ThreadLimits {
                    max_bytes: bounds.fold_bytes,
                    ..ThreadLimits::default()
                };
                let (intake, content) =
                    thread_checkpoint::read(rest, limits).map_err(|error| error.to_string())?;
                let thread: Arc<str> = (*thread).into();
                let saved = Thread {
                    intake,
                    content,
                    touched_ms,
                    run_timeout_ms,
                    has_timed_out,
                    ..Thread::new(bounds)
                };
                self.threads.put_back(&thread, saved);
                refused
            }
            Head::Task {
                task,
                touched_ms,
                refused,
            } => {
                let limits = TaskLimits {
                    max_bytes: bounds.fold_bytes,
                    ..TaskLimits::default()
                };
                let (order, content) =
                    task_checkpoint::read(rest, limits).map_err(|error| error.to_string())?;
                self.tasks
                    .put_back((*task).into(), order, content, touched_ms);
                refused
            }
            Head::Contexts { refused } => {
                let contexts: Vec<ContextSummary> =
                    serde_json::from_slice(rest).map_err(|error| error.to_string())?;
                self.contexts.put_back(contexts);
                refused
            }
        };
        Ok(refused)
    }
}
