//! The message ids that a user's log has lately taken.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use events_core::{EventId, RecordIds};
use hashbrown::HashMap;

use crate::{
    MsgId,
    order_budget::{OrderBudget, count},
};

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
    /// Bytes of id lists that are too long to lie in the map.
    spilled_bytes: usize,
}

impl Known {
    pub(crate) fn get(&self, key: u128) -> Option<&RecordIds> {
        self.ids.get(&key)
    }

    pub(crate) fn insert(&mut self, key: u128, ids: RecordIds, now_ms: i64, budget: &OrderBudget) {
        self.make_room(1, now_ms, budget);
        self.spilled_bytes += spilled_bytes(&ids);
        match self.ids.insert(key, ids) {
            None => self.order.push_back((now_ms, key)),
            Some(ids) => self.spilled_bytes -= spilled_bytes(&ids),
        }
    }

    /// Estimates from above what another message id adds, in bytes.
    pub(crate) fn growth_of(ids: &RecordIds) -> usize {
        // Both tables grow by doubling.
        5 * size_of::<(u128, RecordIds)>() + 2 * size_of::<(i64, u128)>() + spilled_bytes(ids)
    }

    /// Counts the bytes that it holds, from above.
    pub(crate) fn held_bytes(&self) -> usize {
        self.ids.allocation_size()
            + self.order.capacity() * size_of::<(i64, u128)>()
            + self.spilled_bytes
    }

    /// Forgets all but the number that is promised, and what is old, and gives the space back.
    pub(crate) fn forget_spare(&mut self, now_ms: i64, budget: &OrderBudget) {
        self.make_room(0, now_ms, budget);
        self.order.shrink_to_fit();
        self.ids.shrink_to_fit();
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Forgets what need not be remembered once so many more have come: what is old, and while all users together take
    /// too much, all but the promised number.
    fn make_room(&mut self, n_more: usize, now_ms: i64, budget: &OrderBudget) {
        let bounds = budget.known;
        let oldest_ms =
            now_ms.saturating_sub(i64::try_from(bounds.age.as_millis()).unwrap_or(i64::MAX));
        let most = if budget.is_exceeded() {
            bounds.count
        } else {
            bounds.count.saturating_mul(KnownBounds::OVERFLOW)
        };
        while let Some((at_ms, key)) = self.order.front() {
            let is_old = *at_ms < oldest_ms;
            let len = self.order.len() + n_more;
            if !(is_old && len > bounds.count) && len <= most {
                break;
            }
            if !is_old {
                count(&budget.counters.message_ids_forgotten);
            }
            if let Some(ids) = self.ids.remove(key) {
                self.spilled_bytes -= spilled_bytes(&ids);
            }
            self.order.pop_front();
        }
        // The space of a burst is given back.
        if self.order.capacity() > 64 && self.order.len() * 4 < self.order.capacity() {
            self.order.shrink_to(self.order.len() * 2);
            self.ids.shrink_to(self.ids.len() * 2);
        }
    }
}

fn spilled_bytes(ids: &RecordIds) -> usize {
    if ids.spilled() {
        ids.capacity() * size_of::<EventId>() + 32
    } else {
        0
    }
}
