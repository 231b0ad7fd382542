//! What the folds of all users take together.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The account of all folds, and how often its bound was hit.
#[derive(Debug)]
pub(crate) struct Folds {
    bytes: AtomicUsize,
    limit: usize,
    /// Threads and tasks that were forgotten, or whose fold was given up, to stay within the bound.
    shed: AtomicU64,
    /// The shard that gives next.
    hand: AtomicUsize,
}

impl Folds {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            limit,
            shed: AtomicU64::new(0),
            hand: AtomicUsize::new(0),
        }
    }

    /// Changes what one user's folds take.
    pub(crate) fn change(&self, before: usize, bytes: usize) {
        if bytes > before {
            self.bytes.fetch_add(bytes - before, Ordering::Relaxed);
        } else if bytes < before {
            self.bytes.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.bytes() > self.limit
    }

    pub(crate) fn next_shard(&self) -> usize {
        self.hand.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn count_shed(&self, n: usize) {
        self.shed
            .fetch_add(u64::try_from(n).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }
}
