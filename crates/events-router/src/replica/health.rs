//! Whether the log can be reached.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// Whether the log behind a router can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogHealth {
    /// It can, or there is none behind the router.
    Up,
    /// It has not answered yet.
    Starting,
    /// It cannot: streams stay open and tell nothing new, and nothing can be published.
    Down {
        /// For how long.
        since: Duration,
        /// What the log says.
        reason: String,
    },
    /// It answers, but listening to it has failed by panics, and not only once, within the last minute: what is told
    /// is told late. It is begun anew each time.
    Failing {
        /// How often.
        n_failures: usize,
    },
    /// It is another log than the one that was opened: the process has to begin anew.
    Replaced,
}

/// Failures that are older no longer count.
const REMEMBERED: Duration = Duration::from_secs(60);
/// More are not counted.
const MOST_FAILURES: usize = 1_000;

#[derive(Debug)]
enum State {
    Starting,
    Up,
    Down { since: Instant, reason: String },
    Replaced,
}

#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
    /// The same for those who ask with each event.
    is_down: AtomicBool,
    /// When listening failed, by panics.
    failures: Mutex<VecDeque<Instant>>,
    /// From each turn on, what was read of the log before it may be behind.
    turn: AtomicU64,
    /// The same for those who wait.
    turned: watch::Sender<u64>,
    /// The turn since which something was read.
    answered: AtomicU64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            state: Mutex::new(State::Starting),
            is_down: AtomicBool::new(false),
            failures: Mutex::default(),
            turn: AtomicU64::new(1),
            turned: watch::Sender::new(1),
            answered: AtomicU64::new(0),
        }
    }
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the log was there and is not any more.
    pub(crate) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }

    /// Notes that the log answers; tells whether that is new.
    pub(crate) fn rise(&self) -> bool {
        let mut state = self.lock();
        let is_new = matches!(*state, State::Down { .. } | State::Starting);
        if is_new {
            *state = State::Up;
            self.is_down.store(false, Ordering::Relaxed);
        }
        is_new
    }

    /// Notes that it does not; tells whether that is new.
    pub(crate) fn fall(&self, reason: String) -> bool {
        let mut state = self.lock();
        let is_new = matches!(*state, State::Up | State::Starting);
        match &mut *state {
            State::Up | State::Starting => {
                *state = State::Down {
                    since: Instant::now(),
                    reason,
                };
                self.is_down.store(true, Ordering::Relaxed);
                self.turn();
            }
            State::Down { reason: known, .. } => *known = reason,
            State::Replaced => {}
        }
        is_new
    }

    /// Notes that some of what was appended may not have been heard.
    pub(crate) fn turn(&self) {
        let turn = self.turn.fetch_add(1, Ordering::AcqRel) + 1;
        self.turned.send_replace(turn);
    }

    /// Notes that something was read, before it is used.
    pub(crate) fn answer(&self) {
        self.answered.store(self.last_turn(), Ordering::Release);
    }

    /// Tells whether the log is down and nothing was read since.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_down() && self.answered.load(Ordering::Acquire) != self.last_turn()
    }

    /// Returns how many turns there were; it is never 0.
    pub(crate) fn last_turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// Waits for the next one after this.
    pub(crate) async fn after_turn(&self, turn: u64) {
        let mut turned = self.turned.subscribe();
        // The sender is there as long as this is.
        let _ended = turned.wait_for(|now| *now > turn).await;
    }

    /// Notes that listening has failed by a panic.
    pub(crate) fn fail(&self) {
        let mut failures = self.failures();
        if failures.len() == MOST_FAILURES {
            failures.pop_front();
        }
        failures.push_back(Instant::now());
    }

    /// The failures that still count.
    fn failures(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        while failures.front().is_some_and(|at| at.elapsed() > REMEMBERED) {
            failures.pop_front();
        }
        failures
    }

    pub(crate) fn replace(&self) {
        *self.lock() = State::Replaced;
        self.is_down.store(true, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> LogHealth {
        match &*self.lock() {
            State::Starting => LogHealth::Starting,
            State::Up => match self.failures().len() {
                0 | 1 => LogHealth::Up,
                n_failures => LogHealth::Failing { n_failures },
            },
            State::Down { since, reason } => LogHealth::Down {
                since: since.elapsed(),
                reason: reason.clone(),
            },
            State::Replaced => LogHealth::Replaced,
        }
    }
}
