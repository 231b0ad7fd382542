//! The order state of all users.

use std::{
    hash::BuildHasher,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use events_core::{Clock, EventError, EventResult, UserId};
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use crate::{
    folds::Folds,
    lane::{Lane, LaneState},
};

const SHARDS: usize = 64;

type Users = HashTable<(UserId, Arc<Lane>)>;
type Shard = Mutex<Users>;

/// One lane per user, bounded in number; lanes without an active run can be forgotten.
#[derive(Debug)]
pub(crate) struct Lanes {
    shards: Box<[Shard]>,
    hasher: DefaultHashBuilder,
    len: AtomicUsize,
    max: usize,
    /// How long an idle lane is kept, in milliseconds.
    idle_ms: i64,
    pub(crate) folds: Folds,
}

impl Lanes {
    pub(crate) fn new(max: usize, idle_ms: i64, fold_bytes: usize) -> Self {
        let shards = std::iter::repeat_with(|| Mutex::new(HashTable::new()))
            .take(SHARDS)
            .collect();
        Self {
            shards,
            hasher: DefaultHashBuilder::default(),
            len: AtomicUsize::new(0),
            max,
            idle_ms,
            folds: Folds::new(fold_bytes),
        }
    }

    /// Runs `work` on the user's lane under its lock, making the lane first if there is none.
    pub(crate) fn in_lane<T>(
        &self,
        user: &UserId,
        clock: &dyn Clock,
        work: impl FnOnce(&mut LaneState) -> T,
    ) -> EventResult<T> {
        loop {
            let lane = self.find_or_create(user, clock)?;
            let mut state = lane.lock();
            // It may have been removed between the look-up and the lock; then the next look-up makes a new one.
            if !state.removed {
                let done = work(&mut state);
                self.folds.account(&mut state);
                return Ok(done);
            }
        }
    }

    pub(crate) fn find(&self, user: &UserId) -> Option<Arc<Lane>> {
        let hash = self.hasher.hash_one(user);
        let shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shard
            .find(hash, |(other, _)| other == user)
            .map(|(_, lane)| Arc::clone(lane))
    }

    pub(crate) fn find_or_create(
        &self,
        user: &UserId,
        clock: &dyn Clock,
    ) -> EventResult<Arc<Lane>> {
        let hash = self.hasher.hash_one(user);
        let mut shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.len.load(Ordering::Relaxed) >= self.max
            && shard.find(hash, |(other, _)| other == user).is_none()
        {
            let n_removed = remove_idle(&mut shard, clock.now_ms(), &self.folds);
            if self.len.fetch_sub(n_removed, Ordering::Relaxed) - n_removed >= self.max {
                return Err(EventError::Overloaded("too many users have runs"));
            }
        }
        match shard.entry(
            hash,
            |(other, _)| other == user,
            |(user, _)| self.hasher.hash_one(user),
        ) {
            Entry::Occupied(entry) => Ok(Arc::clone(&entry.get().1)),
            Entry::Vacant(entry) => {
                let lane = Arc::new(Lane::default());
                lane.lock().touched_ms = clock.now_ms();
                entry.insert((user.clone(), Arc::clone(&lane)));
                self.len.fetch_add(1, Ordering::Relaxed);
                Ok(lane)
            }
        }
    }

    /// Forgets the lanes that have been idle for long.
    pub(crate) fn sweep(&self, now_ms: i64) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before_ms = now_ms.saturating_sub(self.idle_ms);
            for (_, lane) in &*shard {
                let mut state = lane.lock();
                state.forget_idle(before_ms);
                self.folds.account(&mut state);
            }
            let n_removed = remove_idle(&mut shard, before_ms, &self.folds);
            self.len.fetch_sub(n_removed, Ordering::Relaxed);
        }
    }

    /// Lists the users that may have a run which has been silent for too long.
    pub(crate) fn overdue(&self, now_ms: i64) -> Vec<UserId> {
        let mut users = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let overdue = shard
                .iter()
                .filter(|(_, lane)| lane.lock().threads.may_be_overdue(now_ms));
            users.extend(overdue.map(|(user, _)| user.clone()));
        }
        users
    }

    /// Makes room among the folds when they take more than they may.
    ///
    /// Shard after shard gives the older half of its threads without a run and of its ended tasks; if none has any,
    /// shard after shard gives up its largest fold, whose thread or task goes on without a prelude.
    pub(crate) fn shed(&self) {
        for gives_up in [false, true] {
            for _ in 0..SHARDS {
                if !self.folds.is_exceeded() {
                    return;
                }
                let shard = self.folds.hand.fetch_add(1, Ordering::Relaxed) % SHARDS;
                let shard = self.shards[shard].lock();
                let shard = shard.unwrap_or_else(PoisonError::into_inner);
                let n_shed = if gives_up {
                    give_up_largest(&shard, &self.folds)
                } else {
                    forget_older_half(&shard, &self.folds)
                };
                self.folds.count_shed(n_shed);
            }
        }
    }

    pub(crate) fn active_runs(&self) -> usize {
        let of_shard = |shard: &Shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard
                .iter()
                .map(|(_, lane)| lane.lock().threads.active_runs())
                .sum::<usize>()
        };
        self.shards.iter().map(of_shard).sum()
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[usize::try_from(hash >> 32).unwrap_or(0) % SHARDS]
    }
}

/// Removes the lanes without an active run that nobody has touched since `before_ms`.
fn remove_idle(shard: &mut Users, before_ms: i64, folds: &Folds) -> usize {
    let n_before = shard.len();
    shard.retain(|(_, lane)| {
        let mut state = lane.lock();
        state.removed = state.threads.active_runs() == 0 && state.touched_ms < before_ms;
        if state.removed {
            state.threads.forget_idle(i64::MAX);
            state.tasks.clear();
            folds.account(&mut state);
        }
        !state.removed
    });
    n_before - shard.len()
}

fn forget_older_half(shard: &Users, folds: &Folds) -> usize {
    let mut ages: Vec<i64> = Vec::new();
    for (_, lane) in shard {
        ages.extend(lane.lock().idle_since());
    }
    let middle = ages.len() / 2;
    if ages.is_empty() {
        return 0;
    }
    let (_, median_ms, _) = ages.select_nth_unstable(middle);
    let before_ms = median_ms.saturating_add(1);
    let forget = |(_, lane): &(UserId, Arc<Lane>)| {
        let mut state = lane.lock();
        let n_forgotten = state.forget_idle(before_ms);
        folds.account(&mut state);
        n_forgotten
    };
    shard.iter().map(forget).sum()
}

fn give_up_largest(shard: &Users, folds: &Folds) -> usize {
    let largest = shard
        .iter()
        .max_by_key(|(_, lane)| lane.lock().fold_bytes());
    largest.map_or(0, |(_, lane)| {
        let mut state = lane.lock();
        let has_given = state.give_up_largest();
        folds.account(&mut state);
        usize::from(has_given)
    })
}
