//! What operators want to know.

use std::sync::atomic::{AtomicU64, Ordering};

use events_core::LogCounter;

/// Counts of one log.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) appends: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) trimmed: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) waiting_bytes: AtomicU64,
}

/// Adds to a count.
pub(crate) fn add(count: &AtomicU64, n: u64) {
    count.fetch_add(n, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn all(&self, file_bytes: u64, tail_lag: usize) -> Vec<LogCounter> {
        let count = |name, help, count: &AtomicU64| {
            // Exact up to 2^53.
            #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
            let value = count.load(Ordering::Relaxed) as f64;
            LogCounter { name, help, value }
        };
        let file_bytes = AtomicU64::new(file_bytes);
        let tail_lag = AtomicU64::new(tail_lag as u64);
        vec![
            count(
                "events_log_disk_commits_total",
                "Transactions that are on the disk.",
                &self.commits,
            ),
            count(
                "events_log_disk_appends_total",
                "Appends that are on the disk.",
                &self.appends,
            ),
            count(
                "events_log_disk_records_total",
                "Records that are on the disk.",
                &self.records,
            ),
            count(
                "events_log_disk_bytes_total",
                "Bytes of JSON that are on the disk.",
                &self.bytes,
            ),
            count(
                "events_log_disk_conflicts_total",
                "Appends that expected another last place.",
                &self.conflicts,
            ),
            count(
                "events_log_disk_trimmed_total",
                "Appends that were let go because of their age.",
                &self.trimmed,
            ),
            count(
                "events_log_disk_failures_total",
                "Transactions that failed.",
                &self.failures,
            ),
            count(
                "events_log_disk_refused_total",
                "Calls that were refused because too many waited.",
                &self.refused,
            ),
            count(
                "events_log_disk_waiting_bytes",
                "Bytes of JSON that wait for the disk.",
                &self.waiting_bytes,
            ),
            count(
                "events_log_disk_file_bytes",
                "Size of the file.",
                &file_bytes,
            ),
            count(
                "events_log_tail_lag_appends",
                "Appends on the disk that the slowest tail has not heard yet.",
                &tail_lag,
            ),
        ]
    }
}
