//! The bytes that the order state of all users takes, its bounds, and what was forgotten to keep them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use events_models::AgUiEvent;

use crate::{
    RouterConfig,
    folds::Folds,
    known::KnownBounds,
    thread::{ThreadBounds, millis},
};

macro_rules! order_stats {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// What happened to the order state of users since the router was made.
        #[derive(Debug, Default)]
        pub(crate) struct OrderCounters {
            $($(#[doc = $doc])+ pub(crate) $name: AtomicU64,)*
        }

        /// What the order state of all users takes, and what was forgotten or refused to keep its bounds.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct OrderStats {
            /// Users that have order state.
            pub users: usize,
            /// Bytes that it takes, estimated from above.
            pub bytes: usize,
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl OrderStats {
            /// Calls up every counter with its name.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// What each counter counts, in the same order.
            pub const HELP: &'static [&'static str] = &[$(concat!($($doc),+),)*];
        }

        impl OrderBudget {
            pub(crate) fn stats(&self, users: usize) -> OrderStats {
                OrderStats {
                    users,
                    bytes: self.used.load(Ordering::Relaxed),
                    $($name: self.counters.$name.load(Ordering::Relaxed),)*
                }
            }
        }
    };
}

order_stats! {
    /// Threads without a run forgotten because their user had too many.
    threads_forgotten,
    /// Tasks forgotten because their user had too many.
    tasks_forgotten,
    /// Contexts forgotten because their user had too many.
    contexts_forgotten,
    /// Message ids forgotten although they were young, because there were too many.
    message_ids_forgotten,
    /// Users forgotten because they had been idle.
    users_forgotten,
    /// Users without a run forgotten early, because there were too many or they took too many bytes.
    users_evicted,
    /// Publishes refused because there were too many users.
    users_refused,
    /// Publishes refused because the order state of all users was full.
    refused_full,
}

/// Common bounds of all users' order state.
#[derive(Debug)]
pub(crate) struct OrderBudget {
    used: AtomicUsize,
    max_bytes: usize,
    pub(crate) counters: OrderCounters,
    pub(crate) threads_per_user: usize,
    pub(crate) tasks_per_user: usize,
    pub(crate) contexts_per_user: usize,
    pub(crate) known: KnownBounds,
    pub(crate) threads: ThreadBounds,
    /// What the folds take is accounted for apart: they can be given up.
    pub(crate) folds: Folds,
}

impl OrderBudget {
    pub(crate) fn new(config: &RouterConfig) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max_bytes: config.order_bytes,
            counters: OrderCounters::default(),
            threads_per_user: config.threads_per_user.max(1),
            tasks_per_user: config.tasks_per_user.max(1),
            contexts_per_user: config.contexts_per_user.max(1),
            known: KnownBounds {
                age: config.dedupe_age,
                count: config.dedupe_ids.max(1),
            },
            threads: ThreadBounds {
                run_timeout_ms: millis(config.run_timeout),
                fold_bytes: config.fold_bytes,
            },
            folds: Folds::new(config.fold_total_bytes),
        }
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.max_bytes
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

/// What one user's order state pays.
///
/// Exact bytes are dear to count and cheap to estimate from above, so events add an estimate, and when that has
/// doubled the state is counted anew.
#[derive(Debug, Default)]
pub(crate) struct Charge {
    bytes: usize,
    exact: usize,
}

impl Charge {
    /// What the estimate may be beyond twice the exact bytes.
    const SLACK: usize = 4 << 10;

    pub(crate) fn add(&mut self, bytes: usize, budget: &OrderBudget) {
        self.bytes += bytes;
        budget.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) const fn is_vague(&self) -> bool {
        self.bytes > 2 * self.exact + Self::SLACK
    }

    pub(crate) fn set(&mut self, exact: usize, budget: &OrderBudget) {
        budget.used.fetch_add(exact, Ordering::Relaxed);
        budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        (self.bytes, self.exact) = (exact, exact);
    }
}

/// Estimates from above what an AG-UI event of so many bytes of JSON adds to its thread.
pub(crate) fn growth_of_agui(event: &AgUiEvent, json_bytes: usize) -> usize {
    match event {
        // It may be the first of its thread, and a context.
        AgUiEvent::RunStarted(_) | AgUiEvent::RunError(_) => 4_096 + 4 * json_bytes,
        event if event.may_add_ids() => 512 + 4 * json_bytes,
        _ => 0,
    }
}

/// Estimates from above what another event of so many bytes of JSON adds: an artifact, or a context and its name.
pub(crate) const fn growth_of_other(json_bytes: usize) -> usize {
    1_024 + 4 * json_bytes
}
