//! Counters of a store, read by whoever serves metrics.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! stats {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// Counters since the store was made.
        #[derive(Debug, Default)]
        pub struct Stats {
            $($(#[doc = $doc])+ pub(crate) $name: AtomicU64,)*
        }

        /// The values of [`Stats`] at one moment; each counter is exact, their sum is not one instant's.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct StatsSnapshot {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl Stats {
            /// Reads all counters.
            #[must_use]
            pub fn snapshot(&self) -> StatsSnapshot {
                StatsSnapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl StatsSnapshot {
            /// Calls up every counter with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// What each counter counts, in the same order.
            pub const HELP: &'static [&'static str] = &[$(concat!($($doc),+),)*];
        }
    };
}

stats! {
    /// Events appended.
    appended,
    /// Times a connection was handed something: woken to read, or sent on its channel.
    reached,
    /// Connections accepted.
    connected,
    /// Connections refused at the cap of their user.
    refused_at_cap,
    /// Connections ended to make room for a new one.
    replaced,
    /// Connections that lost their slot because they did not read.
    stalled,
    /// Senders dropped because their channel was full.
    senders_full,
    /// Senders found closed.
    senders_closed,
    /// Events dropped because their user's log was full.
    evicted_user_bound,
    /// Events dropped because of their age.
    evicted_age,
    /// Events dropped because all logs together were full.
    evicted_total_bound,
    /// Logs that were read anew and had lost their last events; their readers were sent away.
    went_back,
    /// Gaps told to readers that were too slow.
    gaps_overflow,
    /// Gaps told to readers that came back too late.
    gaps_on_attach,
    /// Appends refused because all logs together were full and nothing could be evicted.
    refused_full,
    /// Events refused because of their size.
    too_large,
    /// Events refused because making their frame panicked.
    encode_panics,
    /// Users refused because there were too many.
    users_refused,
    /// User logs removed after they had become idle.
    users_retired,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}
