//! The log in this process.

use events_broadcast::LogStore;
use events_core::{Appending, Epoch, EventLog, Record, UserId};

/// An [`EventLog`] whose storage is the ring that connections read from.
///
/// Appending and delivery are the same call: there is no task hop between them. It forgets everything when the
/// process ends, and its epoch says so.
#[derive(Clone, Debug)]
pub struct MemoryLog(LogStore);

impl MemoryLog {
    /// Makes a log on a store.
    #[must_use]
    pub const fn new(store: LogStore) -> Self {
        Self(store)
    }

    /// Returns the store.
    #[must_use]
    pub const fn store(&self) -> &LogStore {
        &self.0
    }
}

impl EventLog for MemoryLog {
    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }

    fn append<'a>(
        &'a self,
        user: &'a UserId,
        records: &'a [Record],
        expected_last: Option<u64>,
    ) -> Appending<'a> {
        Appending::Done(
            self.0
                .append(user, records, expected_last)
                .map(|delivery| delivery.ids),
        )
    }
}
