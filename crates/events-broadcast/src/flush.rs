//! Waking readers away from the publish call: those of a user with many connections, and those for whom it is not yet time.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
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

/// Who is still to be woken, first come first served.
///
/// A user is in it at most once. A reader is in it only while he has not been polled since he was found to wait, so there
/// are not many more of them than connections.
#[derive(Debug, Default)]
pub(crate) struct FlushQueue {
    state: Mutex<State>,
    /// There is a flusher; a hint that is looked at before the lock is taken.
    is_served: AtomicBool,
    /// Readers that were woken since a flusher last had its turn, in that turn too; more than a slice when some queue.
    n_woken: AtomicUsize,
}

/// What a flusher has to do.
#[derive(Debug)]
enum Due {
    /// Wake one reader.
    Reader(Waker),
    /// Wake the readers of a user with many connections.
    Crowd(Arc<UserLog>),
}

#[derive(Debug, Default)]
struct State {
    due: VecDeque<Due>,
    /// Flushers; those that wait for work have a waker.
    flushers: Slab<Option<Waker>>,
}

impl State {
    fn wake_one(&mut self) -> Option<Waker> {
        self.flushers.iter_mut().find_map(|(_, waker)| waker.take())
    }

    /// Takes out the readers that come first, at most so many, up to a user with a crowd and him too.
    fn take(&mut self, most: usize) -> (Wakers, Option<Arc<UserLog>>) {
        let mut wakers = Wakers::new();
        while wakers.len() < most {
            match self.due.pop_front() {
                Some(Due::Reader(waker)) => wakers.push(waker),
                Some(Due::Crowd(log)) => return (wakers, Some(log)),
                None => break,
            }
        }
        (wakers, None)
    }
}

impl FlushQueue {
    pub(crate) fn is_served(&self) -> bool {
        self.is_served.load(Ordering::Relaxed)
    }

    /// Wakes readers at once as long as they are no more than a slice in a turn of the flusher; the others have to queue.
    ///
    /// Else the tasks of many readers would fill the runtime's queues, which are no longer first come first served then.
    /// And who waits here longer has more to read when he runs.
    pub(crate) fn wake(&self, wakers: Wakers, slice: usize) {
        if wakers.is_empty() {
            return;
        }
        let is_direct = !self.is_served()
            || self.n_woken.fetch_add(wakers.len(), Ordering::Relaxed) + wakers.len() <= slice;
        if is_direct {
            wakers.into_iter().for_each(Waker::wake);
            return;
        }
        let mut state = self.lock();
        if state.flushers.is_empty() {
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            return;
        }
        state.due.extend(wakers.into_iter().map(Due::Reader));
        let flusher = state.wake_one();
        drop(state);
        flusher.into_iter().for_each(Waker::wake);
    }

    /// Tells whether some of the readers had to queue since a flusher last had its turn.
    fn has_line(&self, slice: usize) -> bool {
        self.n_woken.load(Ordering::Relaxed) > slice
    }

    /// Takes a user whose readers are to be woken; hands him back when there is nobody to do it.
    fn push(&self, log: Arc<UserLog>) -> Result<(), Arc<UserLog>> {
        let mut state = self.lock();
        if state.flushers.is_empty() {
            return Err(log);
        }
        state.due.push_back(Due::Crowd(log));
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
    /// Makes the work of waking readers that publish calls leave to others, for whoever runs it; it never ends.
    ///
    /// While it runs, an append to the log of a user with more than 16 connections costs the same however many he has: it
    /// puts the user into a queue. So it does with the readers of other users when 64 have been woken since this had a
    /// turn. From here they are woken in the order of the queue, 64 at a time, and in between others have a turn: who has
    /// to wait longer reads more at once. A server runs one for each of its workers. Without one the append wakes them all.
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

    /// Lets readers that were just woken read before the caller goes on; for whoever has published and has an answer to
    /// write, which is worth less than the event.
    ///
    /// Once others are polled, it is over. When readers stand in the queue of [`Self::flush`], it is over at once: their
    /// turn comes later anyway, and publishers who waited would leave them less to read in one go.
    ///
    /// # Cancel safety
    ///
    /// It may be dropped at any time.
    pub async fn give_way(&self) {
        let mut is_over = self.inner.flush.has_line(self.inner.flush_slice);
        poll_fn(|context| {
            if is_over {
                return Poll::Ready(());
            }
            is_over = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
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
        let most = me.store.inner.flush_slice;
        let mut left = most;
        while left > 0 {
            let mut state = queue.lock();
            let key = *me.key.get_or_insert_with(|| {
                queue.is_served.store(true, Ordering::Relaxed);
                state.flushers.insert(None)
            });
            if state.due.is_empty() {
                let n_woken = most - left;
                queue.n_woken.store(n_woken, Ordering::Relaxed);
                if n_woken > 0 {
                    break;
                }
                if me.store.inner.has_fault(Fault::SleepLate) {
                    drop(state);
                    state = queue.lock();
                }
                state.flushers[key] = Some(context.waker().clone());
                return Poll::Pending;
            }
            state.flushers[key] = None;
            let (wakers, crowd) = state.take(left);
            drop(state);
            left -= wakers.len();
            if !me.store.inner.has_fault(Fault::ForgetReader) {
                wakers.into_iter().for_each(Waker::wake);
            }
            if let Some(log) = crowd
                && !me.store.inner.has_fault(Fault::ForgetUser)
            {
                let (n_places, has_more) = me.store.wake_slice(&log, left);
                if has_more {
                    // At the back: others come before his next readers.
                    queue.lock().due.push_back(Due::Crowd(log));
                }
                left = left.saturating_sub(n_places.max(1));
            }
        }
        // Also when nobody is due now. A runtime polls first who is woken by the task it runs: were this to sleep, each of
        // the publishes to come would have it wake its few readers at once, and those would pile up in the runtime's own
        // queues, which are short and not fair beyond that. Its turn comes when those it has woken have had theirs.
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
            let waker = (!state.due.is_empty()).then(|| state.wake_one()).flatten();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
            return;
        }
        queue.is_served.store(false, Ordering::Relaxed);
        let due = std::mem::take(&mut state.due);
        drop(state);
        for due in due {
            match due {
                Due::Reader(waker) => waker.wake(),
                Due::Crowd(log) => self.store.wake_crowd(&log),
            }
        }
    }
}
