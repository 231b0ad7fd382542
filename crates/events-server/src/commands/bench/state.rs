//! What the tasks of one bench share.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::sync::{Notify, Semaphore};

use super::{
    checker::{Checker, Tally},
    plan::{Pace, Seat},
    script::Script,
    target::Target,
    window::Window,
};
use crate::{Failure, cli::BenchArgs};

/// Histograms over all readers, so that they seldom wait for each other.
const SHARDS: usize = 8;

/// Connections that are being made at the same time.
const CONNECTS: usize = 64;

/// The shared state; locks are held for the length of one read at most.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) target: Target,
    pub(super) script: Script,
    pub(super) tag: u32,
    /// Events of a request, for one user.
    pub(super) batch: u32,
    /// Bytes of a delta, or of an event that the server makes.
    pub(super) payload: usize,
    pub(super) window: Option<Window>,
    /// What the stamps count from.
    start: Instant,
    /// The same on the clock of the system, in nanoseconds, which servers that make events stamp them with.
    start_ns: u64,
    pub(super) seats: Vec<Seat>,
    /// What each seat has seen.
    checkers: Vec<Mutex<Checker>>,
    /// Microseconds from due to seen, of ordinary readers.
    latencies: Vec<Mutex<Histogram<u64>>>,
    /// Events that the hub has taken, per user. Each user has one publisher, the only one to write here.
    pub(super) published: Vec<AtomicU32>,
    /// The sum of `published`.
    pub(super) n_published: AtomicU64,
    pub(super) last_published_us: AtomicU64,
    pub(super) last_delivered_us: AtomicU64,
    /// Seats that have had the beginning of their stream.
    pub(super) n_ready: AtomicUsize,
    pub(super) connects: Semaphore,
    /// Answers 429, 503 and 504.
    pub(super) n_refused: AtomicU64,
    /// Connections of ordinary readers and publishers that broke and were made again.
    pub(super) n_reconnects: AtomicU64,
    /// Connections of slow and stalled readers that were made again.
    pub(super) n_returns: AtomicU64,
    /// Set when nothing more is to be published.
    pub(super) is_over: AtomicBool,
    trouble: Mutex<Option<Failure>>,
    alarm: Notify,
}

impl Bench {
    /// The longest latency that is told from longer ones, in microseconds.
    const MAX_LATENCY_US: u64 = 10 * 60 * 1_000_000;

    pub(super) fn new(
        target: Target,
        seats: Vec<Seat>,
        args: &BenchArgs,
        window: Option<Window>,
    ) -> Result<Self, Failure> {
        let batch = window.as_ref().map_or(args.batch, Window::batch);
        let tag = fastrand::u32(..);
        let histogram = || Self::histogram().map(Mutex::new);
        let latencies: Result<Vec<_>, _> = std::iter::repeat_with(histogram).take(SHARDS).collect();
        Ok(Self {
            target,
            script: Script::new(tag, batch, args.payload),
            tag,
            batch,
            payload: args.payload,
            window,
            start: Instant::now(),
            start_ns: system_clock_ns(),
            checkers: seats.iter().map(|_| Mutex::default()).collect(),
            seats,
            latencies: latencies?,
            published: (0..args.users).map(|_| AtomicU32::new(0)).collect(),
            n_published: AtomicU64::new(0),
            last_published_us: AtomicU64::new(0),
            last_delivered_us: AtomicU64::new(0),
            n_ready: AtomicUsize::new(0),
            connects: Semaphore::new(CONNECTS),
            n_refused: AtomicU64::new(0),
            n_reconnects: AtomicU64::new(0),
            n_returns: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            trouble: Mutex::new(None),
            alarm: Notify::new(),
        })
    }

    /// Makes a histogram of microseconds.
    pub(super) fn histogram() -> Result<Histogram<u64>, Failure> {
        Histogram::new_with_bounds(1, Self::MAX_LATENCY_US, 3)
            .map_err(|error| Failure::Start(std::io::Error::other(error.to_string())))
    }

    /// Tells whether the server makes the events.
    pub(super) fn is_generated(&self) -> bool {
        self.window
            .as_ref()
            .is_some_and(|window| window.is_generated)
    }

    /// Turns a time of the system's clock into microseconds of the bench's clock.
    pub(super) const fn micros_of(&self, system_ns: u64) -> u64 {
        system_ns.saturating_sub(self.start_ns) / 1_000
    }

    /// Reads the bench's clock.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the moment at which the bench's clock shows `at`.
    pub(super) fn moment(&self, at: Duration) -> Instant {
        self.start + at
    }

    /// Locks what a seat has seen.
    pub(super) fn checker(&self, seat: usize) -> MutexGuard<'_, Checker> {
        self.checkers[seat]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the histogram that a seat writes to.
    pub(super) fn latencies(&self, seat: usize) -> MutexGuard<'_, Histogram<u64>> {
        self.latencies[seat % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the latencies of all ordinary readers.
    pub(super) fn all_latencies(&self) -> Histogram<u64> {
        let mut all = self.latencies(0).clone();
        for shard in 1..SHARDS {
            // The bounds are the same.
            let _infallible = all.add(&*self.latencies(shard));
        }
        all
    }

    /// Sums up what readers of one pace have seen.
    pub(super) fn tally(&self, pace: Pace) -> Tally {
        let mut sum = Tally::default();
        for (seat, of) in self.seats.iter().enumerate() {
            if of.pace == pace {
                sum.add(self.checker(seat).tally());
            }
        }
        sum
    }

    fn n_published_for(&self, user: u32) -> u32 {
        self.published[user as usize].load(Ordering::Acquire)
    }

    /// Counts the ordinary readers that have not seen everything.
    pub(super) fn n_behind(&self) -> usize {
        let seats = self.seats.iter().enumerate();
        seats
            .filter(|(_, of)| of.pace == Pace::Ordinary)
            .filter(|(seat, of)| {
                let n_published = self.n_published_for(of.user);
                self.checker(*seat).is_behind(n_published)
            })
            .count()
    }

    /// Counts what ordinary readers have not seen as missing.
    pub(super) fn end(&self) {
        for (seat, of) in self.seats.iter().enumerate() {
            if of.pace == Pace::Ordinary {
                let n_published = self.n_published_for(of.user);
                self.checker(seat).end(n_published);
            }
        }
    }

    /// Ends the bench with a failure; the first one counts.
    pub(super) fn fail(&self, failure: Failure) {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
        self.alarm.notify_one();
    }

    /// Waits for a failure.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn trouble(&self) -> Failure {
        loop {
            self.alarm.notified().await;
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(failure) = trouble.take() {
                return failure;
            }
        }
    }
}

/// Reads the clock that `Instant` reads too, with its absolute value.
#[cfg(target_os = "linux")]
fn system_clock_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let nanos = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(nanos).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
const fn system_clock_ns() -> u64 {
    0
}

/// Counts one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
