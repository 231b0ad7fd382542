//! What a caller asks of a stream, and what it gets.

use std::time::Duration;

use events_sse::{Closing, Gap};

use crate::{client::StreamKind, error::Cause};

/// Which stream to follow, and from where.
#[derive(Clone, Debug)]
#[must_use]
pub struct Subscribe {
    pub(super) kind: StreamKind,
    pub(super) user: Option<String>,
    pub(super) thread: Option<String>,
    pub(super) task: Option<String>,
    pub(super) from: Option<String>,
}

impl Subscribe {
    /// Names the stream.
    pub const fn to(kind: StreamKind) -> Self {
        Self {
            kind,
            user: None,
            thread: None,
            task: None,
            from: None,
        }
    }

    /// Names the user, in place of the client's own; needed where no token says it.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Follows one AG-UI thread only.
    pub fn thread(mut self, thread: impl Into<String>) -> Self {
        self.thread = Some(thread.into());
        self
    }

    /// Follows one A2A task only.
    pub fn task(mut self, task: impl Into<String>) -> Self {
        self.task = Some(task.into());
        self
    }

    /// Begins behind this cursor, an id that an earlier stream of the same user gave. Default: the present.
    pub fn from(mut self, cursor: impl Into<String>) -> Self {
        self.from = Some(cursor.into());
        self
    }
}

/// What a followed stream brings.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item {
    /// A connection stands; what follows comes after this cursor, or from the present without one.
    Connected {
        /// The cursor that was sent.
        cursor: Option<String>,
    },
    /// One event.
    Event {
        /// The event's id, if the stream has ids.
        id: Option<String>,
        /// The event's name, `message` for protocol events.
        event: String,
        /// The event, as it was received: one JSON value.
        data: String,
    },
    /// Events are missing; the stream goes on behind them.
    Gap(Gap),
    /// The hub ends the stream. It is reconnected if [`events_sse::ClosingReason::is_reconnect_welcome`] says so,
    /// else this is the last item.
    Closing(Closing),
    /// An event was larger than the client's cap and was left out.
    Skipped {
        /// Its length, in bytes.
        bytes: u64,
    },
    /// The connection is lost, and the next attempt is made after a wait.
    Reconnecting {
        /// How long the wait is.
        after: Duration,
        /// Why the connection was lost or not made.
        cause: Cause,
    },
}
