//! Runs that their producers have left.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use events_core::{ThreadId, UserId};
use events_models::AgUiEventBuilder;

use crate::{BusEvent, EventRouter, Item, lane::LaneState, refusal::Seconds};

impl EventRouter {
    /// The code of the RUN_ERROR that ends a silent run.
    pub const RUN_TIMEOUT_CODE: &'static str = "run_timeout";

    /// Ends the user's runs that have been silent for too long, before anything else is published.
    pub(crate) fn end_overdue_runs(&self, state: &mut LaneState, user: &UserId, now_ms: i64) {
        for item in self.overdue_items(state, now_ms) {
            match self.append_one(state, user, item, now_ms) {
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

    /// Makes the events that end the runs which have been silent for too long.
    pub(crate) fn overdue_items(&self, state: &mut LaneState, now_ms: i64) -> Vec<Item> {
        if !state.threads.may_be_overdue(now_ms) {
            return Vec::new();
        }
        let counts_from_ms = self.inner.jumps.silence_counts_from(&*self.inner.clock);
        let item = |(thread, silent_for): (Arc<str>, Duration)| {
            let message = format!("the run had no event for {}", Seconds(silent_for));
            let code = Some(Self::RUN_TIMEOUT_CODE.to_owned());
            Item::new(BusEvent::AgUi {
                thread: Some(ThreadId::from(&*thread)),
                event: AgUiEventBuilder::run_error(message, code),
            })
        };
        state
            .threads
            .overdue(now_ms, counts_from_ms)
            .into_iter()
            .map(item)
            .collect()
    }

    pub(crate) fn end_all_overdue_runs(&self) {
        let inner = &*self.inner;
        let now_ms = inner.clock.now_ms();
        for user in inner.lanes.overdue(now_ms) {
            // A user who is gone has no run.
            if let Some(lane) = inner.lanes.find(&user) {
                let mut state = lane.lock();
                if !state.removed {
                    self.end_overdue_runs(&mut state, &user, now_ms);
                    state.account_folds();
                }
            }
        }
    }
}
