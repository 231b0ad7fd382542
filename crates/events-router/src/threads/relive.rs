//! Threads whose events come from a log, and those that were saved.

use std::sync::Arc;

use events_models::AgUiEvent;

use super::Threads;
use crate::{EventRouter, Refusal, order_budget::OrderBudget, replica::Note, thread::Thread};

impl Threads {
    /// Takes an event that is in a log already into its thread, at the time of the log.
    pub(crate) fn relive(
        &mut self,
        thread: &Arc<str>,
        event: AgUiEvent,
        note: Note,
        budget: &OrderBudget,
        at_ms: i64,
    ) -> Result<(), Refusal> {
        let thread = self.shared(thread).unwrap_or_else(|| Arc::clone(thread));
        let has_timed_out = matches!(
            &event,
            AgUiEvent::RunError(error) if error.code.as_deref() == Some(EventRouter::RUN_TIMEOUT_CODE)
        );
        self.judge(&thread, budget, at_ms, |entry| {
            entry.intake.relive(&event, note.is_chunked)?;
            entry.tell(event);
            Ok(())
        })?;
        if let Some(entry) = self.threads.get_mut(&*thread) {
            entry.has_timed_out |= has_timed_out;
            if let Some(timeout_ms) = note.run_timeout_ms {
                entry.run_timeout_ms = timeout_ms;
                self.note_due(&thread, at_ms);
            }
        }
        Ok(())
    }

    /// Puts a thread back as it was saved.
    pub(crate) fn put_back(&mut self, name: &Arc<str>, thread: Thread) {
        let is_active = thread.intake.order().is_run_active();
        let touched_ms = thread.touched_ms;
        self.fold_bytes += thread.content.size();
        self.threads.insert(Arc::clone(name), Box::new(thread));
        self.note_activity(name, is_active, touched_ms);
    }

    /// Tells whether an event that a thread has just admitted opens an item that is made of chunks.
    pub(crate) fn is_made_of_chunks(&self, thread: &str, event: &AgUiEvent) -> bool {
        self.threads
            .get(thread)
            .is_some_and(|entry| entry.intake.is_made_of_chunks(event))
    }

    /// Tells whether this run is active in a thread.
    pub(crate) fn is_active_run(&self, thread: &str, run: &str) -> bool {
        self.threads
            .get(thread)
            .is_some_and(|entry| entry.intake.order().run_id() == Some(run))
    }

    /// Has [`Threads::overdue`] look at every run again.
    pub(crate) fn look_again(&mut self, now_ms: i64) {
        self.due_ms = Some(now_ms);
    }
}
