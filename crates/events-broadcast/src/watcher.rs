//! One connection, as its user's log sees it.

use std::{
    sync::{Arc, atomic::Ordering},
    task::Waker,
};

use events_core::{ConnectionId, EventId, EventSender, UserId};
use events_sse::ClosingReason;

use crate::{user_log::Entry, view::ViewState};

/// How a connection takes events.
#[derive(Debug)]
pub(crate) enum Intake {
    /// It reads the log from its position.
    Cursor(Cursor),
    /// It is handed each event on a channel.
    Sender(EventSender),
}

#[derive(Debug)]
pub(crate) struct Cursor {
    /// Everything up to this sequence has been handed out, or was not for this connection. If it waits, that is the
    /// last one, unless the user is queued for a flusher.
    pub(crate) position: u64,
    /// It has read all there was for it, and waits.
    pub(crate) parked: bool,
    /// What its reader has last said of the way to its client.
    pub(crate) transport: Transport,
    pub(crate) n_written: u64,
    pub(crate) waker: Option<Waker>,
    /// When it was given something to read that it has not read yet, in milliseconds.
    pub(crate) behind_since: i64,
}

/// A connection's entry in its user's log.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) connection: ConnectionId,
    /// Tells this registration from a later one under the same connection id.
    pub(crate) serial: u64,
    pub(crate) view: Arc<ViewState>,
    /// The only thread or task that it follows, if any.
    pub(crate) scope: Option<Arc<str>>,
    pub(crate) since_ms: i64,
    /// Set once it has lost its slot; its stream says so at the next poll.
    pub(crate) closing: Option<ClosingReason>,
    pub(crate) intake: Intake,
}

impl Watcher {
    pub(crate) fn wants(&self, entry: &Entry) -> bool {
        self.closing.is_none() && self.view.view.carries(entry, self.scope.as_ref())
    }

    /// Frees the slot of a cursor and returns the task to wake, so that the stream can say why it ends.
    pub(crate) fn close(&mut self, reason: ClosingReason) -> Option<Waker> {
        if self.closing.replace(reason).is_none() {
            self.view.connections.fetch_sub(1, Ordering::Relaxed);
        }
        self.take_waker()
    }

    pub(crate) fn take_waker(&mut self) -> Option<Waker> {
        match &mut self.intake {
            Intake::Cursor(cursor) => cursor.waker.take(),
            Intake::Sender(_) => None,
        }
    }

    pub(crate) const fn holds_slot(&self) -> bool {
        self.closing.is_none()
    }
}

/// By what a connection's events go to its client, as far as whoever writes them has said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// Not said: the body of an answer that some HTTP server writes.
    #[default]
    Body,
    /// The body of an answer over HTTP/1.1.
    Http1,
    /// The body of an answer over HTTP/2.
    Http2,
    /// A socket that the stream has to itself; HTTP/1.1 for the client.
    TakenOver,
}

impl Transport {
    /// All of them, in the order of their numbers (`as usize`).
    pub const ALL: [Self; 4] = [Self::Body, Self::Http1, Self::Http2, Self::TakenOver];

    /// Returns the name in metrics and lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::TakenOver => "taken_over",
        }
    }
}

/// What an operator sees of a connection.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Whose connection it is.
    pub user: UserId,
    /// Its id.
    pub connection: ConnectionId,
    /// The stream that it reads.
    pub stream: &'static str,
    /// The thread or task that it follows, if only one.
    pub scope: Option<Arc<str>>,
    /// When it was accepted, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Its position in the log; absent for a channel, which has none.
    pub cursor: Option<EventId>,
    /// How many sequences its position is behind the log's end. An upper bound: not all of them are for it.
    pub lag: u64,
    /// What is said of the way to its client, when it was last read; absent for a channel, whose reader is not known.
    pub written: Option<Written>,
}

/// What a connection's reader has written to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// By what it goes there.
    pub transport: Transport,
    /// Bytes of the stream since its beginning, without what HTTP and TLS put around them.
    pub n_bytes: u64,
}
