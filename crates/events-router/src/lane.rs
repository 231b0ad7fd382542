//! The order state of one user: threads, tasks, message ids, contexts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    contexts::ContextBook,
    known::Known,
    tasks::{SavedTasks, Tasks},
    threads::{SavedThreads, Threads},
};

#[derive(Debug, Default)]
pub(crate) struct Lane {
    state: Mutex<LaneState>,
}

impl Lane {
    /// Locks the lane. Its holders change it only by steps that are complete in themselves.
    pub(crate) fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
pub(crate) struct LaneState {
    pub(crate) threads: Threads,
    pub(crate) tasks: Tasks,
    pub(crate) known: Known,
    pub(crate) contexts: ContextBook,
    pub(crate) touched_ms: i64,
    /// What of the folds' bytes is in the account of all users.
    pub(crate) folds_accounted: usize,
    /// It is no longer in use; whoever finds it so looks the user up again.
    pub(crate) removed: bool,
}

/// What a batch has changed so far, to be put back if one of its events is refused.
#[derive(Debug, Default)]
pub(crate) struct Undo {
    pub(crate) threads: SavedThreads,
    pub(crate) tasks: SavedTasks,
}

impl LaneState {
    /// Tells what the folds of threads and tasks take together, in bytes.
    pub(crate) const fn fold_bytes(&self) -> usize {
        self.threads.fold_bytes() + self.tasks.fold_bytes()
    }

    /// Calls up when the threads without an active run, and the tasks that have ended, were last written to.
    pub(crate) fn idle_since(&self) -> impl Iterator<Item = i64> {
        self.threads.idle_since().chain(self.tasks.idle_since())
    }

    /// Forgets those of them that nobody has written to since `before_ms`, and counts them.
    pub(crate) fn forget_idle(&mut self, before_ms: i64) -> usize {
        self.threads.forget_idle(before_ms) + self.tasks.forget_idle(before_ms)
    }

    /// Gives up the largest fold of the kind that takes more, else of the other. Tells whether there was one.
    pub(crate) fn give_up_largest(&mut self) -> bool {
        let are_tasks_more = self.tasks.fold_bytes() > self.threads.fold_bytes();
        (are_tasks_more && self.tasks.give_up_largest())
            || self.threads.give_up_largest()
            || self.tasks.give_up_largest()
    }

    /// Puts back what has been saved.
    pub(crate) fn restore(&mut self, undo: Undo) {
        self.tasks.restore(undo.tasks);
        self.threads.restore(undo.threads);
    }
}
