//! How long to wait before trying again.

use std::time::Duration;

/// The shortest base that a server's `retry:` can ask for, so that `retry: 0` is no busy loop.
const SHORTEST_SERVER_BASE: Duration = Duration::from_millis(100);

/// Exponential backoff with full jitter: a random wait between zero and a bound that doubles with each failure.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    n_failures: u32,
}

impl Backoff {
    pub(crate) const fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            n_failures: 0,
        }
    }

    /// Takes the wish of a server's `retry:` field as the base.
    pub(crate) fn set_base(&mut self, base: Duration) {
        self.base = base.max(SHORTEST_SERVER_BASE);
    }

    /// Forgets the failures, after a success.
    pub(crate) const fn reset(&mut self) {
        self.n_failures = 0;
    }

    /// Failures since the last success.
    pub(crate) const fn n_failures(&self) -> u32 {
        self.n_failures
    }

    /// Counts a failure and draws the wait. What the server asks for is a minimum; the jitter comes on top, so
    /// that clients who were all told the same do not come back together.
    pub(crate) fn next_wait(&mut self, at_least: Option<Duration>) -> Duration {
        let doubled = self.base.saturating_mul(1 << self.n_failures.min(20));
        // A server may ask for more than the cap.
        let bound = doubled.min(self.cap.max(self.base));
        self.n_failures = self.n_failures.saturating_add(1);
        let bound = match at_least {
            Some(_) => bound.min(self.base),
            None => bound,
        };
        at_least
            .unwrap_or_default()
            .saturating_add(bound.mul_f64(fastrand::f64()))
    }
}

/// Reads a `Retry-After` of seconds; the form that is a date is not understood and is `None`.
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(500);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn waits_stay_below_a_doubling_bound_and_the_cap() {
        for _ in 0..50 {
            let mut backoff = Backoff::new(BASE, CAP);
            for bound in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
                assert!(backoff.next_wait(None) <= Duration::from_millis(bound));
            }
            backoff.reset();
            assert!(backoff.next_wait(None) <= BASE);
        }
    }

    #[test]
    fn what_a_server_asks_for_is_a_minimum() {
        let mut backoff = Backoff::new(BASE, CAP);
        let wait = backoff.next_wait(retry_after(" 7 "));
        assert!(wait >= Duration::from_secs(7) && wait <= Duration::from_secs(7) + BASE);
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(retry_after("-1"), None);
    }

    #[test]
    fn no_number_overflows() {
        let mut backoff = Backoff::new(BASE, CAP);
        backoff.set_base(Duration::MAX);
        for _ in 0..100 {
            backoff.next_wait(Some(Duration::MAX));
            backoff.next_wait(None);
        }
    }
}
