//! The threads of one user.

mod reading;
mod relive;

use std::{sync::Arc, time::Duration};

use events_core::ThreadId;
use events_models::{
    AgUiEvent,
    agui::{intake::ThreadIntake, order::OrderError},
};
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::{
    Refusal,
    order_budget::{OrderBudget, count},
    thread::{Thread, duration, millis},
};

/// The threads of one user, bounded in number.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    /// Boxed, as a map has room for four at least, most users have one, and a thread takes more than a kilobyte.
    pub(crate) threads: HashMap<Arc<str>, Box<Thread>>,
    /// The threads that have an active run.
    active: SmallVec<[Arc<str>; 2]>,
    /// What the folds take together, in bytes.
    fold_bytes: usize,
    /// No run is silent for too long before this time; absent when none is active.
    due_ms: Option<i64>,
}

/// A thread's order, and when its last event was.
type SavedThread = (ThreadIntake, i64);
/// The threads that had an active run, and when the first of these may have been silent for too long.
type SavedActive = Box<(SmallVec<[Arc<str>; 2]>, Option<i64>)>;

/// What a batch has changed so far, to be put back if one of its events is refused.
#[derive(Debug, Default)]
pub(crate) struct SavedThreads {
    threads: Vec<(Arc<str>, Option<SavedThread>)>,
    active: Option<SavedActive>,
}

impl Threads {
    /// Tells how many runs are active.
    pub(crate) fn active_runs(&self) -> usize {
        self.active.len()
    }

    /// Counts the threads that are remembered.
    pub(crate) fn len(&self) -> usize {
        self.threads.len()
    }

    /// Counts the bytes that the threads hold beside their folds, from above; looks at everything.
    pub(crate) fn held_bytes(&self) -> usize {
        let threads = self
            .threads
            .iter()
            .map(|(name, entry)| name.len() + 48 + size_of::<Thread>() + entry.intake.held_bytes());
        self.threads.allocation_size()
            + threads.sum::<usize>()
            + self.active.capacity() * size_of::<Arc<str>>()
    }

    /// Tells what the folds take together, in bytes.
    pub(crate) const fn fold_bytes(&self) -> usize {
        self.fold_bytes
    }

    /// Finds the thread that an event belongs to.
    pub(crate) fn thread_of(
        &self,
        requested: Option<&ThreadId>,
        event: &AgUiEvent,
        of_request: Option<&Arc<str>>,
    ) -> Result<Arc<str>, Refusal> {
        let named = event.thread_id();
        if let Some(requested) = requested {
            return match named {
                Some(named) if named != requested.as_str() => Err(Refusal::ThreadMismatch {
                    requested: requested.to_string(),
                    named: named.to_owned(),
                }),
                _ => Ok(self
                    .shared(requested.as_str())
                    .unwrap_or_else(|| requested.to_shared())),
            };
        }
        if let Some(named) = named {
            let known = self.shared(named);
            let has_run = known
                .as_ref()
                .is_some_and(|thread| self.active.contains(thread));
            // RUN_FINISHED names a thread too, but official clients do not compare it.
            if matches!(event, AgUiEvent::RunStarted(_)) || has_run {
                return Ok(known.unwrap_or_else(|| named.into()));
            }
        }
        match (of_request, &*self.active) {
            (Some(thread), _) | (None, [thread]) => Ok(Arc::clone(thread)),
            (None, active) => Err(Refusal::AmbiguousThread {
                active: active.len(),
            }),
        }
    }

    fn shared(&self, thread: &str) -> Option<Arc<str>> {
        self.threads
            .get_key_value(thread)
            .map(|(thread, _)| Arc::clone(thread))
    }

    /// Takes an event into the order of its thread and appends what enters the log to `out`.
    ///
    /// The fold is told by [`Threads::tell`], once the events are in the log.
    pub(crate) fn admit(
        &mut self,
        thread: &Arc<str>,
        event: AgUiEvent,
        budget: &OrderBudget,
        now_ms: i64,
        out: &mut Vec<AgUiEvent>,
    ) -> Result<(), Refusal> {
        self.judge(thread, budget, now_ms, |entry| {
            entry.intake.admit(event, out)
        })
    }

    /// Takes an event into its thread if exactly it enters the log, where it must go then, and tells whether it did;
    /// else nothing has changed.
    pub(crate) fn admit_plain(
        &mut self,
        thread: &Arc<str>,
        event: &mut AgUiEvent,
        budget: &OrderBudget,
        now_ms: i64,
    ) -> Result<bool, Refusal> {
        self.judge(thread, budget, now_ms, |entry| {
            let is_plain = entry.intake.admit_plain(event)?;
            if is_plain {
                entry.tell_from(event);
            }
            Ok(is_plain)
        })
    }

    /// Tells whether exactly this event enters the log and leaves the thread's order as it is. Nothing has changed yet:
    /// [`Threads::tell_from`] is for when it is in the log.
    pub(crate) fn passes(&self, thread: &str, event: &AgUiEvent) -> Result<bool, Refusal> {
        let Some(entry) = self.threads.get(thread) else {
            return Ok(false);
        };
        let passes = entry.intake.passes(event);
        passes.map_err(|order| entry.refusal(order))
    }

    /// Tells the thread of an event that has passed and is in the log now; what is left of it is of no use.
    pub(crate) fn tell_from(
        &mut self,
        thread: &str,
        event: &mut AgUiEvent,
        budget: &OrderBudget,
        now_ms: i64,
    ) {
        if let Some(entry) = self.threads.get_mut(thread) {
            let before = entry.content.size();
            entry.tell_from(event);
            // The order is as it was, so what is active is as well.
            entry.settle(now_ms, budget.threads);
            self.fold_bytes = self.fold_bytes + entry.content.size() - before;
        }
    }

    /// Tells the fold of an event that is in the log.
    pub(crate) fn tell(&mut self, thread: &str, event: AgUiEvent) {
        if let Some(entry) = self.threads.get_mut(thread) {
            let before = entry.content.size();
            entry.tell(event);
            self.fold_bytes = self.fold_bytes + entry.content.size() - before;
        }
    }

    /// Changes a thread and keeps account of it; one that is not known is made, unless `change` refuses.
    fn judge<T>(
        &mut self,
        thread: &Arc<str>,
        budget: &OrderBudget,
        now_ms: i64,
        change: impl FnOnce(&mut Thread) -> Result<T, OrderError>,
    ) -> Result<T, Refusal> {
        let Some(entry) = self.threads.get_mut(&**thread) else {
            let mut fresh = Thread::new(budget.threads);
            let changed = change(&mut fresh)?;
            self.make_room(budget);
            self.fold_bytes += fresh.content.size();
            let is_active = fresh.settle(now_ms, budget.threads);
            self.threads.insert(Arc::clone(thread), Box::new(fresh));
            self.note_activity(thread, is_active, now_ms);
            return Ok(changed);
        };
        let before = entry.content.size();
        let changed = match change(entry) {
            Ok(changed) => changed,
            Err(order) => return Err(entry.refusal(order)),
        };
        self.fold_bytes = self.fold_bytes + entry.content.size() - before;
        let is_active = entry.settle(now_ms, budget.threads);
        self.note_activity(thread, is_active, now_ms);
        Ok(changed)
    }

    fn note_activity(&mut self, thread: &Arc<str>, is_active: bool, now_ms: i64) {
        match self.active.iter().position(|active| active == thread) {
            Some(index) if !is_active => {
                self.active.swap_remove(index);
            }
            None if is_active => {
                self.active.push(Arc::clone(thread));
                self.note_due(thread, now_ms);
            }
            _ => {}
        }
    }

    /// Lowers the time at which a run may have been silent for too long; it is only looked at again then.
    fn note_due(&mut self, thread: &str, now_ms: i64) {
        if let Some(entry) = self.threads.get(thread) {
            let due_ms = now_ms.saturating_add(entry.run_timeout_ms);
            self.due_ms = Some(self.due_ms.map_or(due_ms, |other| other.min(due_ms)));
        }
    }

    /// Sets how long the active run of a thread may be silent.
    pub(crate) fn set_run_timeout(&mut self, thread: &str, timeout: Duration, now_ms: i64) {
        if let Some(entry) = self.threads.get_mut(thread) {
            entry.run_timeout_ms = millis(timeout);
            self.note_due(thread, now_ms);
        }
    }

    /// Tells whether [`Threads::overdue`] may find something.
    pub(crate) fn may_be_overdue(&self, now_ms: i64) -> bool {
        self.due_ms.is_some_and(|due_ms| due_ms <= now_ms)
    }

    /// Takes note of the runs that have been silent for too long, and returns their threads.
    ///
    /// Silence before `from_ms` does not count. The next event of such a thread must be the RUN_ERROR that says so.
    pub(crate) fn overdue(&mut self, now_ms: i64, from_ms: i64) -> Vec<(Arc<str>, Duration)> {
        let (mut overdue, mut due_ms) = (Vec::new(), None::<i64>);
        for thread in &self.active {
            let Some(entry) = self.threads.get_mut(&**thread) else {
                continue;
            };
            let touched_ms = entry.touched_ms.max(from_ms);
            let entry_due_ms = touched_ms.saturating_add(entry.run_timeout_ms);
            if entry_due_ms <= now_ms {
                entry.has_timed_out = true;
                overdue.push((Arc::clone(thread), duration(entry.run_timeout_ms)));
            } else {
                due_ms = Some(due_ms.map_or(entry_due_ms, |other| other.min(entry_due_ms)));
            }
        }
        self.due_ms = due_ms;
        overdue
    }

    /// Forgets the thread without a run that was touched longest ago, if there are too many.
    ///
    /// A forgotten thread accepts RUN_STARTED again, which is all that a finished one accepts.
    fn make_room(&mut self, budget: &OrderBudget) {
        if self.threads.len() - self.active.len() < budget.threads_per_user {
            return;
        }
        let idle = self
            .threads
            .iter()
            .filter(|(_, entry)| !entry.intake.order().is_run_active());
        let oldest = idle
            .min_by_key(|(_, entry)| entry.touched_ms)
            .map(|(thread, _)| Arc::clone(thread));
        if let Some(thread) = oldest {
            self.forget(&thread);
            count(&budget.counters.threads_forgotten);
        }
    }

    fn forget(&mut self, thread: &str) {
        if let Some(entry) = self.threads.remove(thread) {
            self.fold_bytes -= entry.content.size();
        }
    }

    /// Calls up when the threads without an active run were last written to.
    pub(crate) fn idle_since(&self) -> impl Iterator<Item = i64> {
        self.threads
            .values()
            .filter(|entry| !entry.intake.order().is_run_active())
            .map(|entry| entry.touched_ms)
    }

    /// Gives up the largest fold; its thread goes on without a prelude. Tells whether there was one.
    pub(crate) fn give_up_largest(&mut self) -> bool {
        let largest = self
            .threads
            .values_mut()
            .filter(|entry| !entry.content.is_too_large())
            .max_by_key(|entry| entry.content.size());
        largest.is_some_and(|entry| {
            let before = entry.content.size();
            entry.content.give_up();
            entry.prelude = None;
            self.fold_bytes = self.fold_bytes + entry.content.size() - before;
            true
        })
    }

    /// Forgets the threads without an active run that nobody has written to since `before_ms`, and counts them.
    pub(crate) fn forget_idle(&mut self, before_ms: i64) -> usize {
        let n_before = self.threads.len();
        let fold_bytes = &mut self.fold_bytes;
        self.threads.retain(|_, entry| {
            let stays = entry.intake.order().is_run_active() || entry.touched_ms >= before_ms;
            if !stays {
                *fold_bytes -= entry.content.size();
            }
            stays
        });
        n_before - self.threads.len()
    }

    /// Makes the events that close what is open in a thread, if `run` is its active run.
    pub(crate) fn closing_events(
        &self,
        thread: &str,
        run: &str,
        now_ms: i64,
    ) -> Option<Vec<AgUiEvent>> {
        let order = self.threads.get(thread)?.intake.order();
        (order.run_id() == Some(run)).then(|| order.closing_events(Some(now_ms)))
    }

    /// Remembers a thread's order as it is, once per batch.
    pub(crate) fn save(&self, thread: &Arc<str>, saved: &mut SavedThreads) {
        if saved.active.is_none() {
            saved.active = Some(Box::new((self.active.clone(), self.due_ms)));
        }
        if saved.threads.iter().all(|(known, _)| known != thread) {
            let intake = self
                .threads
                .get(&**thread)
                .map(|entry| (entry.intake.clone(), entry.touched_ms));
            saved.threads.push((Arc::clone(thread), intake));
        }
    }

    /// Puts back what has been saved.
    pub(crate) fn restore(&mut self, saved: SavedThreads) {
        for (thread, intake) in saved.threads {
            match intake {
                Some((intake, touched_ms)) => {
                    if let Some(entry) = self.threads.get_mut(&thread) {
                        entry.intake = intake;
                        entry.touched_ms = touched_ms;
                    }
                }
                None => self.forget(&thread),
            }
        }
        if let Some(active) = saved.active {
            (self.active, self.due_ms) = *active;
        }
    }
}
