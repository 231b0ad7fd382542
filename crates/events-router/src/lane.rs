//! The order state of one user: threads, tasks, message ids, contexts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use events_core::{ThreadId, UserId};
use events_models::{AgUiEvent, agui::intake::ThreadIntake};
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::{
    Refusal,
    contexts::ContextBook,
    known::Known,
    order_budget::{Charge, OrderBudget, count},
    tasks::{SavedTasks, Tasks},
};

#[derive(Debug)]
pub(crate) struct Lane {
    state: Mutex<LaneState>,
}

impl Lane {
    pub(crate) fn new(budget: Arc<OrderBudget>, user: &UserId, now_ms: i64) -> Self {
        let mut state = LaneState {
            threads: HashMap::new(),
            active: SmallVec::new(),
            tasks: Tasks::default(),
            known: Known::default(),
            contexts: ContextBook::default(),
            touched_ms: now_ms,
            removed: false,
            charge: Charge::default(),
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
    threads: HashMap<Arc<str>, Thread>,
    /// The threads that have an active run.
    active: SmallVec<[Arc<str>; 2]>,
    pub(crate) tasks: Tasks,
    pub(crate) known: Known,
    pub(crate) contexts: ContextBook,
    pub(crate) touched_ms: i64,
    /// It is no longer in use; whoever finds it so looks the user up again.
    pub(crate) removed: bool,
    charge: Charge,
    n_name_bytes: usize,
    pub(crate) budget: Arc<OrderBudget>,
}

impl Drop for LaneState {
    fn drop(&mut self) {
        self.charge.set(0, &self.budget);
    }
}

#[derive(Debug, Default)]
struct Thread {
    intake: ThreadIntake,
    touched_ms: i64,
}

/// What a batch has changed so far, to be put back if one of its events is refused.
#[derive(Debug, Default)]
pub(crate) struct Undo {
    threads: SmallVec<[(Arc<str>, Option<ThreadIntake>); 1]>,
    active: Option<SmallVec<[Arc<str>; 2]>>,
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

    /// Counts the bytes that it holds, from above; looks at everything.
    fn held_bytes(&self) -> usize {
        let threads = self
            .threads
            .iter()
            .map(|(name, thread)| name.len() + 48 + thread.intake.held_bytes());
        Self::BYTES
            + self.n_name_bytes
            + self.threads.allocation_size()
            + threads.sum::<usize>()
            + self.active.capacity() * size_of::<Arc<str>>()
            + self.tasks.held_bytes()
            + self.known.held_bytes()
            + self.contexts.held_bytes()
    }

    /// Counts the threads that are remembered.
    pub(crate) fn n_threads(&self) -> usize {
        self.threads.len()
    }

    /// Tells how many runs are active.
    pub(crate) fn active_runs(&self) -> usize {
        self.active.len()
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

    /// Takes an event into its thread and appends what enters the log to `out`.
    pub(crate) fn admit(
        &mut self,
        thread: &Arc<str>,
        event: AgUiEvent,
        now_ms: i64,
        out: &mut Vec<AgUiEvent>,
    ) -> Result<(), Refusal> {
        let Some(entry) = self.threads.get_mut(&**thread) else {
            let mut fresh = Thread::default();
            fresh.intake.admit(event, out)?;
            self.add(thread, fresh, now_ms);
            return Ok(());
        };
        entry.intake.admit(event, out)?;
        entry.touched_ms = now_ms;
        let is_active = entry.intake.order().is_run_active();
        self.note_activity(thread, is_active);
        Ok(())
    }

    /// Takes an event into its thread if exactly it enters the log; otherwise returns `false`, and nothing has
    /// changed.
    pub(crate) fn admit_plain(
        &mut self,
        thread: &Arc<str>,
        event: &AgUiEvent,
        now_ms: i64,
    ) -> Result<bool, Refusal> {
        let Some(entry) = self.threads.get_mut(&**thread) else {
            let mut fresh = Thread::default();
            let is_plain = fresh.intake.admit_plain(event)?;
            if is_plain {
                self.add(thread, fresh, now_ms);
            }
            return Ok(is_plain);
        };
        let is_plain = entry.intake.admit_plain(event)?;
        if is_plain {
            entry.touched_ms = now_ms;
            let is_active = entry.intake.order().is_run_active();
            self.note_activity(thread, is_active);
        }
        Ok(is_plain)
    }

    fn add(&mut self, thread: &Arc<str>, mut fresh: Thread, now_ms: i64) {
        fresh.touched_ms = now_ms;
        self.make_room();
        self.note_activity(thread, fresh.intake.order().is_run_active());
        self.threads.insert(Arc::clone(thread), fresh);
    }

    fn note_activity(&mut self, thread: &Arc<str>, is_active: bool) {
        match self.active.iter().position(|active| active == thread) {
            Some(index) if !is_active => {
                self.active.swap_remove(index);
            }
            None if is_active => self.active.push(Arc::clone(thread)),
            _ => {}
        }
    }

    /// Forgets the thread without a run that was touched longest ago, if there are too many.
    ///
    /// A forgotten thread accepts RUN_STARTED again, which is all that a finished one accepts.
    fn make_room(&mut self) {
        if self.threads.len() - self.active.len() < self.budget.threads_per_user {
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
            self.threads.remove(&thread);
            count(&self.budget.counters.threads_forgotten);
        }
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

    /// Remembers a thread as it is, once per batch.
    pub(crate) fn save(&self, thread: &Arc<str>, undo: &mut Undo) {
        if undo.active.is_none() {
            undo.active = Some(self.active.clone());
        }
        if undo.threads.iter().all(|(saved, _)| saved != thread) {
            let intake = self
                .threads
                .get(&**thread)
                .map(|entry| entry.intake.clone());
            undo.threads.push((Arc::clone(thread), intake));
        }
    }

    /// Puts back what has been saved.
    pub(crate) fn restore(&mut self, undo: Undo) {
        self.tasks.restore(undo.tasks);
        for (thread, intake) in undo.threads {
            match intake {
                Some(intake) => {
                    if let Some(entry) = self.threads.get_mut(&thread) {
                        entry.intake = intake;
                    }
                }
                None => {
                    self.threads.remove(&thread);
                }
            }
        }
        if let Some(active) = undo.active {
            self.active = active;
        }
    }
}
