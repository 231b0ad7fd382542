//! Why a publish is refused.

use std::{fmt, time::Duration};

use events_core::EventError;
use events_models::{
    InvalidEvent, a2a::order::OrderError as TaskOrderError, agui::order::OrderError,
};

/// Why one event is refused. It is not in the log, and neither is any other event of its request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The event is not legal by itself.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    /// The order rules of AG-UI forbid the event here.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The event is late: its run was ended because it had been silent for too long.
    #[error("the run was ended because it had no event for {}; begin a new one ({order})", Seconds(*.after))]
    TimedOut {
        /// How long a run of the thread may be silent.
        after: Duration,
        /// The order rule that the event breaks now.
        order: OrderError,
    },
    /// The order rules of A2A forbid the event here.
    #[error(transparent)]
    Task(#[from] TaskOrderError),
    /// The event does not say its thread, and it cannot be told.
    #[error("ambiguous thread: the event names none, and the user has {}", ActiveRuns(*.active))]
    AmbiguousThread {
        /// How many runs of the user are active.
        active: usize,
    },
    /// The thread that the request names is not the one that the event names.
    #[error("thread mismatch: the request names {requested:?}, the event names {named:?}")]
    ThreadMismatch {
        /// The thread that the request names.
        requested: String,
        /// The thread that the event names.
        named: String,
    },
}

/// Why a publish failed. Nothing of it is in the log, unless the log's own error says that this is unknown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// One event is refused, and so is the whole request.
    #[error("event {index} refused")]
    Refused {
        /// The place of the event in the request, counted from 0.
        index: usize,
        /// Why it is refused.
        #[source]
        refusal: Refusal,
    },
    /// The log does not take the events.
    #[error("log does not take the events")]
    Log(#[from] EventError),
}

impl From<PublishError> for EventError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Refused { refusal, .. } => Self::Rejected(refusal.into()),
            PublishError::Log(error) => error,
        }
    }
}

/// How many runs of a user are active, and what that asks for.
struct ActiveRuns(usize);

impl fmt::Display for ActiveRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("no active run; begin one with RUN_STARTED, or name the thread"),
            n_runs => write!(f, "{n_runs} active runs; name the thread"),
        }
    }
}

/// A time for people: `15m`, `90s`, `0.5s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if self.0.subsec_millis() > 0 {
            write!(f, "{}s", self.0.as_secs_f64())
        } else if seconds >= 60 && seconds.is_multiple_of(60) {
            write!(f, "{}m", seconds / 60)
        } else {
            write!(f, "{seconds}s")
        }
    }
}
