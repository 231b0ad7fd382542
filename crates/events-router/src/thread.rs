//! One thread of a user: its order, what it has said, and how long its run may be silent.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use events_models::{
    AgUiEvent,
    agui::{
        RunOutcome,
        fold::{ThreadContent, ThreadStatus},
        intake::ThreadIntake,
        order::OrderError,
    },
};

use crate::{Refusal, ThreadState, poison};

/// What every thread of a router is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadBounds {
    /// How long a run may be silent, in milliseconds, unless it says otherwise.
    pub(crate) run_timeout_ms: i64,
    /// What a thread's fold may take, in bytes.
    pub(crate) fold_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) intake: ThreadIntake,
    pub(crate) content: ThreadContent,
    /// The prelude as long as nothing has been said since; joiners in a row share it.
    pub(crate) prelude: Option<Arc<[Bytes]>>,
    /// The last event was at this time.
    pub(crate) touched_ms: i64,
    pub(crate) run_timeout_ms: i64,
    /// The last run was ended because it was silent.
    pub(crate) has_timed_out: bool,
}

impl Thread {
    pub(crate) fn new(bounds: ThreadBounds) -> Self {
        Self {
            intake: ThreadIntake::default(),
            content: ThreadContent::with_max_bytes(bounds.fold_bytes),
            prelude: None,
            touched_ms: 0,
            run_timeout_ms: bounds.run_timeout_ms,
            has_timed_out: false,
        }
    }

    pub(crate) fn status(&self) -> ThreadState {
        match self.content.status() {
            ThreadStatus::New => ThreadState::New,
            ThreadStatus::Running(_) => ThreadState::Running,
            ThreadStatus::Failed(_) => ThreadState::Failed,
            ThreadStatus::Finished(end) => match &end.outcome {
                Some(RunOutcome::Interrupt(_)) => ThreadState::Interrupted,
                Some(RunOutcome::Cancelled) => ThreadState::Cancelled,
                _ => ThreadState::Finished,
            },
        }
    }

    pub(crate) fn run_id(&self) -> Option<String> {
        match self.content.status() {
            ThreadStatus::Running(start) => Some(start.run_id.to_string()),
            ThreadStatus::Finished(end) => Some(end.run_id.to_string()),
            ThreadStatus::New | ThreadStatus::Failed(_) => None,
        }
    }

    /// Says why an event is refused: perhaps its run was ended because it had been silent.
    pub(crate) fn refusal(&self, order: OrderError) -> Refusal {
        if self.has_timed_out {
            return Refusal::TimedOut {
                after: duration(self.run_timeout_ms),
                order,
            };
        }
        order.into()
    }

    pub(crate) fn tell(&mut self, mut event: AgUiEvent) {
        self.tell_from(&mut event);
    }

    /// Takes the next event from where it lies; what is left of it is of no use.
    pub(crate) fn tell_from(&mut self, event: &mut AgUiEvent) {
        self.prelude = None;
        let content = &mut self.content;
        let told = poison::caught("the fold of a thread", || {
            #[cfg(test)]
            poison::strike_fold(event);
            content.take_from(event);
        });
        if told.is_err() {
            // What it holds may be half of something.
            content.give_up();
        }
    }

    /// Notes that the thread has been written to, and returns whether a run is active.
    pub(crate) fn settle(&mut self, now_ms: i64, bounds: ThreadBounds) -> bool {
        self.touched_ms = now_ms;
        let is_active = self.intake.order().is_run_active();
        if is_active {
            self.has_timed_out = false;
        } else {
            // What a run says about itself ends with it.
            self.run_timeout_ms = bounds.run_timeout_ms;
        }
        is_active
    }
}

pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
