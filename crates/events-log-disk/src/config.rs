//! What is to be set.

use std::{path::PathBuf, sync::Arc, time::Duration};

use events_core::{Clock, SystemClock};

use crate::DiskOpenError;

/// How a log on disk is opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DiskConfig {
    /// The folder of the log; it is made if it is not there. Nobody else should write into it.
    pub path: PathBuf,
    /// The most records kept of each user (`history.events`), at least 1. More are kept when they were appended at
    /// once.
    pub max_events: u64,
    /// The most bytes kept of each user (`history.bytes`), as they are in the file, at least 1.
    pub max_bytes: u64,
    /// The age at which records go (`history.age`), by the time they were appended with; 1 second to 100 years. They
    /// go up to an hour later, or a 64th of it if that is less.
    pub max_age: Duration,
    /// The most bytes of JSON of one record, 1 to 64 MiB.
    pub max_record_bytes: usize,
    /// The most bytes of one append, as they are in the file, 1 KiB to 256 MiB.
    pub max_append_bytes: usize,
    /// The most appends in one transaction, 1 to 4,096.
    pub max_batch: usize,
    /// The most appends that wait, 1 to 1,048,576.
    pub max_waiting: usize,
    /// The most bytes that wait, as they are in memory, 1 MiB or more. A single append is taken however large.
    pub max_waiting_bytes: usize,
    /// The memory for pages of the file, in bytes.
    pub cache_bytes: usize,
    /// Above this size of the file, in bytes, each transaction also keeps what is needed to open the file at once after
    /// a crash; below, the file is read through then, about half a second for 64 MiB. It costs an append that is alone a
    /// second sync.
    pub quick_open_above: u64,
    /// How many reads may run at once, 1 to 256.
    pub max_reads: usize,
    /// How long a call may take before it is answered with an error, 10 milliseconds or more.
    pub deadline: Duration,
    /// How long after a failure of the file it is opened anew at the earliest.
    pub reopen_after: Duration,
    /// The clock by which records age.
    pub clock: Arc<dyn Clock>,
}

impl DiskConfig {
    /// The defaults: 10,000 events, 16 MiB and 7 days of each user, 4 MiB a record.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_events: 10_000,
            max_bytes: 16 * 1024 * 1024,
            max_age: Duration::from_secs(7 * 24 * 3_600),
            max_record_bytes: 4 * 1024 * 1024,
            max_append_bytes: 32 * 1024 * 1024,
            max_batch: 256,
            max_waiting: 4_096,
            max_waiting_bytes: 64 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            quick_open_above: 64 * 1024 * 1024,
            max_reads: 8,
            deadline: Duration::from_secs(4),
            reopen_after: Duration::from_secs(1),
            clock: Arc::new(SystemClock),
        }
    }

    /// Refuses values out of their bounds.
    pub(crate) fn check(&self) -> Result<(), DiskOpenError> {
        let years = Duration::from_secs(100 * 366 * 24 * 3_600);
        let bounds = [
            ("history.events", "at least 1", self.max_events >= 1),
            ("history.bytes", "at least 1", self.max_bytes >= 1),
            (
                "history.age",
                "1 second to 100 years",
                (Duration::from_secs(1)..=years).contains(&self.max_age),
            ),
            (
                "the most bytes of a record",
                "1 to 64 MiB",
                (1..=64 << 20).contains(&self.max_record_bytes),
            ),
            (
                "the most bytes of an append",
                "1 KiB to 256 MiB",
                (1_024..=256 << 20).contains(&self.max_append_bytes),
            ),
            (
                "the most appends of a transaction",
                "1 to 4,096",
                (1..=4_096).contains(&self.max_batch),
            ),
            (
                "the most appends that wait",
                "1 to 1,048,576",
                (1..=1 << 20).contains(&self.max_waiting),
            ),
            (
                "the most bytes that wait",
                "at least 1 MiB",
                self.max_waiting_bytes >= 1 << 20,
            ),
            (
                "the reads at once",
                "1 to 256",
                (1..=256).contains(&self.max_reads),
            ),
            (
                "the deadline",
                "at least 10 ms",
                self.deadline >= Duration::from_millis(10),
            ),
        ];
        match bounds.iter().find(|(_, _, holds)| !holds) {
            Some((what, bound, _)) => Err(DiskOpenError::Config { what, bound }),
            None => Ok(()),
        }
    }

    /// How exactly the age of records is known, in seconds.
    pub(crate) fn age_step(&self) -> u64 {
        (self.max_age.as_secs() / 64).clamp(1, 3_600)
    }
}
