//! The message ids that a user's log has lately taken.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use events_core::RecordIds;
use hashbrown::HashMap;

use crate::MsgId;

/// How long and how many message ids are remembered, per user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownBounds {
    pub(crate) age: Duration,
    pub(crate) count: usize,
}

impl KnownBounds {
    /// However young they are, no more than this many times [`KnownBounds::count`] are kept.
    const OVERFLOW: usize = 16;
}

/// Turns a message id into 128 bits that nobody outside the process can aim at.
#[derive(Debug, Default)]
pub(crate) struct MsgHasher(RandomState, RandomState);

impl MsgHasher {
    pub(crate) fn hash(&self, msg_id: &MsgId) -> u128 {
        let text = msg_id.as_str();
        (u128::from(self.0.hash_one(text)) << 64) | u128::from(self.1.hash_one(text))
    }
}

/// Answers retries: which ids did the records of this message get?
///
/// A message id is kept for at least the configured time and among at least the configured number of newer
/// ones, as long as there are not more than sixteen times that number.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ids: HashMap<u128, RecordIds>,
    order: VecDeque<(i64, u128)>,
}

impl Known {
    pub(crate) fn get(&self, key: u128) -> Option<&RecordIds> {
        self.ids.get(&key)
    }

    pub(crate) fn insert(&mut self, key: u128, ids: RecordIds, now_ms: i64, bounds: KnownBounds) {
        self.forget_old(now_ms, bounds);
        if self.ids.insert(key, ids).is_none() {
            self.order.push_back((now_ms, key));
        }
    }

    fn forget_old(&mut self, now_ms: i64, bounds: KnownBounds) {
        let oldest_ms =
            now_ms.saturating_sub(i64::try_from(bounds.age.as_millis()).unwrap_or(i64::MAX));
        while let Some((at_ms, key)) = self.order.front() {
            let is_dispensable = self.order.len() >= bounds.count && *at_ms < oldest_ms;
            if !is_dispensable && self.order.len() < bounds.count * KnownBounds::OVERFLOW {
                break;
            }
            self.ids.remove(key);
            self.order.pop_front();
        }
    }
}
