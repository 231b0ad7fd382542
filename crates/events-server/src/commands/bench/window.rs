//! A closed loop: what is published waits for what is seen.

use std::{
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use super::publisher::Ticket;
use crate::cli::BenchArgs;

/// Keeps each connection at most `width` events behind. Users are published for in lanes, whose users always have the
/// same number of events; a lane has at most one request on its way, so its order is kept.
#[derive(Debug)]
pub(super) struct Window {
    width: u32,
    batch: u32,
    n_users: u32,
    users_per_lane: u32,
    /// Whether the server makes the events itself.
    pub(super) is_generated: bool,
    lanes: Vec<Mutex<Lane>>,
    /// Where lanes that may go on wait for their publisher. A lane waits there once at most, so there is room.
    ready: Vec<mpsc::Sender<Ticket>>,
    length: Option<Duration>,
    /// When no more is published, in microseconds of the bench's clock.
    ends_us: AtomicU64,
}

#[derive(Debug)]
struct Lane {
    n_seats: u32,
    /// Requests that are left.
    n_left: u64,
    /// Events for which a request was made or is being made.
    n_issued: u32,
    /// Events that every seat has seen.
    n_seen: u32,
    /// How many seats have seen each event behind `n_seen`, by its number modulo the width.
    counts: Vec<u32>,
    /// Whether the lane has to wait for its seats.
    is_waiting: bool,
}

/// What a lane does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is waiting at its publisher, or for its seats.
    Later,
    /// It has published everything.
    Finished,
}

impl Window {
    /// Makes the lanes, all of whose users have `connections_per_user` readers, and a queue for each publisher.
    /// `None` without `--window`.
    pub(super) fn new(args: &BenchArgs) -> Option<(Self, Vec<mpsc::Receiver<Ticket>>)> {
        let width = args.window?;
        let users_per_lane = args.group.clamp(1, args.users);
        let n_lanes = args.users.div_ceil(users_per_lane);
        let batch = args.batch.min(width);
        let events_of_round = u64::from(args.users) * u64::from(batch);
        let n_left = args
            .events
            .map_or(u64::MAX, |n_events| n_events.div_ceil(events_of_round));
        let lanes = (0..n_lanes).map(|lane| {
            let n_users = users_per_lane.min(args.users - lane * users_per_lane);
            Mutex::new(Lane {
                n_seats: n_users * args.connections_per_user,
                n_left,
                n_issued: 0,
                n_seen: 0,
                counts: vec![0; width as usize],
                is_waiting: false,
            })
        });
        let queues = (0..args.publishers).map(|_| mpsc::channel(n_lanes as usize));
        let (ready, queues) = queues.unzip();
        let window = Self {
            width,
            batch,
            n_users: args.users,
            users_per_lane,
            is_generated: args.generator,
            lanes: lanes.collect(),
            ready,
            length: match (args.events, args.duration) {
                (None, None) => Some(super::LENGTH),
                (_, length) => length,
            },
            ends_us: AtomicU64::new(u64::MAX),
        };
        Some((window, queues))
    }

    /// Events of one request for one user.
    pub(super) const fn batch(&self) -> u32 {
        self.batch
    }

    /// Lets every lane begin.
    pub(super) fn begin(&self, now: Duration) {
        if let Some(length) = self.length {
            let ends_us = u64::try_from((now + length).as_micros()).unwrap_or(u64::MAX);
            self.ends_us.store(ends_us, Ordering::Relaxed);
        }
        for number in 0..self.lanes.len() {
            self.queue(number);
        }
    }

    /// Counts the lanes of a publisher.
    pub(super) fn n_lanes_of(&self, publisher: usize) -> usize {
        let n_others = self.lanes.len().saturating_sub(publisher);
        n_others.div_ceil(self.ready.len())
    }

    /// Takes a request out of a lane, whose first user is given, and returns its users; none if it is over.
    pub(super) fn take(&self, first_user: u32, now: Duration) -> Option<Range<u32>> {
        let number = (first_user / self.users_per_lane) as usize;
        let mut lane = self.lane(number);
        let is_late = now.as_micros() >= u128::from(self.ends_us.load(Ordering::Relaxed));
        if lane.n_left == 0 || is_late {
            return None;
        }
        lane.n_left -= 1;
        lane.n_issued += self.batch;
        let end = (first_user + self.users_per_lane).min(self.n_users);
        Some(first_user..end)
    }

    /// Says what comes after the answer to a request of a lane.
    pub(super) fn answered(&self, first_user: u32) -> Turn {
        let number = (first_user / self.users_per_lane) as usize;
        let mut lane = self.lane(number);
        if lane.n_left == 0 {
            return Turn::Finished;
        }
        if lane.has_room(self.width, self.batch) {
            drop(lane);
            self.queue(number);
        } else {
            lane.is_waiting = true;
        }
        Turn::Later
    }

    /// Takes what a connection of a user has seen: the numbers of events, in order.
    pub(super) fn seen(&self, user: u32, numbers: Range<u32>) {
        let number = (user / self.users_per_lane) as usize;
        let mut lane = self.lane(number);
        for event in numbers {
            lane.count(event, self.width);
        }
        if lane.is_waiting && lane.has_room(self.width, self.batch) {
            lane.is_waiting = false;
            drop(lane);
            self.queue(number);
        }
    }

    fn lane(&self, number: usize) -> MutexGuard<'_, Lane> {
        self.lanes[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, number: usize) {
        let user = u32::try_from(number).unwrap_or(u32::MAX) * self.users_per_lane;
        // A publisher that has left takes no more.
        let _left = self.ready[number % self.ready.len()].try_send(Ticket { user, due: None });
    }
}

impl Lane {
    /// Tells whether a further request keeps every connection within the window.
    const fn has_room(&self, width: u32, batch: u32) -> bool {
        self.n_issued + batch <= self.n_seen + width
    }

    /// Counts an event that a connection has seen; one outside the window is a fault, which the checker reports.
    fn count(&mut self, event: u32, width: u32) {
        if event < self.n_seen || event - self.n_seen >= width {
            return;
        }
        let count = &mut self.counts[(event % width) as usize];
        *count += 1;
        if *count == self.n_seats {
            *count = 0;
            self.n_seen = event + 1;
        }
    }
}

#[cfg(test)]
mod tests;
