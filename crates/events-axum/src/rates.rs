//! Token buckets: how much of something each user or address may do in a time.
//!
//! Our own, because it is one number per key: the time at which its bucket is full again (the generic cell rate
//! algorithm of ITU-T I.371). The crate for this, `governor`, cannot forget what it was told when a later bound
//! refuses, has no bound on its keys, and reads a clock that tests cannot pause.

use std::{
    hash::{BuildHasher, Hash},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hashbrown::{DefaultHashBuilder, HashTable};
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
        const SECOND: u64 = 1_000_000_000;
        let per_second = self.per_second.max(1);
        if let Some(units) = cost.checked_mul(SECOND) {
            return units / per_second;
        }
        let nanos = u128::from(cost) * u128::from(SECOND) / u128::from(per_second);
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

/// The buckets of all keys, one for each of `N` rates, which are taken from together.
#[derive(Debug)]
pub(crate) struct Buckets<K, const N: usize> {
    rates: [Rate; N],
    begun: Instant,
    hasher: DefaultHashBuilder,
    shards: Box<[Mutex<Shard<K, N>>]>,
}

#[derive(Debug)]
struct Shard<K, const N: usize> {
    buckets: HashTable<Bucket<K, N>>,
    /// With so many keys, full buckets are forgotten.
    sweep_at: usize,
}

/// When a key's buckets are full again, in nanoseconds since the beginning.
#[derive(Debug)]
struct Bucket<K, const N: usize> {
    key: K,
    full_at: [u64; N],
}

/// There is not enough in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// Which of the rates it is.
    pub(crate) rate: usize,
    /// The time after which there is enough, if nobody else takes from it.
    pub(crate) wait: Duration,
}

impl<K: Clone + Eq + Hash, const N: usize> Buckets<K, N> {
    pub(crate) fn new(rates: [Rate; N]) -> Self {
        let shard = || {
            Mutex::new(Shard {
                buckets: HashTable::new(),
                sweep_at: FEW_KEYS,
            })
        };
        Self {
            rates,
            begun: Instant::now(),
            hasher: DefaultHashBuilder::default(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
        }
    }

    /// The most bytes that the buckets can take, if a key takes so many.
    pub(crate) const fn worst_case(key_bytes: usize) -> usize {
        // A table has room for up to twice as many as are in it, each with a mark.
        SHARDS * MAX_KEYS * (key_bytes + 2 * (size_of::<Bucket<K, N>>() + 1))
    }

    /// Takes so much out of a key's buckets. What is more than a bucket holds is taken from a full one, which then
    /// stays empty for longer; so nothing is refused for ever.
    ///
    /// # Errors
    ///
    /// There is not enough in one of them. Nothing is taken from any.
    pub(crate) fn take(&self, key: &K, costs: [u64; N]) -> Result<(), Short> {
        if self.is_off() {
            return Ok(());
        }
        let now = self.now();
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        if let Some(full_at) = shard.find(hash, key) {
            self.check(*full_at, now, costs)?;
            self.add(full_at, now, costs);
            return Ok(());
        }
        self.check([now; N], now, costs)?;
        self.begin(&mut shard, (hash, key), now, costs);
        Ok(())
    }

    /// Looks whether so much could be taken.
    ///
    /// # Errors
    ///
    /// As [`Buckets::take`].
    pub(crate) fn look(&self, key: &K, costs: [u64; N]) -> Result<(), Short> {
        if self.is_off() {
            return Ok(());
        }
        let now = self.now();
        let hash = self.hasher.hash_one(key);
        let full_at = self.shard(hash).find(hash, key).map(|full_at| *full_at);
        self.check(full_at.unwrap_or([now; N]), now, costs)
    }

    /// Takes what has been done already, however little there is.
    pub(crate) fn owe(&self, key: &K, costs: [u64; N]) {
        if self.is_off() {
            return;
        }
        let now = self.now();
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        match shard.find(hash, key) {
            Some(full_at) => self.add(full_at, now, costs),
            None => self.begin(&mut shard, (hash, key), now, costs),
        }
    }

    /// Puts back what was taken for something that another bound has refused.
    pub(crate) fn put_back(&self, key: &K, costs: [u64; N]) {
        let hash = self.hasher.hash_one(key);
        if let Some(full_at) = self.shard(hash).find(hash, key) {
            for (index, rate) in self.rates.iter().enumerate() {
                full_at[index] = full_at[index].saturating_sub(rate.nanos(costs[index]));
            }
        }
    }

    fn is_off(&self) -> bool {
        self.rates.iter().all(|rate| rate.is_off())
    }

    fn check(&self, full_at: [u64; N], now: u64, costs: [u64; N]) -> Result<(), Short> {
        for (index, rate) in self.rates.iter().enumerate() {
            if rate.is_off() {
                continue;
            }
            let missing = full_at[index].saturating_sub(now);
            let needed = rate.nanos(costs[index].min(rate.burst));
            let room = rate.nanos(rate.burst);
            let wait = missing.saturating_add(needed).saturating_sub(room);
            if wait > 0 {
                return Err(Short {
                    rate: index,
                    wait: Duration::from_nanos(wait),
                });
            }
        }
        Ok(())
    }

    fn add(&self, full_at: &mut [u64; N], now: u64, costs: [u64; N]) {
        for (index, rate) in self.rates.iter().enumerate() {
            if !rate.is_off() {
                let from = full_at[index].max(now);
                full_at[index] = from.saturating_add(rate.nanos(costs[index]));
            }
        }
    }

    fn begin(&self, shard: &mut Shard<K, N>, (hash, key): (u64, &K), now: u64, costs: [u64; N]) {
        shard.forget_full(now);
        let mut full_at = [now; N];
        self.add(&mut full_at, now, costs);
        let key = key.clone();
        let bucket = Bucket { key, full_at };
        let hash_of = |bucket: &Bucket<K, N>| self.hasher.hash_one(&bucket.key);
        shard.buckets.insert_unique(hash, bucket, hash_of);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX / 2)
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<K, N>> {
        // Not the bits by which a table finds its places.
        let index = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        let shard = &self.shards[index];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq, const N: usize> Shard<K, N> {
    fn find(&mut self, hash: u64, key: &K) -> Option<&mut [u64; N]> {
        let found = self.buckets.find_mut(hash, |bucket| bucket.key == *key);
        found.map(|bucket| &mut bucket.full_at)
    }

    /// Forgets the buckets that are full, when there are many. Where most are not, half of them are forgotten as well,
    /// so that it is not done again soon.
    fn forget_full(&mut self, now: u64) {
        if self.buckets.len() < self.sweep_at {
            return;
        }
        let is_short = |bucket: &mut Bucket<K, N>| bucket.full_at.iter().any(|at| *at > now);
        self.buckets.retain(is_short);
        if self.buckets.len() > MAX_KEYS / 2 {
            let mut left = MAX_KEYS / 2;
            self.buckets.retain(|_| {
                left = left.saturating_sub(1);
                left > 0
            });
        }
        self.sweep_at = (2 * self.buckets.len()).clamp(FEW_KEYS, MAX_KEYS);
    }
}

#[cfg(test)]
mod tests;
