//! The order state of all users.

use std::{
    hash::BuildHasher,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use events_core::{Clock, EventError, EventResult, UserId};
use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

use crate::{
    lane::{Lane, LaneState},
    order_budget::{OrderBudget, add, count},
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
    pub(crate) budget: Arc<OrderBudget>,
    /// Where room is looked for next.
    next_shard: AtomicUsize,
    /// When the message ids of all users were looked through for spare ones, in milliseconds.
    spare_forgotten_ms: AtomicI64,
}

/// Shards that one publish searches for idle users when the order state of all is full.
const SHARDS_PER_SEARCH: usize = 4;
/// All users are locked for it, one after the other.
const FORGET_SPARE_EVERY_MS: i64 = 1_000;

impl Lanes {
    pub(crate) fn new(max: usize, idle_ms: i64, budget: OrderBudget) -> Self {
        let shards = std::iter::repeat_with(|| Mutex::new(HashTable::new()))
            .take(SHARDS)
            .collect();
        Self {
            shards,
            hasher: DefaultHashBuilder::default(),
            len: AtomicUsize::new(0),
            max,
            idle_ms,
            budget: Arc::new(budget),
            next_shard: AtomicUsize::new(0),
            spare_forgotten_ms: AtomicI64::new(i64::MIN),
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
                state.account_folds();
                return Ok(done);
            }
        }
    }

    /// Forgets a user.
    pub(crate) fn remove(&self, user: &UserId) {
        let hash = self.hasher.hash_one(user);
        let mut shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Ok(entry) = shard.find_entry(hash, |(other, _)| other == user) {
            let ((_, lane), _) = entry.remove();
            lane.lock().removed = true;
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts the users that have a lane.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Refuses while the state of all users takes more bytes than it may, and no idle user can be forgotten.
    ///
    /// A user who has published within the time for which message ids are promised is not forgotten: a retry would be
    /// taken for something new.
    pub(crate) fn make_room(&self, now_ms: i64) -> EventResult<()> {
        if !self.budget.is_exceeded() {
            return Ok(());
        }
        self.forget_spare_ids(now_ms);
        let age_ms = i64::try_from(self.budget.known.age.as_millis()).unwrap_or(i64::MAX);
        for _ in 0..SHARDS_PER_SEARCH {
            if !self.budget.is_exceeded() {
                return Ok(());
            }
            let index = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let mut shard = self.shards[index]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let n_removed = remove_idle(&mut shard, now_ms.saturating_sub(age_ms));
            drop(shard);
            self.len.fetch_sub(n_removed, Ordering::Relaxed);
            add(&self.budget.counters.users_evicted, n_removed);
        }
        self.check_room(now_ms)
    }

    /// Refuses while the state of all users takes more bytes than it may, and forgets no user: for whom a log is behind,
    /// which has its own way to let users go. Message ids beyond the number that is promised go first.
    pub(crate) fn check_room(&self, now_ms: i64) -> EventResult<()> {
        if self.budget.is_exceeded() {
            self.forget_spare_ids(now_ms);
        }
        if !self.budget.is_exceeded() {
            return Ok(());
        }
        count(&self.budget.counters.refused_full);
        Err(EventError::Overloaded(
            "the threads, tasks and message ids of all users take all the memory that they may",
        ))
    }

    /// Forgets the message ids of all users that need not be remembered, unless that was done just now.
    fn forget_spare_ids(&self, now_ms: i64) {
        let last_ms = self.spare_forgotten_ms.load(Ordering::Relaxed);
        if (last_ms..last_ms.saturating_add(FORGET_SPARE_EVERY_MS)).contains(&now_ms)
            || self
                .spare_forgotten_ms
                .compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (_, lane) in &*shard {
                lane.lock().forget_spare_ids(now_ms);
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
        loop {
            let mut shard = self
                .shard(hash)
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match shard.entry(
                hash,
                |(other, _)| other == user,
                |(user, _)| self.hasher.hash_one(user),
            ) {
                Entry::Occupied(entry) => return Ok(Arc::clone(&entry.get().1)),
                Entry::Vacant(entry) if self.len.load(Ordering::Relaxed) < self.max => {
                    let lane = Arc::new(Lane::new(Arc::clone(&self.budget), user, clock.now_ms()));
                    entry.insert((user.clone(), Arc::clone(&lane)));
                    self.len.fetch_add(1, Ordering::Relaxed);
                    return Ok(lane);
                }
                Entry::Vacant(_) => {}
            }
            // No two shards are locked at a time.
            drop(shard);
            if !self.forget_some() {
                count(&self.budget.counters.users_refused);
                return Err(EventError::Overloaded("too many users have runs"));
            }
        }
    }

    /// Makes room for new users: forgets those of the next shard that has any without an active run, the older half of
    /// them. Tells whether there was one.
    fn forget_some(&self) -> bool {
        for _ in 0..SHARDS {
            let index = self.next_shard.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let mut shard = self.shards[index]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let idle = shard.iter().filter_map(|(_, lane)| {
                let state = lane.lock();
                (state.active_runs() == 0).then_some(state.touched_ms)
            });
            let Some(before_ms) = end_of_older_half(idle.collect()) else {
                continue;
            };
            let n_removed = remove_idle(&mut shard, before_ms);
            drop(shard);
            self.len.fetch_sub(n_removed, Ordering::Relaxed);
            add(&self.budget.counters.users_evicted, n_removed);
            if n_removed > 0 {
                return true;
            }
        }
        false
    }

    /// Forgets the lanes that have been idle for long.
    pub(crate) fn sweep(&self, now_ms: i64) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let before_ms = now_ms.saturating_sub(self.idle_ms);
            for (_, lane) in &*shard {
                let mut state = lane.lock();
                state.forget_idle(before_ms);
                state.account_folds();
            }
            let n_removed = remove_idle(&mut shard, before_ms);
            self.len.fetch_sub(n_removed, Ordering::Relaxed);
            add(&self.budget.counters.users_forgotten, n_removed);
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
    pub(crate) fn shed_folds(&self) {
        let folds = &self.budget.folds;
        for gives_up in [false, true] {
            for _ in 0..SHARDS {
                if !folds.is_exceeded() {
                    return;
                }
                let shard = &self.shards[folds.next_shard() % SHARDS];
                let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                folds.count_shed(if gives_up {
                    give_up_largest(&shard)
                } else {
                    forget_older_half(&shard)
                });
            }
        }
    }

    /// Adds up a number of each lane.
    pub(crate) fn sum(&self, of_lane: impl Fn(&LaneState) -> usize) -> usize {
        let of_shard = |shard: &Shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard
                .iter()
                .map(|(_, lane)| of_lane(&lane.lock()))
                .sum::<usize>()
        };
        self.shards.iter().map(of_shard).sum()
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[usize::try_from(hash >> 32).unwrap_or(0) % SHARDS]
    }
}

/// Removes the lanes without an active run that nobody has touched since `before_ms`.
fn remove_idle(shard: &mut Users, before_ms: i64) -> usize {
    let n_before = shard.len();
    shard.retain(|(_, lane)| {
        let mut state = lane.lock();
        state.removed = state.active_runs() == 0 && state.touched_ms < before_ms;
        !state.removed
    });
    n_before - shard.len()
}

/// Returns the moment before which the older half of these moments lies, the middle one among them; none of none.
fn end_of_older_half(mut moments_ms: Vec<i64>) -> Option<i64> {
    if moments_ms.is_empty() {
        return None;
    }
    let middle = moments_ms.len() / 2;
    let (_, median_ms, _) = moments_ms.select_nth_unstable(middle);
    Some(median_ms.saturating_add(1))
}

/// Forgets half of the threads without an active run and of the tasks that have ended, those that were written to
/// longest ago, and counts them.
fn forget_older_half(shard: &Users) -> usize {
    let mut idle_since = Vec::new();
    for (_, lane) in shard {
        idle_since.extend(lane.lock().idle_since());
    }
    let Some(before_ms) = end_of_older_half(idle_since) else {
        return 0;
    };
    let forget = |(_, lane): &(UserId, Arc<Lane>)| {
        let mut state = lane.lock();
        let n_forgotten = state.forget_idle(before_ms);
        state.account_folds();
        n_forgotten
    };
    shard.iter().map(forget).sum()
}

/// Gives up the largest fold of the user whose folds take the most, and counts it.
fn give_up_largest(shard: &Users) -> usize {
    let largest = shard
        .iter()
        .max_by_key(|(_, lane)| lane.lock().fold_bytes());
    largest.map_or(0, |(_, lane)| {
        let mut state = lane.lock();
        let has_given = state.give_up_largest();
        state.account_folds();
        usize::from(has_given)
    })
}
