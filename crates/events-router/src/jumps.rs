//! Steps of the wall clock, in which nobody was silent.

use std::sync::{Mutex, PoisonError};

use events_core::Clock;

/// What a clock may be put right by without being suspected, in milliseconds.
const TOLERANCE_MS: i64 = 10_000;

/// Watches the wall clock beside one that nobody sets.
///
/// When a machine wakes up, or its clock is set, an hour may pass at once. Runs whose producers are alive would all be
/// ended as silent; so silence counts from such a step on only.
#[derive(Debug)]
pub(crate) struct Jumps(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    /// By how much the wall clock was ahead of the other one.
    ahead_ms: i64,
    /// The wall time right after the last step.
    counts_from_ms: i64,
}

impl Jumps {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self(Mutex::new(Seen {
            ahead_ms: ahead_ms(clock),
            counts_from_ms: i64::MIN,
        }))
    }

    /// Looks at the clock, and returns the wall time before which silence does not count.
    pub(crate) fn silence_counts_from(&self, clock: &dyn Clock) -> i64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead_ms = ahead_ms(clock);
        if ahead_ms.abs_diff(seen.ahead_ms) > TOLERANCE_MS.unsigned_abs() {
            let by_s = ahead_ms.saturating_sub(seen.ahead_ms) / 1_000;
            tracing::warn!(by_s, "the clock was set: silence of runs counts from now");
            seen.counts_from_ms = clock.now_ms();
        }
        // It may go wrong slowly, too.
        seen.ahead_ms = ahead_ms;
        seen.counts_from_ms
    }
}

fn ahead_ms(clock: &dyn Clock) -> i64 {
    clock.now_ms().saturating_sub(clock.elapsed_ms())
}
