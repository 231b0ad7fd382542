//! Runs that their producers have left.

use std::sync::atomic::Ordering;

use events_core::{ThreadId, UserId};
use events_models::AgUiEventBuilder;

use crate::{BusEvent, EventRouter, Item, lane::LaneState, refusal::Seconds};

impl EventRouter {
    /// The code of the RUN_ERROR that ends a silent run.
    pub const RUN_TIMEOUT_CODE: &'static str = "run_timeout";

    /// Ends the user's runs that have been silent for too long, before anything else is published.
    pub(crate) fn end_overdue_runs(&self, state: &mut LaneState, user: &UserId) {
        let now_ms = self.inner.clock.now_ms();
        if !state.threads.may_be_overdue(now_ms) {
            return;
        }
        for (thread, silent_for) in state.threads.overdue(now_ms) {
            let message = format!("the run had no event for {}", Seconds(silent_for));
            let code = Some(Self::RUN_TIMEOUT_CODE.to_owned());
            let item = Item::new(BusEvent::AgUi {
                thread: Some(ThreadId::from(&*thread)),
                event: AgUiEventBuilder::run_error(message, code),
            });
            match self.append_one(state, user, item) {
                Ok(_) => {
                    self.inner.runs_timed_out.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "silent run not ended"
                ),
            }
        }
    }

    pub(crate) fn end_all_overdue_runs(&self) {
        let inner = &*self.inner;
        for user in inner.lanes.overdue(inner.clock.now_ms()) {
            // A user who is gone has no run.
            if let Some(lane) = inner.lanes.find(&user) {
                let mut state = lane.lock();
                if !state.removed {
                    self.end_overdue_runs(&mut state, &user);
                    state.account_folds();
                }
            }
        }
    }
}
