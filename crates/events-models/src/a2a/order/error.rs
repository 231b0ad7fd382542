//! Why an event is not allowed where it stands.

use crate::a2a::{A2AEventType, TaskState};

/// Says which rule of the order an event breaks, and with which ids.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Rule 1.
    #[error(
        "rule 1: {found} cannot be first, a task begins with task (or its answer is one message)"
    )]
    NotStarted {
        /// The refused event.
        found: A2AEventType,
    },
    /// Rule 2.
    #[error("rule 2: {found} after a message, which is the whole answer")]
    AfterMessage {
        /// The refused event.
        found: A2AEventType,
    },
    /// Rule 2, too.
    #[error("rule 2: message within task `{task}`, where a message is said in a status")]
    MessageInTask {
        /// The task.
        task: String,
    },
    /// Rule 3.
    #[error("rule 3: {found} of task `{other}` among the events of task `{task}`")]
    OtherTask {
        /// The refused event.
        found: A2AEventType,
        /// The task whose events these are.
        task: String,
        /// The task that the event names.
        other: String,
    },
    /// Rule 5.
    #[error("rule 5: {found} cannot follow {state}, which ends task `{task}`")]
    Ended {
        /// The refused event.
        found: A2AEventType,
        /// The task.
        task: String,
        /// The state in which it ended.
        state: TaskState,
    },
    /// Rule 6.
    #[error("rule 6: task `{task}` has no artifact `{artifact}` that could be appended to")]
    NoArtifact {
        /// The task.
        task: String,
        /// The artifact that the event names.
        artifact: String,
    },
    /// No rule of the protocol: the task has more artifacts than are remembered.
    #[error("the task has more than {limit} artifacts")]
    TooManyArtifacts {
        /// The limit, in artifacts.
        limit: usize,
    },
}

impl OrderError {
    /// Returns the number of the broken rule; 0 for [`OrderError::TooManyArtifacts`], which is a bound, not a rule.
    #[must_use]
    pub const fn rule(&self) -> u8 {
        match self {
            Self::TooManyArtifacts { .. } => 0,
            Self::NotStarted { .. } => 1,
            Self::AfterMessage { .. } | Self::MessageInTask { .. } => 2,
            Self::OtherTask { .. } => 3,
            Self::Ended { .. } => 5,
            Self::NoArtifact { .. } => 6,
        }
    }
}
