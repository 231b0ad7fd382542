//! The order in which A2A allows the events of a task.
//!
//! The rules are numbered as the errors name them:
//!
//! 1. The first event is the task, or it is a message.
//! 2. A message is the whole answer: it is first, and nothing follows it.
//! 3. All events name the same task.
//! 4. A task is in the conversation that it named last. No event breaks this rule.
//! 5. Nothing follows a terminal state.
//! 6. Parts are appended only to an artifact that an earlier event has brought.
//!
//! Rule 4 does not hold a task in one conversation, although 1.0 means it so (an agent infers the context of a
//! message that names only the task): the official Python server gives such a message a context of its own, and
//! names it in all events of that turn. Nothing that reads a task depends on it, so refusing would lose the events of
//! real agents and protect nobody.
//!
//! Other states may follow one another in any order. No flag is tied to another: an artifact may go on after its
//! last chunk, or never have one. What a stream does beyond that is not a matter of the task's events: that it
//! begins with the task as it is now, that nobody subscribes to a task that has ended, that 0.3 ends it at `final`.

mod error;
mod saved;

pub use error::OrderError;
pub(in crate::a2a) use saved::SavedOrder;

use std::collections::HashSet;

use events_core::{ContextId, TaskId};

use super::{A2AEvent, Artifact, TaskState};

/// How many artifacts a task may have, unless told otherwise.
pub const DEFAULT_MAX_ARTIFACTS: usize = 16_384;

/// Judges the events of one task, in their order.
///
/// It keeps ids only, and no more of them than its limit.
///
/// ```
/// use events_models::{A2AEventBuilder as Make, TaskState, a2a::order::TaskOrder};
///
/// let mut order = TaskOrder::default();
/// let working = || Make::task_status_update("t".into(), "c".into(), TaskState::Working, None);
/// assert_eq!(order.check(&working()).unwrap_err().rule(), 1);
/// assert!(order.check(&Make::task_submitted("t".into(), "c".into(), "cook", None)).is_ok());
/// assert!(order.check(&working()).is_ok());
/// assert_eq!(order.state(), Some(TaskState::Working));
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct TaskOrder {
    /// Whether anything has come; a message without ids leaves no other trace.
    is_started: bool,
    is_answered: bool,
    task_id: Option<TaskId>,
    context_id: Option<ContextId>,
    state: Option<TaskState>,
    artifact_ids: HashSet<String>,
    /// Whether there may be artifacts that no event has brought, because the beginning was not seen.
    has_unseen: bool,
    max_artifacts: usize,
}

impl Default for TaskOrder {
    fn default() -> Self {
        Self::with_max_artifacts(DEFAULT_MAX_ARTIFACTS)
    }
}

impl TaskOrder {
    /// Makes a checker that allows a task so many artifacts.
    #[must_use]
    pub fn with_max_artifacts(max_artifacts: usize) -> Self {
        Self {
            is_started: false,
            is_answered: false,
            task_id: None,
            context_id: None,
            state: None,
            artifact_ids: HashSet::new(),
            has_unseen: false,
            max_artifacts,
        }
    }

    /// Makes a checker for a task whose beginning was not seen: rules 1 and 6 hold from the next task event on.
    ///
    /// Such are later turns of a task, and subscriptions in 0.3.
    #[must_use]
    pub fn midway() -> Self {
        Self {
            has_unseen: true,
            ..Self::default()
        }
    }

    /// Takes the next event of the task.
    ///
    /// # Errors
    ///
    /// The event is not allowed here; then nothing has changed.
    pub fn check(&mut self, event: &A2AEvent) -> Result<(), OrderError> {
        self.judge(event)?;
        self.apply(event);
        Ok(())
    }

    /// Estimates from above the bytes that it holds on the heap. It looks at every id: not for each event.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let names = [
            self.task_id.as_ref().map(TaskId::as_str),
            self.context_id.as_ref().map(ContextId::as_str),
        ];
        let name_bytes: usize = names
            .into_iter()
            .flatten()
            .map(|name| name.len() + 48)
            .sum();
        let id_bytes: usize = self.artifact_ids.iter().map(|id| id.capacity() + 32).sum();
        let table_bytes = match self.artifact_ids.capacity() {
            0 => 0,
            n_usable => {
                (n_usable * 8).div_ceil(7).next_power_of_two() * (size_of::<String>() + 1) + 32
            }
        };
        name_bytes + id_bytes + table_bytes
    }

    /// Returns the task, once an event has named it.
    #[must_use]
    pub const fn task_id(&self) -> Option<&TaskId> {
        self.task_id.as_ref()
    }

    /// Returns the conversation that the task is in: the one that an event has named last.
    #[must_use]
    pub const fn context_id(&self) -> Option<&ContextId> {
        self.context_id.as_ref()
    }

    /// Returns the state of the task, once an event has told it.
    #[must_use]
    pub const fn state(&self) -> Option<TaskState> {
        self.state
    }

    /// Tells whether nothing can follow: the state is terminal, or the answer was a message.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.is_answered || self.state.is_some_and(TaskState::is_terminal)
    }

    fn task_name(&self) -> String {
        self.task_id.clone().map_or_else(String::new, Into::into)
    }

    fn judge(&self, event: &A2AEvent) -> Result<(), OrderError> {
        let found = event.event_type();
        if self.is_answered {
            return Err(OrderError::AfterMessage { found });
        }
        if let (Some(task), Some(other)) = (&self.task_id, event.task_id())
            && task != other
        {
            return Err(OrderError::OtherTask {
                found,
                task: self.task_name(),
                other: other.clone().into(),
            });
        }
        if let Some(state) = self.state
            && state.is_terminal()
        {
            return Err(OrderError::Ended {
                found,
                task: self.task_name(),
                state,
            });
        }
        match event {
            A2AEvent::Task(task) => {
                self.judge_artifacts(task.artifacts.as_deref().unwrap_or_default())
            }
            A2AEvent::Message(_) if self.is_started => Err(OrderError::MessageInTask {
                task: self.task_name(),
            }),
            A2AEvent::Message(_) => Ok(()),
            A2AEvent::StatusUpdate(_) | A2AEvent::ArtifactUpdate(_)
                if !self.is_started && !self.has_unseen =>
            {
                Err(OrderError::NotStarted { found })
            }
            A2AEvent::StatusUpdate(_) => Ok(()),
            A2AEvent::ArtifactUpdate(update) => {
                let artifact_id = &update.artifact.artifact_id;
                let is_known = self.has_unseen || self.artifact_ids.contains(artifact_id);
                if update.is_append() && !is_known {
                    return Err(OrderError::NoArtifact {
                        task: self.task_name(),
                        artifact: artifact_id.clone(),
                    });
                }
                self.judge_artifacts(std::slice::from_ref(&update.artifact))
            }
        }
    }

    fn judge_artifacts(&self, artifacts: &[Artifact]) -> Result<(), OrderError> {
        let n_new = artifacts
            .iter()
            .map(|artifact| artifact.artifact_id.as_str())
            .filter(|id| !self.artifact_ids.contains(*id))
            .collect::<HashSet<_>>()
            .len();
        if self.artifact_ids.len() + n_new > self.max_artifacts {
            return Err(OrderError::TooManyArtifacts {
                limit: self.max_artifacts,
            });
        }
        Ok(())
    }

    fn apply(&mut self, event: &A2AEvent) {
        self.is_started = true;
        self.task_id = self.task_id.take().or_else(|| event.task_id().cloned());
        if let Some(context) = event.context_id()
            && self.context_id.as_ref() != Some(context)
        {
            self.context_id = Some(context.clone());
        }
        self.state = event.state().or(self.state);
        match event {
            A2AEvent::Task(task) => {
                self.has_unseen = false;
                for artifact in task.artifacts.iter().flatten() {
                    self.artifact_ids.insert(artifact.artifact_id.clone());
                }
            }
            A2AEvent::Message(_) => self.is_answered = true,
            A2AEvent::StatusUpdate(_) => {}
            A2AEvent::ArtifactUpdate(update) => {
                if !self.artifact_ids.contains(&update.artifact.artifact_id) {
                    self.artifact_ids
                        .insert(update.artifact.artifact_id.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
