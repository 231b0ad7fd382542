//! The bounds of a store; every one has a counter in [`Stats`](crate::Stats) for when it is hit.

use std::time::Duration;

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

    /// Computes the most memory that the logs can take, in bytes: what is kept plus one slice of eviction debt.
    #[must_use]
    pub fn worst_case_bytes(&self) -> usize {
        self.total_bytes
            .saturating_add(self.event_bytes)
            .saturating_add(self.users.saturating_mul(1024))
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
