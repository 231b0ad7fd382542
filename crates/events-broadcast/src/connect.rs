//! Taking a slot: at which position a connection begins, and whether it may.

use std::sync::{Arc, atomic::Ordering};

use events_core::{ConnectionId, EventError, EventId, EventSender, UserId};
use events_sse::{ClosingReason, GapReason};
use smallvec::SmallVec;

use crate::{
    CapPolicy, LogStore, Missed, Subscription, Transport,
    fault::Fault,
    stats::count,
    user_log::{UserLog, UserState},
    view::ViewState,
    watcher::{Cursor, Intake, Watcher},
};

/// Where in the log a connection begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    #[default]
    Now,
    /// After the event with this id, which the client has seen.
    After(EventId),
    /// The client sent a cursor that is not an event id: it is told of a gap and goes on with the next event.
    Unknown(String),
}

impl Start {
    /// Reads a client's cursor; an absent or empty one means a fresh client.
    #[must_use]
    pub fn parse(cursor: Option<&str>) -> Self {
        match cursor {
            None | Some("") => Self::Now,
            Some(text) => text
                .parse()
                .map_or_else(|_| Self::Unknown(text.to_owned()), Self::After),
        }
    }
}

/// A wish to be connected.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The connection's id.
    pub connection: ConnectionId,
    /// Where it begins.
    pub start: Start,
    /// The only thread or task that it follows, if any.
    pub scope: Option<Arc<str>>,
}

impl Attach {
    /// Connects under a new id with the next event.
    #[must_use]
    pub fn now() -> Self {
        Self {
            connection: ConnectionId::generate(),
            start: Start::Now,
            scope: None,
        }
    }

    /// Connects under a new id from the cursor that a client sent.
    #[must_use]
    pub fn from_cursor(cursor: Option<&str>) -> Self {
        Self {
            start: Start::parse(cursor),
            ..Self::now()
        }
    }

    /// Follows one thread or task only.
    #[must_use]
    pub fn scoped(mut self, scope: impl Into<Arc<str>>) -> Self {
        self.scope = Some(scope.into());
        self
    }
}

/// Says why a connection was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The user has as many connections as allowed.
    #[error("user has {cap} connections, which is the most allowed")]
    TooMany {
        /// The cap, in connections.
        cap: usize,
    },
    /// The broadcaster has been closed.
    #[error("broadcaster is closed")]
    Closed,
    /// The user has no log and none can be made.
    #[error("no log for this user")]
    NoLog(#[source] EventError),
}

impl LogStore {
    pub(crate) fn attach(
        &self,
        view: &Arc<ViewState>,
        user: &UserId,
        attach: Attach,
    ) -> Result<Subscription, ConnectError> {
        let early = self
            .inner
            .has_fault(Fault::PrimeEarly)
            .then(|| self.last(user));
        let (log, (key, primed, missed)) = self.with_log(user, |state, now_ms| {
            self.take_slot(view, state, &attach.connection, now_ms)?;
            let (position, missed) = self.position(view, state, &attach);
            let primed = if missed.is_some() || attach.start == Start::Now {
                early.unwrap_or_else(|| state.last.id(self.inner.epoch))
            } else {
                // The client's own cursor is still the right one.
                self.cursor_id(state, position)
            };
            if missed.is_some() {
                count(&self.inner.stats.gaps_on_attach);
            }
            let cursor = Cursor {
                position,
                parked: false,
                waker: None,
                behind_since: now_ms,
                transport: Transport::default(),
                n_written: 0,
            };
            let (connection, intake) = (attach.connection.clone(), Intake::Cursor(cursor));
            let key = self.insert(
                view,
                state,
                connection,
                attach.scope.clone(),
                now_ms,
                intake,
            );
            Ok((key, primed, missed))
        })?;
        Ok(Subscription::new(
            self.clone(),
            log,
            Arc::clone(view),
            key,
            attach.connection,
            primed,
            missed,
        ))
    }

    /// Adds a channel.
    pub(crate) fn attach_sender(
        &self,
        view: &Arc<ViewState>,
        user: &UserId,
        connection: &ConnectionId,
        sender: EventSender,
    ) -> Result<(), ConnectError> {
        let (_log, ()) = self.with_log(user, |state, now_ms| {
            self.take_slot(view, state, connection, now_ms)?;
            self.insert(
                view,
                state,
                connection.clone(),
                None,
                now_ms,
                Intake::Sender(sender),
            );
            Ok(())
        })?;
        Ok(())
    }

    /// Runs `change` on the user's log under its lock, making the log first if there is none.
    fn with_log<T>(
        &self,
        user: &UserId,
        change: impl FnOnce(&mut UserState, i64) -> Result<T, ConnectError>,
    ) -> Result<(Arc<UserLog>, T), ConnectError> {
        let now_ms = self.inner.clock.now_ms();
        loop {
            let log = self
                .find_or_create(user, now_ms)
                .map_err(ConnectError::NoLog)?;
            let mut state = log.lock();
            // It may have been removed between the look-up and the lock; then the next look-up makes a new one.
            if !state.removed {
                state.touched_ms = now_ms;
                let changed = change(&mut state, now_ms)?;
                drop(state);
                return Ok((log, changed));
            }
        }
    }

    /// Makes sure that one more connection is allowed: by taking over the same id, ending a stalled one, or by policy.
    fn take_slot(
        &self,
        view: &Arc<ViewState>,
        state: &mut UserState,
        connection: &ConnectionId,
        now_ms: i64,
    ) -> Result<(), ConnectError> {
        if view.closed.load(Ordering::Relaxed) {
            return Err(ConnectError::Closed);
        }
        let (mut n_slots, mut is_connected) = (0, false);
        for (_, watcher) in &state.watchers {
            if watcher.view.index == view.index && watcher.holds_slot() {
                n_slots += 1;
                is_connected |= watcher.connection == *connection;
            }
        }
        if is_connected {
            let is_it = |watcher: &Watcher| watcher.connection == *connection;
            n_slots -= Self::release(view, state, is_it, ClosingReason::Replaced);
        }
        let limits = &self.inner.limits;
        let cap = limits.connections_per_user;
        if n_slots < cap {
            return Ok(());
        }
        let stalled_ms = now_ms
            .saturating_sub(i64::try_from(limits.stalled_after.as_millis()).unwrap_or(i64::MAX));
        let stalled = |watcher: &Watcher| match &watcher.intake {
            Intake::Cursor(cursor) => !cursor.parked && cursor.behind_since <= stalled_ms,
            Intake::Sender(sender) => sender.is_closed(),
        };
        if Self::release(view, state, stalled, ClosingReason::Slow) > 0 {
            count(&self.inner.stats.stalled);
            return Ok(());
        }
        match limits.cap_policy {
            CapPolicy::Refuse => {
                count(&self.inner.stats.refused_at_cap);
                Err(ConnectError::TooMany { cap })
            }
            CapPolicy::Replace => {
                let stalest = stalest(view, state);
                Self::release(
                    view,
                    state,
                    |watcher| Some(watcher.serial) == stalest,
                    ClosingReason::Replaced,
                );
                count(&self.inner.stats.replaced);
                Ok(())
            }
        }
    }

    /// Takes the slot of the matching connections of one view, and returns how many there were.
    ///
    /// A sender is dropped, which ends its stream. A cursor stays until its stream has told its client why.
    pub(crate) fn release(
        view: &Arc<ViewState>,
        state: &mut UserState,
        matches: impl Fn(&Watcher) -> bool,
        reason: ClosingReason,
    ) -> usize {
        let keys: SmallVec<[usize; 4]> = state
            .watchers
            .iter()
            .filter(|(_, watcher)| {
                watcher.view.index == view.index && watcher.holds_slot() && matches(watcher)
            })
            .map(|(key, _)| key)
            .collect();
        for key in &keys {
            let waker = state.close(*key, reason);
            if matches!(state.watchers[*key].intake, Intake::Sender(_)) {
                state.remove(*key);
            }
            // Waking is a push on a run queue; it takes no lock of ours.
            waker.into_iter().for_each(std::task::Waker::wake);
        }
        keys.len()
    }

    fn insert(
        &self,
        view: &Arc<ViewState>,
        state: &mut UserState,
        connection: ConnectionId,
        scope: Option<Arc<str>>,
        since_ms: i64,
        intake: Intake,
    ) -> usize {
        let serial = self.inner.serials.fetch_add(1, Ordering::Relaxed) + 1;
        view.connections.fetch_add(1, Ordering::Relaxed);
        count(&self.inner.stats.connected);
        let view = Arc::clone(view);
        let watcher = Watcher {
            connection,
            serial,
            view,
            scope,
            since_ms,
            closing: None,
            intake,
        };
        state.insert(watcher, self.inner.crowd_above)
    }

    /// Turns a client's cursor into a position, and says what lies before it and cannot be given any more.
    fn position(
        &self,
        view: &ViewState,
        state: &UserState,
        attach: &Attach,
    ) -> (u64, Option<Missed>) {
        let epoch = self.inner.epoch;
        let now = state.last;
        let start_over = |reason, from: String| {
            (
                now.seq,
                Some(Missed {
                    reason,
                    from: Some(from),
                    to: now.id(epoch),
                    lost: None,
                }),
            )
        };
        match &attach.start {
            Start::Now => (now.seq, None),
            _ if view.view.ephemeral => (now.seq, None),
            Start::After(_) if self.inner.has_fault(Fault::SkipHandOver) => (now.seq, None),
            Start::Unknown(text) => start_over(GapReason::Unknown, text.clone()),
            Start::After(id) if id.epoch != epoch => start_over(GapReason::Epoch, id.to_string()),
            Start::After(id) if id.seq > now.seq => start_over(GapReason::Unknown, id.to_string()),
            Start::After(id) if state.entry(id.seq).is_some_and(|entry| entry.tag != id.tag) => {
                start_over(GapReason::Unknown, id.to_string())
            }
            Start::After(id) => {
                match state.missed(
                    epoch,
                    id.seq,
                    view.view.follows,
                    attach.scope.is_some(),
                    self.counts_by_places(),
                ) {
                    Some(missed) => (
                        missed.to.seq,
                        Some(Missed {
                            from: Some(id.to_string()),
                            ..missed
                        }),
                    ),
                    None => (id.seq, None),
                }
            }
        }
    }

    /// Returns the id of the place `seq`, whose event may be of another channel or gone.
    pub(crate) fn cursor_id(&self, state: &UserState, seq: u64) -> EventId {
        let tag = if seq == state.last.seq {
            state.last.tag
        } else {
            state.entry(seq).map_or(0, |entry| entry.tag)
        };
        EventId::new(self.inner.epoch, seq, tag)
    }
}

/// Finds the connection that has been waiting to be read the longest, else the oldest one.
fn stalest(view: &ViewState, state: &UserState) -> Option<u64> {
    state
        .watchers
        .iter()
        .filter(|(_, watcher)| watcher.view.index == view.index && watcher.holds_slot())
        .min_by_key(|(_, watcher)| match &watcher.intake {
            Intake::Cursor(cursor) if !cursor.parked => (0, cursor.behind_since, watcher.serial),
            Intake::Cursor(_) | Intake::Sender(_) => (1, watcher.since_ms, watcher.serial),
        })
        .map(|(_, watcher)| watcher.serial)
}
