//! What an operator wants to know.

use std::sync::atomic::{AtomicU64, Ordering};

use events_core::LogCounter;

/// A number that any thread adds to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counts {
    ($($field:ident, $name:literal, $help:literal;)*) => {
        /// All counts of a log.
        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $(#[doc = $help] pub(crate) $field: Count,)*
        }

        impl Counts {
            pub(crate) fn all(&self) -> Vec<LogCounter> {
                vec![$(LogCounter {
                    name: $name,
                    help: $help,
                    value: to_f64(self.$field.get()),
                },)*]
            }
        }
    };
}

counts! {
    connects, "events_log_postgres_connects_total", "connections that were opened for calls";
    pool_waits, "events_log_postgres_pool_waits_total", "calls that found all connections busy";
    conflicts, "events_log_postgres_conflicts_total", "appends that expected another last place";
    unknown, "events_log_postgres_unknown_outcomes_total", "appends of which nobody knows whether they were made";
    notifies, "events_log_postgres_notifies_total", "transactions that sent notifications";
    heard, "events_log_postgres_notifications_total", "notifications that were heard";
    unheard, "events_log_postgres_notifications_dropped_total", "notifications that were dropped, sent or received, for lack of room or of a connection";
    polls, "events_log_postgres_polls_total", "looks at the last places of followed users";
    polls_failed, "events_log_postgres_polls_failed_total", "looks at the last places that failed";
    probes_lost, "events_log_postgres_probes_lost_total", "probes of the listening connection that did not come back";
    relistens, "events_log_postgres_reconnects_total", "listening connections that were lost";
    lag, "events_log_tail_lag_users", "followed users of whose news nobody had told when they were last looked for";
    listening, "events_log_postgres_listening", "tails that listen at present";
    emptied, "events_log_postgres_partitions_emptied_total", "partitions of old records that were emptied";
}

/// Exact up to 2^53, and counters of more than that do not exist.
fn to_f64(value: u64) -> f64 {
    let high = u32::try_from(value >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}
