//! The last hour, minute by minute.

use events_models::Usd;

const MINUTE_MS: i64 = 60_000;

/// Minutes that are kept: an hour, the running minute included.
const N_MINUTES: usize = 60;

/// What ended in some minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Sums {
    pub(super) cost: Usd,
    pub(super) ended: u64,
    pub(super) failed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Counted since the Unix epoch.
    minute: i64,
    sums: Sums,
}

/// A ring of minutes: its memory does not grow.
#[derive(Debug)]
pub(super) struct Window {
    buckets: [Bucket; N_MINUTES],
    /// A clock that is set back does not open old minutes again.
    latest: i64,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            buckets: [Bucket::default(); N_MINUTES],
            latest: i64::MIN,
        }
    }
}

impl Window {
    pub(super) fn add(&mut self, now_ms: i64, cost: Usd, has_failed: bool) {
        let minute = self.minute(now_ms);
        let index = usize::try_from(minute.rem_euclid(N_MINUTES as i64)).unwrap_or_default();
        let Some(bucket) = self.buckets.get_mut(index) else {
            return;
        };
        if bucket.minute != minute {
            *bucket = Bucket {
                minute,
                sums: Sums::default(),
            };
        }
        bucket.sums.cost = bucket.sums.cost + cost;
        bucket.sums.ended += 1;
        bucket.sums.failed += u64::from(has_failed);
    }

    /// Adds up the last so many minutes, the running one included.
    pub(super) fn last(&mut self, now_ms: i64, n_minutes: i64) -> Sums {
        let minute = self.minute(now_ms);
        let oldest = minute.saturating_sub(n_minutes);
        let mut all = Sums::default();
        for Bucket { sums, minute: of } in &self.buckets {
            if *of > oldest && *of <= minute {
                all.cost = all.cost + sums.cost;
                all.ended += sums.ended;
                all.failed += sums.failed;
            }
        }
        all
    }

    fn minute(&mut self, now_ms: i64) -> i64 {
        self.latest = self.latest.max(now_ms.div_euclid(MINUTE_MS));
        self.latest
    }
}
