//! Whether one connection got everything, once, and in order.

use std::ops::Range;

use serde::Serialize;

/// What was seen on one connection, or on several; counts of events, except `gaps`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Seen, each once.
    pub(super) delivered: u64,
    /// Missing, and no `gap` frame says so.
    pub(super) lost: u64,
    /// `gap` frames.
    pub(super) gaps: u64,
    /// Missing, as a `gap` frame says.
    pub(super) lost_in_gaps: u64,
    /// Seen again.
    pub(super) duplicated: u64,
    /// Seen, but behind a later one.
    pub(super) out_of_order: u64,
    /// Another user's.
    pub(super) strangers: u64,
}

impl Tally {
    /// Adds what another connection has seen.
    pub(super) fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.gaps += other.gaps;
        self.lost_in_gaps += other.lost_in_gaps;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.strangers += other.strangers;
    }

    /// Counts what must not happen.
    pub(super) const fn faults(&self) -> u64 {
        self.lost + self.duplicated + self.out_of_order + self.strangers
    }
}

/// Events that did not come when it was their turn.
#[derive(Debug)]
struct Missing {
    numbers: Range<u32>,
    is_announced: bool,
}

/// Follows the numbers of one user's events on one connection, over reconnects.
#[derive(Debug, Default)]
pub(super) struct Checker {
    /// The number that comes next.
    next: u32,
    /// Events that `gap` frames have announced as missing, and that have not been found missing yet.
    n_announced: u64,
    /// To tell late events from repeated ones; bounded.
    missing: Vec<Missing>,
    tally: Tally,
}

impl Checker {
    /// Holes that are remembered. What comes late out of a further one is taken for a duplicate.
    const MAX_MISSING: usize = 1_024;

    /// Returns what has been seen so far.
    pub(super) const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Tells whether all of the first `n_published` events have come, or will not come any more.
    pub(super) const fn is_behind(&self, n_published: u32) -> bool {
        self.next < n_published
    }

    /// Returns the number that comes next.
    pub(super) const fn next(&self) -> u32 {
        self.next
    }

    /// Takes an event of the user.
    pub(super) fn take(&mut self, number: u32) {
        if number >= self.next {
            self.skip_to(number);
            // Whatever else the frame announced was no event of this bench.
            self.n_announced = 0;
            self.next = number.saturating_add(1);
            self.tally.delivered += 1;
        } else if self.find_missing(number) {
            self.tally.delivered += 1;
            self.tally.out_of_order += 1;
        } else {
            self.tally.duplicated += 1;
        }
    }

    /// Takes an event of another user.
    pub(super) const fn take_stranger(&mut self) {
        self.tally.strangers += 1;
    }

    /// Takes a `gap` frame; without a number it announces any.
    pub(super) fn take_gap(&mut self, n_lost: Option<u64>) {
        self.tally.gaps += 1;
        self.n_announced = self.n_announced.saturating_add(n_lost.unwrap_or(u64::MAX));
    }

    /// Ends the connection: what has been published and has not come is missing.
    pub(super) fn end(&mut self, n_published: u32) {
        if n_published > self.next {
            self.skip_to(n_published);
            self.next = n_published;
        }
    }

    /// Counts the events before `number` that have not come.
    fn skip_to(&mut self, number: u32) {
        let n_missing = number - self.next;
        let n_announced = u32::try_from(self.n_announced).map_or(n_missing, |n| n.min(n_missing));
        let middle = self.next + n_announced;
        self.tally.lost_in_gaps += u64::from(n_announced);
        self.tally.lost += u64::from(n_missing - n_announced);
        for (numbers, is_announced) in [(self.next..middle, true), (middle..number, false)] {
            if !numbers.is_empty() && self.missing.len() < Self::MAX_MISSING {
                self.missing.push(Missing {
                    numbers,
                    is_announced,
                });
            }
        }
    }

    /// Takes a number back out of those that are missing.
    fn find_missing(&mut self, number: u32) -> bool {
        let found = self
            .missing
            .iter()
            .position(|missing| missing.numbers.contains(&number));
        let Some(index) = found else { return false };
        let Missing {
            numbers,
            is_announced,
        } = self.missing.swap_remove(index);
        for rest in [numbers.start..number, number + 1..numbers.end] {
            if !rest.is_empty() {
                self.missing.push(Missing {
                    numbers: rest,
                    is_announced,
                });
            }
        }
        if is_announced {
            self.tally.lost_in_gaps -= 1;
        } else {
            self.tally.lost -= 1;
        }
        true
    }
}
