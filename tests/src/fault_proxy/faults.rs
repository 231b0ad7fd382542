//! What can be wrong with a connection.

use std::time::Duration;

/// The faults of a connection; the default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Holds back everything read, in both directions, for this long.
    pub delay: Duration,
    /// Forwards at most this many bytes a second, in each direction.
    pub bytes_per_second: Option<u64>,
    /// Stops reading from the client, so that its writes back up.
    pub is_stalled_up: bool,
    /// Stops reading from the server, so that its writes back up.
    pub is_stalled_down: bool,
    /// Ends the connection with a FIN after this many bytes downwards since it began.
    pub cut_after: Option<u64>,
    /// Ends the connection with an RST after this many bytes downwards since it began.
    pub reset_after: Option<u64>,
    /// Lets the connection go dead for good: nothing is read, written or closed any more, not even
    /// when this is switched off again, nor when a side leaves.
    pub is_half_open: bool,
    /// Writes pieces of at most this many bytes, each on its own (TCP_NODELAY is on).
    pub slice: Option<usize>,
    /// Resets a new connection at once, before the server hears of it.
    pub is_refusing: bool,
}

/// The two directions of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Faults {
    pub(super) fn is_stalled(&self, direction: Direction) -> bool {
        match direction {
            Direction::Up => self.is_stalled_up,
            Direction::Down => self.is_stalled_down,
        }
    }

    /// How many of `n_waiting` bytes may be written at once, when `n_done` went this way before.
    pub(super) fn piece(&self, direction: Direction, n_waiting: usize, n_done: u64) -> usize {
        let mut n_piece = n_waiting;
        if let Some(slice) = self.slice {
            n_piece = n_piece.min(slice.max(1));
        }
        if let Some(rate) = self.bytes_per_second {
            // Twenty pieces a second are smooth enough for a test.
            n_piece = n_piece.min(usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1));
        }
        if let (Direction::Down, Some(limit)) = (direction, self.down_limit()) {
            let n_left = limit.saturating_sub(n_done);
            n_piece = n_piece.min(usize::try_from(n_left).unwrap_or(usize::MAX));
        }
        n_piece
    }

    /// The number of bytes downwards after which the connection ends.
    pub(super) fn down_limit(&self) -> Option<u64> {
        [self.cut_after, self.reset_after]
            .into_iter()
            .flatten()
            .min()
    }

    /// How long to rest after `n_bytes`, to keep the rate.
    pub(super) fn rest(&self, n_bytes: usize) -> Duration {
        self.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(n_bytes as f64 / rate.max(1) as f64)
        })
    }
}
