//! The bounds of a router.

use std::{sync::Arc, time::Duration};

use events_broadcast::Limits;
use events_core::{Clock, SystemClock};
use events_models::agui::fold;

use crate::replica::PAGE_BYTES;

/// Bounds of an [`EventRouter`](crate::EventRouter).
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// Bounds of the logs and connections.
    pub limits: Limits,
    /// How long a message id is known at least.
    pub dedupe_age: Duration,
    /// How many message ids per user are known at least. Sixteen times as many are the most.
    pub dedupe_ids: usize,
    /// How long a thread without an active run is remembered, and a user without one.
    pub idle: Duration,
    /// How long a run may be silent before it is ended with RUN_ERROR.
    pub run_timeout: Duration,
    /// What the fold of one thread or task may take, in bytes; beyond it there is no prelude.
    /// With 0 nothing is folded.
    pub fold_bytes: usize,
    /// What the folds of all users may take together, in bytes; beyond it the oldest finished threads and tasks
    /// go first.
    pub fold_total_bytes: usize,
    /// Threads without an active run that are remembered per user.
    pub threads_per_user: usize,
    /// Tasks that are remembered per user.
    pub tasks_per_user: usize,
    /// Contexts that are remembered per user.
    pub contexts_per_user: usize,
    /// Bytes of order state over all users: threads, tasks, message ids, contexts. Beyond it users that have been
    /// idle for [`RouterConfig::dedupe_age`] are forgotten, and when there is none, publishing is refused.
    pub order_bytes: usize,
    /// Logs of users that are read at the same time, by a router that stands on a log; whoever opens another one waits.
    /// Each may hold a user's whole history.
    pub catch_ups: usize,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            dedupe_age: Duration::from_secs(120),
            dedupe_ids: 4_096,
            idle: Duration::from_secs(3_600),
            run_timeout: Duration::from_secs(15 * 60),
            fold_bytes: fold::MAX_BYTES,
            fold_total_bytes: 128 << 20,
            threads_per_user: 1_024,
            tasks_per_user: 1_024,
            contexts_per_user: 1_000,
            // Room for the users that have a log by default, each with a short run and the ids of its messages: such
            // a user is charged some 7 KiB.
            order_bytes: 1 << 30,
            catch_ups: 16,
            clock: Arc::new(SystemClock),
        }
    }
}

impl RouterConfig {
    /// Returns the bounds of the analytics log: events are live only, so it holds a small buffer for attached readers
    /// and an eighth of the bytes, and nothing to resume.
    #[must_use]
    pub fn analytics_limits(&self) -> Limits {
        Limits {
            events: 0,
            total_bytes: self.limits.total_bytes / 8,
            ..self.limits.clone()
        }
    }

    /// Computes the most bytes that the reading of users' logs takes on top, for a router that stands on a log: of so
    /// many users at once a history is held as it was read and as it is kept, and a checkpoint beside what it says.
    #[must_use]
    pub const fn worst_case_reading(&self) -> usize {
        let of_user = self
            .limits
            .bytes
            .saturating_add(self.fold_bytes)
            .saturating_mul(2);
        self.catch_ups
            .saturating_mul(of_user.saturating_add(PAGE_BYTES))
    }

    /// Computes the most bytes that the logs and the order state of a router can take, without connections and
    /// batches that are being appended, if a user's name has at most `name_bytes`. The parts are named.
    #[must_use]
    pub fn worst_case_parts(&self, name_bytes: usize) -> [(&'static str, usize); 5] {
        let analytics = self.analytics_limits();
        let of_users = self.limits.worst_case_user_bytes(name_bytes);
        [
            ("events", self.limits.worst_case_event_bytes()),
            ("analytics events", analytics.worst_case_event_bytes()),
            // The analytics log has users of its own; names are shared between the logs at best.
            ("users", of_users.saturating_mul(2)),
            ("threads, tasks and message ids", self.order_bytes),
            // Beside the content of a thread stands the prelude made of it, and the account runs after the event.
            (
                "folds",
                self.fold_total_bytes
                    .saturating_mul(3)
                    .saturating_add(self.fold_bytes),
            ),
        ]
    }
}
