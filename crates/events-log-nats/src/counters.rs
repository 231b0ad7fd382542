//! What is counted for operators.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use events_core::LogCounter;

/// The counters of one log.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: AtomicU64,
    pub(crate) tail_attaches: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) resent: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) went_back: AtomicU64,
    pub(crate) leader_reads: AtomicU64,
    pub(crate) trimmed: AtomicU64,
    pub(crate) untracked: AtomicU64,
    pub(crate) bytes_appended: AtomicU64,
    pub(crate) bytes_tailed: AtomicU64,
    pub(crate) tail_lag: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}

impl Counters {
    pub(crate) fn list(&self, in_flight_bytes: usize) -> Vec<LogCounter> {
        // The first connection is none again.
        let reconnects = self.connects.load(Relaxed).saturating_sub(1);
        let rows: [(&'static str, &'static str, u64); 14] = [
            (
                "events_log_reconnects_total",
                "Connections to the servers after the first.",
                reconnects,
            ),
            (
                "events_log_tail_attaches_total",
                "Times that the tail was begun or taken up again.",
                self.tail_attaches.load(Relaxed),
            ),
            (
                "events_log_conflicts_total",
                "Appends that were refused because another replica was first.",
                self.conflicts.load(Relaxed),
            ),
            (
                "events_log_resent_total",
                "Appends that were sent again because no answer came.",
                self.resent.load(Relaxed),
            ),
            (
                "events_log_duplicates_total",
                "Appends sent again of which the server knew the first.",
                self.duplicates.load(Relaxed),
            ),
            (
                "events_log_unreadable_total",
                "Messages in the stream that this version cannot read.",
                self.unreadable.load(Relaxed),
            ),
            (
                "events_log_nats_went_back_total",
                "Times that the stream ended before what had been seen of it.",
                self.went_back.load(Relaxed),
            ),
            (
                "events_log_leader_reads_total",
                "Messages read one by one because a follower did not have them yet.",
                self.leader_reads.load(Relaxed),
            ),
            (
                "events_log_trims_total",
                "Times that a user's old records were let go.",
                self.trimmed.load(Relaxed),
            ),
            (
                "events_log_untracked_total",
                "Appends of users whose age is not looked after, for lack of room.",
                self.untracked.load(Relaxed),
            ),
            (
                "events_log_appended_bytes_total",
                "Bytes of acknowledged appends.",
                self.bytes_appended.load(Relaxed),
            ),
            (
                "events_log_tailed_bytes_total",
                "Bytes of appends heard by the tail.",
                self.bytes_tailed.load(Relaxed),
            ),
            (
                "events_log_tail_lag_messages",
                "Messages in the stream that the tail has not heard, when it last heard one.",
                self.tail_lag.load(Relaxed),
            ),
            (
                "events_log_in_flight_bytes",
                "Bytes that appends under way count for.",
                in_flight_bytes as u64,
            ),
        ];
        let counter = |(name, help, value)| {
            #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
            let value = value as f64;
            LogCounter { name, help, value }
        };
        rows.into_iter().map(counter).collect()
    }
}
