//! Wall-clock time behind a trait, so that tests set it.

use std::{
    fmt,
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Tells the time in milliseconds since 1970-01-01T00:00:00Z.
///
/// It stamps events and ages them; order never depends on it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the present time in milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// Returns the milliseconds that have passed since some moment, also when the date is set meanwhile.
    ///
    /// By default this is the date itself, as if nobody ever set it.
    fn elapsed_ms(&self) -> i64 {
        self.now_ms()
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            })
    }

    /// Counts from the first call in this process. It stands while the machine sleeps.
    fn elapsed_ms(&self) -> i64 {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        i64::try_from(BEGIN.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Makes a clock that shows `now_ms` milliseconds since the Unix epoch.
    #[must_use]
    pub const fn new(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    /// Moves the clock by `by_ms` milliseconds; negative values move it back.
    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
