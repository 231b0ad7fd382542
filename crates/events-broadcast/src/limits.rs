//! The bounds of a store; every one has a counter in [`Stats`](crate::Stats) for when it is hit.

use std::time::Duration;

use crate::{Batch, user_log::UserLog, view::MAX_VIEWS, watcher::Watcher};

/// What happens when a user has as many connections as allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CapPolicy {
    /// The new connection is refused.
    #[default]
    Refuse,
    /// The stalest connection is ended and the new one accepted.
    Replace,
}

/// Bounds of a [`LogStore`](crate::LogStore).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections per user and broadcaster.
    pub connections_per_user: usize,
    /// What happens beyond [`Limits::connections_per_user`].
    pub cap_policy: CapPolicy,
    /// Events kept per user. 0 turns history off: a log then only serves the readers that are attached.
    pub events: usize,
    /// Bytes kept per user, JSON and bookkeeping. The newest event is always kept for attached readers.
    pub bytes: usize,
    /// How long an event is kept, and how long a log without events or readers is remembered.
    pub age: Duration,
    /// Bytes kept over all users; beyond it the oldest events go first, whosever they are.
    pub total_bytes: usize,
    /// Distinct users that have a log.
    pub users: usize,
    /// The largest event, in bytes of JSON.
    pub event_bytes: usize,
    /// A connection that has something to read and has not read for this long may lose its slot to a new one.
    pub stalled_after: Duration,
}

impl Limits {
    /// Events that a log without history holds for attached readers.
    pub(crate) const LIVE_EVENTS: usize = 256;

    /// The default of [`Limits::connections_per_user`].
    pub const CONNECTIONS_PER_USER: usize = 10;

    pub(crate) const fn has_history(&self) -> bool {
        self.events > 0
    }

    pub(crate) fn age_ms(&self) -> i64 {
        i64::try_from(self.age.as_millis()).unwrap_or(i64::MAX)
    }

    /// Computes the most bytes that the events of all users can take: what is kept, and one event beyond it, since
    /// the bound is looked at before an append and kept after it, and one batch that connections share in the form in
    /// which it goes out. Batches that are being appended come on top.
    #[must_use]
    pub const fn worst_case_event_bytes(&self) -> usize {
        self.total_bytes
            .saturating_add(self.event_bytes)
            .saturating_add(3 * Batch::MAX_BYTES)
    }

    /// Computes the most bytes that the logs of all users can take without their events and connections, if a user's
    /// name has at most `name_bytes`.
    #[must_use]
    pub const fn worst_case_user_bytes(&self, name_bytes: usize) -> usize {
        self.users
            .saturating_mul(UserLog::BYTES.saturating_add(name_bytes))
    }

    /// Computes the most bytes that one connection can take in its user's log.
    ///
    /// The table of a user's connections does not shrink before it is empty, so the last connection of a user may
    /// hold the places of all that were there with it, on all streams.
    #[must_use]
    pub const fn connection_bytes(&self) -> usize {
        let n_places = self.connections_per_user.saturating_mul(MAX_VIEWS);
        n_places
            .saturating_mul(2)
            .saturating_mul(size_of::<Watcher>())
            .saturating_add(128)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_user: Self::CONNECTIONS_PER_USER,
            cap_policy: CapPolicy::Refuse,
            events: 16_384,
            bytes: 8 << 20,
            age: Duration::from_secs(3_600),
            total_bytes: 256 << 20,
            users: 100_000,
            event_bytes: 1 << 20,
            stalled_after: Duration::from_secs(20),
        }
    }
}
