//! The bytes of all logs together, and who has the oldest event.

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

/// One queue entry per log: when its oldest event was appended, as it was known when the entry was made.
///
/// The time may be older than the truth, so the oldest event over all logs is found by looking at the first entry and
/// putting it back with its present time. It is newer only for a log that was passed over because somebody reads it:
/// that one ages when it is appended to, or when its turn comes again.
#[derive(Debug)]
struct Oldest {
    at_ms: i64,
    log: Arc<UserLog>,
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

#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
    queue: Mutex<BinaryHeap<Reverse<Oldest>>>,
    /// The time of the queue's first entry, so that most appends need not lock the queue.
    oldest_ms: AtomicI64,
    /// For something to evict.
    pub(crate) events_search: Search,
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
            queue: Mutex::new(BinaryHeap::new()),
            oldest_ms: AtomicI64::new(i64::MAX),
            events_search: Search::new(),
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

    /// Tells whether some log may have an event from before `at_ms`.
    pub(crate) fn has_older_than(&self, at_ms: i64) -> bool {
        self.oldest_ms.load(Ordering::Relaxed) < at_ms
    }

    /// Puts a log into the queue. Each log in the store has exactly one entry, or is being looked at.
    pub(crate) fn enqueue(&self, log: Arc<UserLog>, at_ms: i64) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push(Reverse(Oldest { at_ms, log }));
        self.note_oldest(&queue);
    }

    /// Takes the log with the oldest event, and tells how old the next log's is.
    pub(crate) fn dequeue(&self) -> Option<(Arc<UserLog>, i64)> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Reverse(oldest) = queue.pop()?;
        self.note_oldest(&queue);
        let next_ms = queue.peek().map_or(i64::MAX, |Reverse(next)| next.at_ms);
        Some((oldest.log, next_ms))
    }

    fn note_oldest(&self, queue: &BinaryHeap<Reverse<Oldest>>) {
        let at_ms = queue
            .peek()
            .map_or(i64::MAX, |Reverse(oldest)| oldest.at_ms);
        self.oldest_ms.store(at_ms, Ordering::Relaxed);
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
