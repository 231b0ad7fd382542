//! What happened between a router and its log.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! replica_stats {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        #[derive(Debug, Default)]
        pub(crate) struct ReplicaCounters {
            $(pub(super) $name: AtomicU64,)*
        }

        /// What happened between a router and the log behind it, since the router was made.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct ReplicaStats {
            /// Users that are followed now.
            pub users: usize,
            /// Users among them whose log is known to be ahead of what was applied here: the lag of the tail, on every
            /// engine alike.
            pub users_behind: usize,
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl ReplicaStats {
            /// Calls up every counter with its name and what it counts.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// What each counter counts, in the same order.
            pub const HELP: &'static [&'static str] = &[$(concat!($($doc),+),)*];
        }

        impl ReplicaCounters {
            pub(crate) fn stats(&self, users: usize, users_behind: usize) -> ReplicaStats {
                ReplicaStats {
                    users,
                    users_behind,
                    $($name: self.$name.load(Ordering::Relaxed),)*
                }
            }
        }
    };
}

replica_stats! {
    /// Users' logs that were read from their beginning.
    loads,
    /// Reads that brought a user's state to the end of his log.
    reads,
    /// Reads that failed.
    reads_failed,
    /// Records applied.
    applied,
    /// Records that were passed over because they break the order of their thread or task, or cannot be read.
    refused,
    /// Records among them at which this program failed by a panic.
    panics,
    /// Times listening to the log failed by a panic and was begun anew.
    tail_failures,
    /// Times a tail's record was ahead of what was applied, so that the log was read.
    holes,
    /// Appends that the log acknowledged.
    appends,
    /// Appends that came too late, because another replica had appended; they were tried again.
    conflicts,
    /// Checks that refused an event at a place that the log may have left behind; it was read, and they were made again.
    doubts,
    /// Appends of which nobody knew for a while whether they were in the log.
    unknown,
    /// Publishes that the log did not take.
    publishes_failed,
    /// Publishes refused because their user had too many waiting.
    lanes_full,
    /// Checkpoints saved.
    saves,
    /// Checkpoints that could not be saved; they are tried again.
    saves_failed,
    /// Times the log went down.
    outages,
    /// Live events passed to other replicas that could not be passed.
    passes_failed,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}
