//! The logs of all users of one or more broadcasters.

use std::{
    hash::BuildHasher,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use events_core::{Clock, Epoch, EventError, EventId, EventResult, SystemClock, UserId};
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry as TableEntry};
use smallvec::SmallVec;

use crate::{
    Limits, Stats, View,
    budget::Budget,
    crowd::CROWD,
    fault::Fault,
    flush::{FlushQueue, SLICE},
    lock::Mutex,
    mirror::{Mirror, NotRead},
    stats::count,
    user_log::{Position, UserLog},
    view::{MAX_VIEWS, ViewState},
};

/// Locks over all users; a power of two.
const SHARDS: usize = 64;
/// Tasks to wake once no lock is held.
pub(crate) type Wakers = SmallVec<[Waker; 16]>;

/// Whom an append concerns, to be told once no lock is held.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    pub(crate) wakers: Wakers,
    /// There are too many to be woken by the publish call.
    pub(crate) is_for_later: bool,
}

impl Wakes {
    pub(crate) fn wake(self, store: &LogStore, log: Arc<UserLog>) {
        store.inner.flush.wake(self.wakers, store.inner.flush_slice);
        if self.is_for_later {
            store.wake_later(log);
        }
    }
}

/// Per-user logs under common bounds; a cheap handle.
///
/// A stand-alone [`GenericBroadcaster`](crate::GenericBroadcaster) has a store of its own; a router's
/// broadcasters share one, so that they share ids and an event is kept once for all of them.
#[derive(Clone, Debug)]
pub struct LogStore {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) epoch: Epoch,
    pub(crate) limits: Limits,
    pub(crate) stats: Stats,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) serials: AtomicU64,
    shards: Box<[Mutex<HashTable<Arc<UserLog>>>]>,
    pub(crate) hasher: DefaultHashBuilder,
    pub(crate) budget: Arc<Budget>,
    pub(crate) users: AtomicUsize,
    /// Users with more connections than this are told by a flusher.
    pub(crate) crowd_above: usize,
    /// Readers that a flusher looks at in one turn.
    pub(crate) flush_slice: usize,
    pub(crate) flush: FlushQueue,
    views: AtomicUsize,
    /// The highest sequence of any log that has been removed.
    pub(crate) retired: AtomicU64,
    /// The events come from elsewhere.
    pub(crate) mirrors: Option<Mirror>,
    #[cfg(test)]
    pub(crate) fault: std::sync::atomic::AtomicU8,
}

impl LogStore {
    /// Makes an empty store with a random epoch and the machine's clock.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_clock(limits, Arc::new(SystemClock))
    }

    /// Makes an empty store that reads its time from `clock`.
    #[must_use]
    pub fn with_clock(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self::make(limits, clock, Epoch::generate(), None)
    }

    pub(crate) fn make(
        limits: Limits,
        clock: Arc<dyn Clock>,
        epoch: Epoch,
        mirrors: Option<Mirror>,
    ) -> Self {
        let shards = std::iter::repeat_with(|| Mutex::new(HashTable::new()))
            .take(SHARDS)
            .collect();
        let budget = Arc::new(Budget::new(limits.total_bytes));
        let inner = Inner {
            epoch,
            limits,
            stats: Stats::default(),
            clock,
            serials: AtomicU64::new(0),
            shards,
            hasher: DefaultHashBuilder::default(),
            budget,
            users: AtomicUsize::new(0),
            crowd_above: CROWD,
            flush_slice: SLICE,
            flush: FlushQueue::default(),
            views: AtomicUsize::new(0),
            retired: AtomicU64::new(0),
            mirrors,
            #[cfg(test)]
            fault: std::sync::atomic::AtomicU8::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns the life of this store.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    /// Returns the bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// Returns the bytes that all logs hold, JSON and bookkeeping.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.inner.budget.used()
    }

    /// Counts the users that have a log.
    #[must_use]
    pub fn users(&self) -> usize {
        self.inner.users.load(Ordering::Relaxed)
    }

    /// Returns the id of the user's last event, or of the place before the first.
    #[must_use]
    pub fn last(&self, user: &UserId) -> EventId {
        let last = self
            .find(user)
            .map_or_else(|| self.before_first(), |log| log.lock().last);
        last.id(self.inner.epoch)
    }

    pub(crate) fn shard(&self, hash: u64) -> &Mutex<HashTable<Arc<UserLog>>> {
        // The table inside uses the low bits; the shard takes others.
        let index = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        &self.inner.shards[index]
    }

    pub(crate) fn find(&self, user: &UserId) -> Option<Arc<UserLog>> {
        let hash = self.inner.hasher.hash_one(user);
        let shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shard.find(hash, |log| log.user == *user).cloned()
    }

    pub(crate) fn find_or_create(&self, user: &UserId, now_ms: i64) -> EventResult<Arc<UserLog>> {
        let inner = &*self.inner;
        if inner.mirrors.is_some() {
            return self
                .find(user)
                .ok_or_else(|| EventError::Unavailable(NotRead.into()));
        }
        let hash = inner.hasher.hash_one(user);
        let mut may_create = inner.users.load(Ordering::Relaxed) < inner.limits.users;
        loop {
            let mut shard = self
                .shard(hash)
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match shard.entry(
                hash,
                |log| log.user == *user,
                |log| inner.hasher.hash_one(&log.user),
            ) {
                TableEntry::Occupied(entry) => return Ok(Arc::clone(entry.get())),
                TableEntry::Vacant(entry) if may_create => {
                    let base = inner.first_sequence_base();
                    let log = Arc::new(UserLog::new(user.clone(), base, now_ms));
                    entry.insert(Arc::clone(&log));
                    drop(shard);
                    inner.users.fetch_add(1, Ordering::Relaxed);
                    self.queue(&log, &mut log.lock());
                    return Ok(log);
                }
                TableEntry::Vacant(_) => {}
            }
            drop(shard);
            if !self.retire_oldest() {
                count(&inner.stats.users_refused);
                return Err(EventError::Overloaded("too many users have a log"));
            }
            may_create = true;
        }
    }

    /// Returns where a log that does not exist yet would begin.
    pub(crate) fn before_first(&self) -> Position {
        Position {
            seq: self.inner.first_sequence_base(),
            tag: 0,
        }
    }

    /// Calls `visit` with every log, without holding a shard's lock meanwhile.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Arc<UserLog>)) {
        for shard in &self.inner.shards {
            let logs: Vec<_> = shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .cloned()
                .collect();
            logs.iter().for_each(&mut visit);
        }
    }

    /// Wakes every cursor, so that its stream looks at whatever else has changed, such as a drain.
    pub fn wake_all(&self) {
        self.for_each(|log| {
            let wakers: Wakers = {
                let mut state = log.lock();
                state
                    .watchers
                    .iter_mut()
                    .filter_map(|(_, watcher)| watcher.take_waker())
                    .collect()
            };
            wakers.into_iter().for_each(Waker::wake);
        });
    }

    pub(crate) fn add_view(&self, view: View) -> Arc<ViewState> {
        let index = self.inner.views.fetch_add(1, Ordering::Relaxed);
        assert!(
            index < MAX_VIEWS,
            "a store serves at most {MAX_VIEWS} broadcasters"
        );
        ViewState::new(view, index)
    }
}

impl Inner {
    /// A log that is made anew starts above every sequence that was retired, so that no old cursor fits it.
    fn first_sequence_base(&self) -> u64 {
        if self.has_fault(Fault::ReuseSequence) {
            0
        } else {
            self.retired.load(Ordering::Relaxed)
        }
    }
}
