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
    /// Puts back what has been saved.
    pub(crate) fn restore(&mut self, undo: Undo) {
        self.tasks.restore(undo.tasks);
        self.threads.restore(undo.threads);
    }
}
