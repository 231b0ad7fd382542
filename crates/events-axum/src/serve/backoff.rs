//! Waiting while the system has no file descriptor to give.

use std::{io, time::Duration};

/// Delays from 10 ms to 500 ms, each twice the one before.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    n_failures: u32,
}

const FIRST: Duration = Duration::from_millis(10);
const LAST: Duration = Duration::from_millis(500);

impl Backoff {
    pub(super) fn next_delay(&mut self) -> Duration {
        let delay = FIRST.saturating_mul(1 << self.n_failures.min(8)).min(LAST);
        self.n_failures = self.n_failures.saturating_add(1);
        delay
    }

    pub(super) const fn reset(&mut self) {
        self.n_failures = 0;
    }
}

/// Whether an accept failed because that one client had already left.
pub(super) fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_half_a_second_and_start_over() {
        let mut backoff = Backoff::default();
        let delays: Vec<_> = (0..8).map(|_| backoff.next_delay().as_millis()).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 500, 500]);
        backoff.reset();
        assert_eq!(backoff.next_delay(), FIRST);
    }
}
