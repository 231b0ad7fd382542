//! A store whose events come from a log elsewhere: it keeps what was read from there for those who are connected.

use std::{
    hash::BuildHasher,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use events_core::{Clock, Epoch, EventError, EventResult, Logged, UserId};
use events_sse::ClosingReason;
use hashbrown::hash_table::Entry as TableEntry;
use smallvec::SmallVec;

use crate::{
    Delivery, Limits, LogStore,
    stats::{add, count},
    store::Wakes,
    user_log::{Entry, Position, UserLog, UserState, is_large},
};

/// What is special about a store that mirrors a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mirror {
    /// Whether a difference of places counts records.
    pub(crate) is_dense: bool,
}

/// Nobody has read this user's log into the store.
#[derive(Debug, thiserror::Error)]
#[error("the user's log has not been read yet")]
pub(crate) struct NotRead;

/// Events go to the log that this store mirrors, by way of the router.
#[derive(Debug, thiserror::Error)]
#[error("this broadcaster mirrors a log and takes no events itself: publish through its router")]
pub(crate) struct IsMirror;

impl LogStore {
    /// Makes an empty store that mirrors a log of this epoch.
    ///
    /// A user's log is there from [`LogStore::open`] to [`LogStore::shut`]; nobody can be connected to another, and
    /// nothing can be appended here.
    #[must_use]
    pub fn mirror(limits: Limits, clock: Arc<dyn Clock>, epoch: Epoch, is_dense: bool) -> Self {
        Self::make(limits, clock, epoch, Some(Mirror { is_dense }))
    }

    /// Tells whether a difference of places counts events.
    pub(crate) fn counts_by_places(&self) -> bool {
        self.inner.mirrors.is_none_or(|mirror| mirror.is_dense)
    }

    /// Opens a user's log with what was read of it.
    ///
    /// `previous` is the place of the record before the first of these, and `last` that of the last one, which may
    /// be none of these. A log that is open already begins anew: who was connected before `previous` is told of a
    /// gap and goes on with these. If it has gone back, who is connected is sent away: he may have seen what is no
    /// more, and comes back with a cursor that says so.
    ///
    /// # Errors
    ///
    /// [`EventError::Overloaded`] when too many users have a log.
    pub fn open(
        &self,
        user: &UserId,
        previous: u64,
        records: Vec<Logged>,
        last: u64,
    ) -> EventResult<()> {
        let log = self.find_or_open(user, previous)?;
        let mut wakes = Wakes::default();
        {
            let mut state = log.lock();
            let before = state.last.seq;
            while !state.ring.is_empty() {
                self.inner.budget.release(state.evict_oldest(false));
            }
            state.begin_after(previous);
            if last < before {
                count(&self.inner.stats.went_back);
                let keys: Vec<_> = state.watchers.iter().map(|(key, _)| key).collect();
                for key in keys {
                    wakes
                        .wakers
                        .extend(state.close(key, ClosingReason::Draining));
                }
            }
            state.unpark(self.inner.clock.now_ms(), &mut wakes.wakers);
            let _delivery = self.extend_locked(&mut state, records, last, before, &mut wakes);
            self.queue(&log, &mut state);
        }
        wakes.wake(self, log);
        if self.inner.budget.is_exceeded() {
            self.make_room();
        }
        Ok(())
    }

    fn find_or_open(&self, user: &UserId, previous: u64) -> EventResult<Arc<UserLog>> {
        let inner = &*self.inner;
        let hash = inner.hasher.hash_one(user);
        let mut shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match shard.entry(
            hash,
            |other| other.user == *user,
            |other| inner.hasher.hash_one(&other.user),
        ) {
            TableEntry::Occupied(entry) => Ok(Arc::clone(entry.get())),
            TableEntry::Vacant(entry) => {
                if inner.users.load(Ordering::Relaxed) >= inner.limits.users {
                    count(&inner.stats.users_refused);
                    return Err(EventError::Overloaded("too many users have a log"));
                }
                let now_ms = inner.clock.now_ms();
                let log = Arc::new(UserLog::new(user.clone(), previous, now_ms));
                entry.insert(Arc::clone(&log));
                drop(shard);
                inner.users.fetch_add(1, Ordering::Relaxed);
                Ok(log)
            }
        }
    }

    /// Shuts a user's log, unless somebody is connected to it; tells whether it is shut.
    pub fn shut(&self, user: &UserId) -> bool {
        let Some(log) = self.find(user) else {
            return true;
        };
        {
            let state = log.lock();
            if !state.watchers.is_empty() {
                return false;
            }
        }
        self.release_all(&log);
        self.remove(&log)
    }

    /// Tells whether somebody is connected to a user's log, on any stream.
    #[must_use]
    pub fn is_watched(&self, user: &UserId) -> bool {
        self.find(user)
            .is_some_and(|log| !log.lock().watchers.is_empty())
    }

    /// Adds what was read from the log after what is here, and wakes whom it concerns.
    ///
    /// The log has reached `last`, by these records and others that are for nobody.
    ///
    /// Records that are not after the last place are left out. A log that is not open takes nothing.
    pub fn extend(&self, user: &UserId, records: Vec<Logged>, last: u64) -> Delivery {
        let Some(log) = self.find(user) else {
            return Delivery::default();
        };
        let mut wakes = Wakes::default();
        let delivery = {
            let mut state = log.lock();
            let before = state.last.seq;
            let delivery = self.extend_locked(&mut state, records, last, before, &mut wakes);
            self.queue(&log, &mut state);
            delivery
        };
        wakes.wake(self, log);
        if self.inner.budget.is_exceeded() {
            self.make_room();
        }
        delivery
    }

    /// Adds records for readers who have read up to `before`.
    fn extend_locked(
        &self,
        state: &mut UserState,
        records: Vec<Logged>,
        last: u64,
        before: u64,
        wakes: &mut Wakes,
    ) -> Delivery {
        let inner = &*self.inner;
        let now_ms = inner.clock.now_ms();
        let mut delivery = Delivery::default();
        let keeps = inner.limits.has_history() || state.has_cursors();
        state.touched_ms = now_ms;
        let mut entries = SmallVec::<[Entry; 1]>::with_capacity(records.len());
        for logged in records {
            if logged.seq <= state.last.seq {
                continue;
            }
            state.last = Position {
                seq: logged.seq,
                tag: logged.record.tag,
            };
            delivery.ids.push(state.last.id(inner.epoch));
            entries.push(self.entry(logged, keeps));
        }
        if last > state.last.seq {
            state.last = Position { seq: last, tag: 0 };
        }
        add(&inner.stats.appended, delivery.ids.len());
        self.deliver(state, entries, before, now_ms, keeps, &mut delivery, wakes);
        delivery
    }

    /// Lets go of all events of a user, as if they had been trimmed.
    pub fn clear(&self, user: &UserId) {
        if let Some(log) = self.find(user) {
            self.release_all(&log);
        }
    }

    fn release_all(&self, log: &UserLog) {
        let mut state = log.lock();
        while !state.ring.is_empty() {
            self.inner.budget.release(state.evict_oldest(false));
        }
    }

    /// Makes the entry of a record that was read.
    fn entry(&self, logged: Logged, keeps: bool) -> Entry {
        let Logged { seq, at_ms, record } = logged;
        Entry {
            seq,
            at_ms,
            json: if keeps && is_large(&record.json) {
                self.inner.budget.charge_until_dropped(record.json)
            } else {
                record.json
            },
            scope: record.scope,
            name: record.name,
            tag: record.tag,
            channel: record.channel,
        }
    }
}
