//! Eviction over all users, oldest event first, and the retirement of idle logs.

use std::{
    hash::BuildHasher,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use crate::{
    LogStore,
    stats::count,
    user_log::{UserLog, UserState},
};

/// Events that one visit to a log may evict under its lock.
const EVICTION_SLICE: usize = 64;
/// Logs that are looked at to make room for one new user, whenever somebody comes.
const VISITS_PER_NEW_USER: usize = 4;

/// The logs of one of the two queues.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Logs {
    WithEvents,
    Silent,
}

impl LogStore {
    /// Evicts what is too old or too much over all users and removes idle logs; returns how many logs it visited.
    ///
    /// Publishing pays for a few visits itself. Call this from a timer, so that history also ages when nothing
    /// is published. Each visit holds one user's lock for at most 64 events.
    pub fn trim(&self, visits: usize) -> usize {
        let inner = &*self.inner;
        let budget = &inner.budget;
        for visit in 0..visits {
            let oldest_ms = inner.clock.now_ms().saturating_sub(inner.limits.age_ms());
            if (budget.is_exceeded() || budget.with_events.has_older_than(oldest_ms))
                && let Some((log, next_ms)) = budget.with_events.pop()
            {
                self.visit(&log, next_ms, oldest_ms);
            } else if budget.silent.has_older_than(oldest_ms)
                && let Some((log, _)) = budget.silent.pop()
            {
                self.visit_silent(&log, oldest_ms);
            } else {
                return visit;
            }
        }
        visits
    }

    /// Sees to it that a log is found when it is time: by its events if it has some, and else by its last use.
    pub(crate) fn queue(&self, log: &Arc<UserLog>, state: &mut UserState) {
        let inner = &*self.inner;
        match state.ring.front() {
            Some(_) if state.queued.with_events => {}
            Some(head) => {
                state.queued.with_events = true;
                inner.budget.with_events.push(Arc::clone(log), head.at_ms);
            }
            // The log of a mirror is shut by whoever opened it.
            None if state.queued.with_events || inner.mirrors.is_some() => {}
            None => {
                if !state.queued.silent && !state.removed {
                    state.queued.silent = true;
                    let since_ms = if state.watchers.is_empty() {
                        state.touched_ms
                    } else {
                        inner.clock.now_ms()
                    };
                    inner.budget.silent.push(Arc::clone(log), since_ms);
                }
            }
        }
    }

    /// Looks at the log that had the oldest event, and puts it back into the queue where it belongs.
    fn visit(&self, log: &Arc<UserLog>, next_ms: i64, oldest_ms: i64) {
        let inner = &*self.inner;
        let mut state = log.lock();
        state.queued.with_events = false;
        if inner.budget.is_exceeded() {
            inner.budget.release(state.wires.clear());
        }
        for _ in 0..EVICTION_SLICE {
            let Some(head) = state.ring.front() else {
                break;
            };
            let is_old = head.at_ms < oldest_ms;
            let is_first_over_budget = inner.budget.is_exceeded() && head.at_ms <= next_ms;
            if !is_old && !is_first_over_budget {
                break;
            }
            inner.budget.release(state.evict_oldest(is_old));
            count(if is_old {
                &inner.stats.evicted_age
            } else {
                &inner.stats.evicted_total_bound
            });
        }
        self.queue(log, &mut state);
    }

    /// Looks at the log that was left alone for longest, and removes it or puts it back into the queue.
    fn visit_silent(&self, log: &Arc<UserLog>, oldest_ms: i64) {
        let is_idle = {
            let mut state = log.lock();
            state.queued.silent = false;
            !state.removed && state.watchers.is_empty() && state.touched_ms < oldest_ms
        };
        if !(is_idle && self.remove(log)) {
            self.queue(log, &mut log.lock());
        }
    }

    /// Removes an idle log from the store, unless it has come to life again.
    pub(crate) fn remove(&self, log: &UserLog) -> bool {
        let hash = self.inner.hasher.hash_one(&log.user);
        let mut shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = log.lock();
        if !state.ring.is_empty() || !state.watchers.is_empty() {
            return false;
        }
        state.removed = true;
        if self.inner.mirrors.is_none() {
            self.inner
                .retired
                .fetch_max(state.last.seq, Ordering::Relaxed);
        }
        if let Ok(entry) = shard.find_entry(hash, |other| other.user == log.user) {
            entry.remove();
            self.inner.users.fetch_sub(1, Ordering::Relaxed);
            count(&self.inner.stats.users_retired);
        }
        true
    }

    /// Makes room for a new user by retiring a log that nobody reads: one without events, which loses nothing, or else
    /// that with the oldest event.
    pub(crate) fn retire_oldest(&self) -> bool {
        let budget = &self.inner.budget;
        // Those who are read may stand before all others, and each is passed over once: nobody is refused because many
        // have been listening for long. A search of all that was in vain is not repeated at once.
        let now_ms = self.inner.clock.now_ms();
        let searches_all = budget.users_search.is_worth_while(now_ms);
        let n_visits = if searches_all { self.users() } else { 0 };
        let n_visits = VISITS_PER_NEW_USER.max(n_visits);
        let has_room = self.retire_first(Logs::Silent, n_visits, now_ms)
            || self.retire_first(Logs::WithEvents, n_visits, now_ms);
        if searches_all && !has_room {
            budget.users_search.was_in_vain(now_ms);
        }
        has_room
    }

    /// Retires the first log of a queue that nobody reads.
    fn retire_first(&self, of: Logs, n_visits: usize, now_ms: i64) -> bool {
        let is_silent = of == Logs::Silent;
        let queue = if is_silent {
            &self.inner.budget.silent
        } else {
            &self.inner.budget.with_events
        };
        // They are put back at the end, so that none is looked at twice.
        let mut passed_over = Vec::new();
        let mut has_room = false;
        for _ in 0..n_visits {
            let Some((log, _)) = queue.pop() else {
                break;
            };
            let is_elsewhere = {
                let mut state = log.lock();
                let is_elsewhere = state.removed || is_silent && state.queued.with_events;
                if is_elsewhere && is_silent {
                    state.queued.silent = false;
                }
                is_elsewhere
            };
            if is_elsewhere {
                continue;
            }
            has_room = self.retire(&log);
            if has_room {
                break;
            }
            passed_over.push(log);
        }
        for log in passed_over {
            queue.push(log, now_ms);
        }
        has_room
    }

    /// Removes a log with its events, unless somebody reads it.
    fn retire(&self, log: &UserLog) -> bool {
        let mut state = log.lock();
        if !state.watchers.is_empty() {
            return false;
        }
        while !state.ring.is_empty() {
            self.inner.budget.release(state.evict_oldest(false));
            count(&self.inner.stats.evicted_total_bound);
        }
        drop(state);
        self.remove(log)
    }
}
