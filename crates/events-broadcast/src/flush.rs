//! Waking the readers of users with many connections, away from the publish call.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use slab::Slab;

use crate::{
    LogStore,
    fault::Fault,
    lock::{Mutex, MutexGuard},
    store::Wakers,
    user_log::UserLog,
};

/// Readers that are looked at before others have a turn.
pub(crate) const SLICE: usize = 64;

/// The users whose readers are to be woken, each at most once: so there are never more than users with logs.
#[derive(Debug, Default)]
pub(crate) struct FlushQueue {
    state: Mutex<State>,
    /// There is a flusher; a hint that is looked at before the lock is taken.
    is_served: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    users: VecDeque<Arc<UserLog>>,
    /// Flushers; those that wait for work have a waker.
    flushers: Slab<Option<Waker>>,
}

impl State {
    fn wake_one(&mut self) -> Option<Waker> {
        self.flushers.iter_mut().find_map(|(_, waker)| waker.take())
    }
}

impl FlushQueue {
    pub(crate) fn is_served(&self) -> bool {
        self.is_served.load(Ordering::Relaxed)
    }

    /// Takes a user whose readers are to be woken; hands him back when there is nobody to do it.
    fn push(&self, log: Arc<UserLog>) -> Result<(), Arc<UserLog>> {
        let mut state = self.lock();
        if state.flushers.is_empty() {
            return Err(log);
        }
        state.users.push_back(log);
        let waker = state.wake_one();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogStore {
    /// Makes the work of waking the readers of users with more than 16 connections, for whoever runs it; it never
    /// ends.
    ///
    /// While it runs, an append to such a user's log costs the same however many connections he has: it puts the user
    /// into a queue. His readers are woken from here, 64 at a time, and in between others have a turn. A server runs
    /// one for each of its workers. Without one the append wakes them all.
    ///
    /// # Cancel safety
    ///
    /// When the last one is dropped, it wakes who is still to be woken.
    pub fn flush(&self) -> Flush {
        Flush {
            store: self.clone(),
            key: None,
        }
    }

    /// Has the readers of a user woken, whose crowd has just been marked as queued.
    pub(crate) fn wake_later(&self, log: Arc<UserLog>) {
        if let Err(log) = self.inner.flush.push(log) {
            self.wake_crowd(&log);
        }
    }

    /// Wakes all readers of a user.
    fn wake_crowd(&self, log: &UserLog) {
        while self.wake_slice(log, self.inner.flush_slice).1 {}
    }

    fn wake_slice(&self, log: &UserLog, most: usize) -> (usize, bool) {
        let now_ms = self.inner.clock.now_ms();
        let mut wakers = Wakers::new();
        let woken = log.lock().wake_some(most, now_ms, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        woken
    }
}

/// See [`LogStore::flush`].
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled"]
pub struct Flush {
    store: LogStore,
    /// Its place among the flushers, from its first poll on.
    key: Option<usize>,
}

impl Future for Flush {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        let queue = &me.store.inner.flush;
        let mut left = me.store.inner.flush_slice;
        while left > 0 {
            let mut state = queue.lock();
            let key = *me.key.get_or_insert_with(|| {
                queue.is_served.store(true, Ordering::Relaxed);
                state.flushers.insert(None)
            });
            let Some(log) = state.users.pop_front() else {
                if me.store.inner.has_fault(Fault::SleepLate) {
                    drop(state);
                    state = queue.lock();
                }
                state.flushers[key] = Some(context.waker().clone());
                return Poll::Pending;
            };
            state.flushers[key] = None;
            drop(state);
            if me.store.inner.has_fault(Fault::ForgetUser) {
                continue;
            }
            let (n_places, has_more) = me.store.wake_slice(&log, left);
            if has_more {
                // At the back: others come before his next readers.
                queue.lock().users.push_back(log);
            }
            left = left.saturating_sub(n_places.max(1));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let Some(key) = self.key else {
            return;
        };
        let queue = &self.store.inner.flush;
        let mut state = queue.lock();
        state.flushers.remove(key);
        if !state.flushers.is_empty() {
            // It may have been the one that was woken for what is there.
            let waker = (!state.users.is_empty())
                .then(|| state.wake_one())
                .flatten();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
            return;
        }
        queue.is_served.store(false, Ordering::Relaxed);
        let users = std::mem::take(&mut state.users);
        drop(state);
        for log in users {
            self.store.wake_crowd(&log);
        }
    }
}
