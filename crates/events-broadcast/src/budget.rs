//! The bytes of all logs together, who has the oldest event, and who has had none for longest.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

use crate::{lock::Mutex, user_log::UserLog};

/// A log in a queue, as it was known when the entry was made.
#[derive(Debug)]
pub(crate) struct Oldest {
    at_ms: i64,
    log: Arc<UserLog>,
}

impl Oldest {
    pub(crate) const BYTES: usize = size_of::<Self>();
}

impl PartialEq for Oldest {
    fn eq(&self, other: &Self) -> bool {
        self.at_ms == other.at_ms
    }
}

impl Eq for Oldest {}

impl PartialOrd for Oldest {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Oldest {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at_ms.cmp(&other.at_ms)
    }
}

/// JSON that is paid for as long as it exists.
struct Charged {
    json: Bytes,
    budget: Arc<Budget>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.json
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.budget.release(self.json.len());
    }
}

/// Logs by a time that each has: first is the oldest.
///
/// The time of an entry may be older than the truth, so the first entry is looked at and put back with its present
/// time. It is newer only for a log that was passed over because somebody reads it: that one ages when its turn comes
/// again.
#[derive(Debug)]
pub(crate) struct Queue {
    entries: Mutex<Entries>,
    /// The time of the first entry, so that most appends need not lock the entries.
    oldest_ms: AtomicI64,
}

#[derive(Debug)]
struct Entries {
    heap: BinaryHeap<Reverse<Oldest>>,
    /// When there are so many, those of logs that have gone are removed.
    cleared_at: usize,
}

impl Entries {
    const CLEARED_AT: usize = 1_024;

    /// Removes the entries of logs that nobody else has: they have left the store before their turn came.
    fn clear_gone(&mut self) {
        self.heap
            .retain(|Reverse(entry)| Arc::strong_count(&entry.log) > 1);
        self.cleared_at = Self::CLEARED_AT.max(2 * self.heap.len());
    }

    fn oldest_ms(&self) -> i64 {
        let oldest = self.heap.peek();
        oldest.map_or(i64::MAX, |Reverse(oldest)| oldest.at_ms)
    }
}

impl Queue {
    const fn new() -> Self {
        Self {
            entries: Mutex::new(Entries {
                heap: BinaryHeap::new(),
                cleared_at: Entries::CLEARED_AT,
            }),
            oldest_ms: AtomicI64::new(i64::MAX),
        }
    }

    /// Tells whether some log may have a time before `at_ms`.
    pub(crate) fn has_older_than(&self, at_ms: i64) -> bool {
        self.oldest_ms.load(Ordering::Relaxed) < at_ms
    }

    pub(crate) fn push(&self, log: Arc<UserLog>, at_ms: i64) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.heap.len() >= entries.cleared_at {
            entries.clear_gone();
        }
        entries.heap.push(Reverse(Oldest { at_ms, log }));
        self.oldest_ms.store(entries.oldest_ms(), Ordering::Relaxed);
    }

    /// Takes the first log, and tells the time of the next one.
    pub(crate) fn pop(&self) -> Option<(Arc<UserLog>, i64)> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Reverse(oldest) = entries.heap.pop()?;
        let next_ms = entries.oldest_ms();
        self.oldest_ms.store(next_ms, Ordering::Relaxed);
        Some((oldest.log, next_ms))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let entries = self.entries.lock();
        entries.unwrap_or_else(PoisonError::into_inner).heap.len()
    }
}

#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
    /// The logs that have events, by the oldest. A log that has none may be among them still.
    pub(crate) with_events: Queue,
    /// The logs that have none, by their last use. One that has events again may be among them still.
    pub(crate) silent: Queue,
    /// For a user whom nobody reads.
    pub(crate) users_search: Search,
}

/// When all logs were last searched in vain, in milliseconds.
#[derive(Debug)]
pub(crate) struct Search(AtomicI64);

impl Search {
    /// How long nobody searches all logs after a search in vain, in milliseconds.
    const PAUSE_MS: u64 = 1_000;

    const fn new() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }

    pub(crate) fn is_worth_while(&self, now_ms: i64) -> bool {
        let in_vain_ms = self.0.load(Ordering::Relaxed);
        // A clock that was set back ends the pause too: it would last until that time comes again.
        now_ms.abs_diff(in_vain_ms) >= Self::PAUSE_MS
    }

    pub(crate) fn was_in_vain(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

impl Budget {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
            with_events: Queue::new(),
            silent: Queue::new(),
            users_search: Search::new(),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.used() > self.limit
    }

    pub(crate) fn charge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes JSON pay for itself until its last holder has let go of it, whether that is the log or a connection.
    pub(crate) fn charge_until_dropped(self: &Arc<Self>, json: Bytes) -> Bytes {
        self.charge(json.len());
        Bytes::from_owner(Charged {
            json,
            budget: Arc::clone(self),
        })
    }

    /// Tells whether some log may have been left alone, or have an event, since before `at_ms`.
    pub(crate) fn has_older_than(&self, at_ms: i64) -> bool {
        self.with_events.has_older_than(at_ms) || self.silent.has_older_than(at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_in_vain_is_not_repeated_at_once_whichever_way_the_clock_goes() {
        let search = Search::new();
        assert!(search.is_worth_while(0));
        search.was_in_vain(10_000);
        for (now_ms, is_worth_while) in [
            (10_000, false),
            (10_999, false),
            (11_000, true),
            (9_001, false),
            (9_000, true),
            (-1, true),
        ] {
            assert_eq!(
                search.is_worth_while(now_ms),
                is_worth_while,
                "at {now_ms} ms"
            );
        }
    }
}
