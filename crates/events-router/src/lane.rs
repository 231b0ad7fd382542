//! The order state of one user: threads, tasks, message ids, contexts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events_broadcast::LogHint;
use events_core::{MsgKey, RecordIds, UserId};
use hashbrown::HashMap;

use crate::{
    contexts::ContextBook,
    known::Known,
    order_budget::{Charge, OrderBudget},
    replica::is_unnamed,
    tasks::{SavedTasks, Tasks},
    threads::{SavedThreads, Threads},
};

#[derive(Debug)]
pub(crate) struct Lane {
    state: Mutex<LaneState>,
}

impl Lane {
    pub(crate) fn new(budget: Arc<OrderBudget>, user: &UserId, now_ms: i64) -> Self {
        let mut state = LaneState {
            threads: Threads::default(),
            tasks: Tasks::default(),
            known: Known::default(),
            unanswered: HashMap::new(),
            contexts: ContextBook::default(),
            log: LogHint::default(),
            touched_ms: now_ms,
            removed: false,
            charge: Charge::default(),
            fold_charge: 0,
            n_name_bytes: user.as_str().len(),
            budget,
        };
        state.charge.set(state.held_bytes(), &state.budget);
        Self {
            state: Mutex::new(state),
        }
    }

    /// Locks the lane. Its holders change it only by steps that are complete in themselves.
    pub(crate) fn lock(&self) -> MutexGuard<'_, LaneState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct LaneState {
    pub(crate) threads: Threads,
    pub(crate) tasks: Tasks,
    pub(crate) known: Known,
    /// What the log has taken of a publish whose answer is not there, by keys that nobody else will ask for.
    pub(crate) unanswered: HashMap<u128, RecordIds>,
    pub(crate) contexts: ContextBook,
    /// The user's log, so that a publish looks the user up once.
    pub(crate) log: LogHint,
    pub(crate) touched_ms: i64,
    /// It is no longer in use; whoever finds it so looks the user up again.
    pub(crate) removed: bool,
    charge: Charge,
    /// What of the folds' bytes is in the account of all users.
    fold_charge: usize,
    n_name_bytes: usize,
    pub(crate) budget: Arc<OrderBudget>,
}

impl Drop for LaneState {
    fn drop(&mut self) {
        self.charge.set(0, &self.budget);
        self.budget.folds.change(self.fold_charge, 0);
    }
}

/// What a batch has changed so far, to be put back if one of its events is refused.
#[derive(Debug, Default)]
pub(crate) struct Undo {
    pub(crate) threads: SavedThreads,
    pub(crate) tasks: SavedTasks,
}

impl LaneState {
    /// What a user's order state costs beside what is in it, in bytes: the lane, and its place in a table that may
    /// be half empty.
    const BYTES: usize = size_of::<Self>() + 24 * size_of::<usize>() + 128;

    /// Pays for what has been added, estimated from above.
    pub(crate) fn pay(&mut self, bytes: usize) {
        self.charge.add(bytes, &self.budget);
        if self.charge.is_vague() {
            self.charge.set(self.held_bytes(), &self.budget);
        }
    }

    /// Brings what the folds take into the account of all users.
    pub(crate) fn account_folds(&mut self) {
        let bytes = self.fold_bytes();
        self.budget.folds.change(self.fold_charge, bytes);
        self.fold_charge = bytes;
    }

    /// Counts the bytes that it holds beside the folds, from above; looks at everything.
    fn held_bytes(&self) -> usize {
        Self::BYTES
            + self.n_name_bytes
            + self.threads.held_bytes()
            + self.tasks.held_bytes()
            + self.known.held_bytes()
            + self.unanswered.allocation_size()
            + self.contexts.held_bytes()
    }

    /// Tells which ids the log has given to the records of a message.
    pub(crate) fn ids_of(&self, key: u128) -> Option<&RecordIds> {
        if is_unnamed(MsgKey::from_bits(key)) {
            self.unanswered.get(&key)
        } else {
            self.known.get(key)
        }
    }

    /// Forgets what only an answer has waited for.
    pub(crate) fn forget_unanswered(&mut self) {
        self.unanswered = HashMap::new();
    }

    /// Forgets the message ids that need not be remembered while all users together take too much.
    pub(crate) fn forget_spare_ids(&mut self, now_ms: i64) {
        if self.known.len() > self.budget.known.count {
            self.known.forget_spare(now_ms, &self.budget);
            self.charge.set(self.held_bytes(), &self.budget);
        }
    }

    /// Counts the threads that are remembered.
    pub(crate) fn n_threads(&self) -> usize {
        self.threads.len()
    }

    /// Tells how many runs are active.
    pub(crate) fn active_runs(&self) -> usize {
        self.threads.active_runs()
    }

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

    /// Forgets everything.
    pub(crate) fn erase(&mut self) {
        self.threads = Threads::default();
        self.tasks = Tasks::default();
        self.known = Known::default();
        self.unanswered = HashMap::new();
        self.contexts = ContextBook::default();
        self.charge.set(self.held_bytes(), &self.budget);
    }

    /// Puts back what has been saved.
    pub(crate) fn restore(&mut self, undo: Undo) {
        self.tasks.restore(undo.tasks);
        self.threads.restore(undo.threads);
    }
}
