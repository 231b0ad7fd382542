//! Token buckets: how much of something each user or address may do in a time.
//!
//! Our own, because it is one number per key: the time at which its bucket is full again (the generic cell rate
//! algorithm of ITU-T I.371). The crate for this, `governor`, cannot forget what it was told when a later bound
//! refuses, has no bound on its keys, and reads a clock that tests cannot pause.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How much of something may be done: so much at once, and so much per second in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What is given back each second; 0 sets no bound.
    pub per_second: u64,
    /// What may be done at once after a time of rest; at least one second's worth is sensible.
    pub burst: u64,
}

impl Rate {
    /// No bound.
    pub const OFF: Self = Self {
        per_second: 0,
        burst: 0,
    };

    /// So much per second, and so much at once.
    #[must_use]
    pub const fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, burst }
    }

    /// Tells whether there is no bound.
    #[must_use]
    pub const fn is_off(self) -> bool {
        self.per_second == 0
    }

    /// The time in which so much is given back, in nanoseconds.
    fn nanos(self, cost: u64) -> u64 {
        let nanos = u128::from(cost) * 1_000_000_000 / u128::from(self.per_second.max(1));
        u64::try_from(nanos).unwrap_or(u64::MAX / 4)
    }
}

/// Locks over all keys; a power of two.
const SHARDS: usize = 16;

/// Keys of one shard. Only keys whose bucket is not full are needed; beyond this some are forgotten, which is in their
/// favour.
const MAX_KEYS: usize = 2_048;

/// A shard with fewer keys is not looked through for full buckets.
const FEW_KEYS: usize = 64;

/// The buckets of all keys under one rate.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    begun: Instant,
    hasher: RandomState,
    shards: Box<[Mutex<Shard<K>>]>,
}

#[derive(Debug)]
struct Shard<K> {
    /// When each bucket is full again, in nanoseconds since the beginning.
    full_at: HashMap<K, u64>,
    /// With so many keys, full buckets are forgotten.
    sweep_at: usize,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        let shard = || {
            Mutex::new(Shard {
                full_at: HashMap::new(),
                sweep_at: FEW_KEYS,
            })
        };
        Self {
            rate,
            begun: Instant::now(),
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
        }
    }

    /// The most bytes that the buckets can take, if a key takes so many.
    pub(crate) const fn worst_case(key_bytes: usize) -> usize {
        // A table has room for up to twice as many as are in it, each with a key, a time and a mark.
        SHARDS * MAX_KEYS * (key_bytes + 2 * (size_of::<K>() + 16))
    }

    /// Takes so much out of a key's bucket. What is more than the bucket holds is taken from a full one, which then
    /// stays empty for longer; so nothing is refused for ever.
    ///
    /// # Errors
    ///
    /// There is not enough in it: the time after which there is, if nobody else takes from it. Nothing is taken.
    pub(crate) fn take(&self, key: &K, cost: u64) -> Result<(), Duration> {
        if self.rate.is_off() {
            return Ok(());
        }
        let now = self.now();
        let mut shard = self.shard(key);
        let full_at = shard.full_at.get(key).map_or(now, |at| (*at).max(now));
        self.check(full_at - now, cost)?;
        shard.forget_full(now);
        let full_at = full_at.saturating_add(self.rate.nanos(cost));
        shard.full_at.insert(key.clone(), full_at);
        Ok(())
    }

    /// Looks whether so much could be taken.
    ///
    /// # Errors
    ///
    /// As [`Buckets::take`].
    pub(crate) fn look(&self, key: &K, cost: u64) -> Result<(), Duration> {
        if self.rate.is_off() {
            return Ok(());
        }
        let now = self.now();
        let full_at = self.shard(key).full_at.get(key).copied();
        self.check(full_at.unwrap_or(now).saturating_sub(now), cost)
    }

    /// Takes what has been done already, however little there is.
    pub(crate) fn owe(&self, key: &K, cost: u64) {
        if self.rate.is_off() {
            return;
        }
        let now = self.now();
        let mut shard = self.shard(key);
        let full_at = shard.full_at.get(key).map_or(now, |at| (*at).max(now));
        shard.forget_full(now);
        let full_at = full_at.saturating_add(self.rate.nanos(cost));
        shard.full_at.insert(key.clone(), full_at);
    }

    /// Puts back what was taken for something that another bound has refused.
    pub(crate) fn put_back(&self, key: &K, cost: u64) {
        let mut shard = self.shard(key);
        if let Some(full_at) = shard.full_at.get_mut(key) {
            *full_at = full_at.saturating_sub(self.rate.nanos(cost));
        }
    }

    /// `missing` is the time until the bucket is full.
    fn check(&self, missing: u64, cost: u64) -> Result<(), Duration> {
        let needed = self.rate.nanos(cost.min(self.rate.burst));
        let room = self.rate.nanos(self.rate.burst);
        match missing.saturating_add(needed).saturating_sub(room) {
            0 => Ok(()),
            wait => Err(Duration::from_nanos(wait)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX / 2)
    }

    fn shard(&self, key: &K) -> std::sync::MutexGuard<'_, Shard<K>> {
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        let shard = &self.shards[index];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Shard<K> {
    /// Forgets the buckets that are full, when there are many. Where most are not, half of them are forgotten as well,
    /// so that it is not done again soon.
    fn forget_full(&mut self, now: u64) {
        if self.full_at.len() < self.sweep_at {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() > MAX_KEYS / 2 {
            let mut left = MAX_KEYS / 2;
            self.full_at.retain(|_, _| {
                left = left.saturating_sub(1);
                left > 0
            });
        }
        self.sweep_at = (2 * self.full_at.len()).clamp(FEW_KEYS, MAX_KEYS);
    }
}

#[cfg(test)]
mod tests;
