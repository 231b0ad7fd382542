//! Appending: one batch, one lock, one wake for each reader that it concerns.

use std::sync::{Arc, Weak, atomic::Ordering};

use events_core::{EventError, EventId, EventResult, Record, UserId};
use events_sse::ToSse;
use smallvec::SmallVec;
use tokio::sync::mpsc::error::TrySendError;

use crate::{
    Delivery, Limits, LogStore,
    delivery::Reached,
    fault::Fault,
    mirror::IsMirror,
    stats::{add, count},
    store::Wakes,
    user_log::{Entry, Position, UserLog, UserState, is_large},
    view::MAX_VIEWS,
    watcher::{Intake, Watcher},
};

/// Visits to other users' logs that one publish pays for when the logs are not full.
const VISITS_PER_PUBLISH: usize = 4;
/// Visits that it pays for when they are: enough to make room for the largest batch, each evicts 64 events.
const VISITS_WHEN_FULL: usize = 4_096;

/// Where a user's log was found last. It keeps nothing alive, and is found anew when the log has gone.
#[derive(Clone, Debug, Default)]
pub struct LogHint(pub(crate) Weak<UserLog>);

impl LogStore {
    /// Appends records for one user as one batch, and wakes whom they concern.
    ///
    /// With `expected_last`, only if the user's last sequence is still that one.
    ///
    /// # Errors
    ///
    /// [`EventError::TooLarge`], [`EventError::Conflict`], or [`EventError::Overloaded`] when there are too many
    /// users. Nothing has been appended then.
    pub fn append(
        &self,
        user: &UserId,
        records: &[Record],
        expected_last: Option<u64>,
    ) -> EventResult<Delivery> {
        let now_ms = self.inner.clock.now_ms();
        let mut hint = LogHint::default();
        self.append_with(user, now_ms, &mut hint, |last| match expected_last {
            Some(expected) if expected != last.seq => Err(EventError::Conflict { last: last.seq }),
            _ => Ok(SmallVec::<[Record; 1]>::from(records)),
        })
    }

    /// Appends what `make` returns, as one batch; `make` is given the id of the user's last event.
    ///
    /// `now_ms` is the time of the append in milliseconds since the Unix epoch, of the same clock as the store's.
    /// `hint` is of this store and user, or empty; who appends again gives it again and is spared the look-up.
    ///
    /// `make` runs under the user's lock, when nothing else can fail any more but the size of a record: what it
    /// decides holds at the moment of the append. It must be short, and must not use this store.
    ///
    /// # Errors
    ///
    /// Those of `make`; [`EventError::TooLarge`]; [`EventError::Overloaded`] when there are too many users, in
    /// which case `make` has not run. Nothing has been appended then.
    pub fn append_with<X: From<EventError>>(
        &self,
        user: &UserId,
        now_ms: i64,
        hint: &mut LogHint,
        make: impl FnOnce(EventId) -> Result<SmallVec<[Record; 1]>, X>,
    ) -> Result<Delivery, X> {
        let inner = &*self.inner;
        if inner.mirrors.is_some() {
            return Err(EventError::Rejected(IsMirror.into()).into());
        }
        self.check_room()?;
        let delivery = loop {
            let log = match hint.0.upgrade() {
                Some(log) => log,
                None => {
                    let log = self.find_or_create(user, now_ms)?;
                    hint.0 = Arc::downgrade(&log);
                    log
                }
            };
            debug_assert_eq!(log.user, *user, "the hint is of another user");
            let mut state = log.lock();
            if state.removed {
                // It has left the store since; the look-up makes a new one.
                drop(state);
                hint.0 = Weak::new();
            } else {
                let records = make(state.last.id(inner.epoch))?;
                self.check_sizes(&records)?;
                let mut wakes = Wakes::default();
                let delivery = self.append_locked(&mut state, records, now_ms, &mut wakes);
                self.queue(&log, &mut state);
                drop(state);
                wakes.wake(self, log);
                break delivery;
            }
        };
        add(&inner.stats.appended, delivery.ids.len());
        let oldest_ms = now_ms.saturating_sub(inner.limits.age_ms());
        if inner.budget.is_exceeded() {
            // Whoever has added more than there is room for makes the room.
            self.make_room();
        } else if inner.budget.has_older_than(oldest_ms) {
            self.trim(VISITS_PER_PUBLISH);
        }
        Ok(delivery)
    }

    /// Refuses while the logs are full of what cannot be evicted: large events that connections have not written yet.
    fn check_room(&self) -> EventResult<()> {
        let inner = &*self.inner;
        if !inner.budget.is_exceeded() {
            return Ok(());
        }
        self.make_room();
        if !inner.budget.is_exceeded() {
            return Ok(());
        }
        count(&inner.stats.refused_full);
        Err(EventError::Overloaded(
            "the logs are full of events that slow connections still have to be sent",
        ))
    }

    pub(crate) fn make_room(&self) {
        let budget = &self.inner.budget;
        if !budget.is_exceeded() {
            return;
        }
        let mut left = VISITS_WHEN_FULL;
        while left > 0 && budget.is_exceeded() && self.trim(VISITS_PER_PUBLISH) > 0 {
            left = left.saturating_sub(VISITS_PER_PUBLISH);
        }
    }

    fn check_sizes(&self, records: &[Record]) -> EventResult<()> {
        let limit = self.inner.limits.event_bytes;
        match records.iter().map(|record| record.json.len()).max() {
            Some(size) if size > limit => {
                count(&self.inner.stats.too_large);
                Err(EventError::TooLarge { size, limit })
            }
            _ => Ok(()),
        }
    }

    fn append_locked(
        &self,
        state: &mut UserState,
        records: SmallVec<[Record; 1]>,
        now_ms: i64,
        wakes: &mut Wakes,
    ) -> Delivery {
        let inner = &*self.inner;
        let mut delivery = Delivery::default();
        let before = state.last.seq;
        let keeps = inner.limits.has_history() || state.has_cursors();
        state.touched_ms = now_ms;
        let mut entries = SmallVec::<[Entry; 1]>::with_capacity(records.len());
        for record in records {
            let tag = if record.tag == 0 {
                fastrand::u32(1..)
            } else {
                record.tag
            };
            let id = EventId::new(inner.epoch, state.last.seq + 1, tag);
            state.last = Position {
                seq: id.seq,
                tag: id.tag,
            };
            delivery.ids.push(id);
            entries.push(Entry {
                seq: id.seq,
                at_ms: now_ms,
                json: if keeps && is_large(&record.json) {
                    inner.budget.charge_until_dropped(record.json)
                } else {
                    record.json
                },
                scope: record.scope,
                name: record.name,
                tag: id.tag,
                channel: record.channel,
            });
        }
        self.deliver(state, entries, before, now_ms, keeps, &mut delivery, wakes);
        delivery
    }

    /// Puts new entries into the ring, if they are kept, and hands them to whom they concern.
    #[expect(clippy::too_many_arguments, reason = "one step of two ways to append")]
    pub(crate) fn deliver(
        &self,
        state: &mut UserState,
        entries: SmallVec<[Entry; 1]>,
        before: u64,
        now_ms: i64,
        keeps: bool,
        delivery: &mut Delivery,
        wakes: &mut Wakes,
    ) {
        self.reach(
            state,
            &entries,
            before,
            now_ms,
            &mut delivery.reached,
            wakes,
        );
        for entry in entries {
            if keeps {
                self.inner.budget.charge(state.push(entry));
            } else {
                state.pass_by(entry.channel, entry.position());
            }
        }
        self.evict_beyond_user_bounds(state, now_ms);
    }

    /// Wakes the cursors and feeds the senders that want one of the new entries; no queue is ever filled twice. Of a
    /// crowd the cursors are only counted, and woken later.
    fn reach(
        &self,
        state: &mut UserState,
        entries: &[Entry],
        before: u64,
        now_ms: i64,
        reached: &mut [Reached; MAX_VIEWS],
        wakes: &mut Wakes,
    ) {
        let inner = &*self.inner;
        let mut gone = SmallVec::<[usize; 4]>::new();
        let last = state.last.seq;
        match &mut state.crowd {
            Some(crowd) if crowd.is_queued || inner.flush.is_served() => {
                crowd.count(entries, reached);
                for key in &crowd.senders {
                    let watcher = &state.watchers[*key];
                    if !self.send(watcher, entries, &mut reached[watcher.view.index]) {
                        gone.push(*key);
                    }
                }
                wakes.is_for_later = crowd.queue(before, now_ms);
            }
            _ => {
                for (key, watcher) in &mut state.watchers {
                    let is_wanted = entries.iter().any(|entry| watcher.wants(entry));
                    let reached = &mut reached[watcher.view.index];
                    match &mut watcher.intake {
                        Intake::Cursor(cursor) if is_wanted => {
                            if cursor.parked {
                                cursor.parked = false;
                                if inner.has_fault(Fault::DeliverFromPublish) {
                                    cursor.position = before.saturating_sub(1);
                                }
                                cursor.behind_since = now_ms;
                                wakes.wakers.extend(cursor.waker.take());
                            }
                            reached.woken += 1;
                        }
                        // There is nothing for it up to here.
                        Intake::Cursor(cursor) if cursor.parked => cursor.position = last,
                        Intake::Cursor(_) => {}
                        Intake::Sender(_) => {
                            if !self.send(watcher, entries, reached) {
                                gone.push(key);
                            }
                        }
                    }
                }
            }
        }
        for key in gone {
            let watcher = state.remove(key);
            watcher.view.connections.fetch_sub(1, Ordering::Relaxed);
        }
        add(
            &inner.stats.reached,
            reached.iter().map(Reached::connections).sum(),
        );
    }

    /// Hands the wanted entries to a sender, and tells whether it stays.
    fn send(&self, watcher: &Watcher, entries: &[Entry], reached: &mut Reached) -> bool {
        let Intake::Sender(sender) = &watcher.intake else {
            return true;
        };
        if !entries.iter().any(|entry| watcher.wants(entry)) {
            return true;
        }
        let inner = &*self.inner;
        let view = &watcher.view.view;
        // The one place where a payload is copied for each connection. A frame has its JSON already, so making
        // the event cannot fail.
        let axum_event = |entry: &Entry| {
            let event = view.frame(entry).to_sse().unwrap_or_default();
            if view.ephemeral {
                event
            } else {
                event.id(entry.position().id(inner.epoch).to_string())
            }
        };
        let outcome = entries
            .iter()
            .filter(|entry| watcher.wants(entry))
            .try_for_each(|entry| sender.try_send(Ok(axum_event(entry))));
        let is_taken = outcome.is_ok();
        match outcome {
            Ok(()) => reached.sent += 1,
            Err(TrySendError::Full(_)) => {
                count(&inner.stats.senders_full);
                reached.evicted += 1;
            }
            Err(TrySendError::Closed(_)) => {
                count(&inner.stats.senders_closed);
                reached.closed += 1;
            }
        }
        is_taken
    }

    pub(crate) fn evict_beyond_user_bounds(&self, state: &mut UserState, now_ms: i64) {
        let limits = &self.inner.limits;
        let events = if limits.has_history() {
            limits.events
        } else {
            Limits::LIVE_EVENTS
        };
        // The newest event stays whatever its size: attached readers have not had it yet.
        while state.ring.len() > 1 && (state.ring.len() > events || state.ring_bytes > limits.bytes)
        {
            self.inner.budget.release(state.evict_oldest(false));
            count(&self.inner.stats.evicted_user_bound);
        }
        let oldest_ms = now_ms.saturating_sub(limits.age_ms());
        while state
            .ring
            .front()
            .is_some_and(|entry| entry.at_ms < oldest_ms)
        {
            self.inner.budget.release(state.evict_oldest(true));
            count(&self.inner.stats.evicted_age);
        }
    }

    /// Drops a log's last events when nobody reads it and no history is kept.
    pub(crate) fn release_live_buffer(&self, state: &mut UserState) {
        if !self.inner.limits.has_history() && !state.has_cursors() {
            while !state.ring.is_empty() {
                self.inner.budget.release(state.evict_oldest(false));
            }
        }
    }
}
