//! Whether the log can be reached.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

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
    /// It is another log than the one that was opened: the process has to begin anew.
    Replaced,
}

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
}

impl Default for Health {
    fn default() -> Self {
        Self {
            state: Mutex::new(State::Starting),
            is_down: AtomicBool::new(false),
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
            }
            State::Down { reason: known, .. } => *known = reason,
            State::Replaced => {}
        }
        is_new
    }

    pub(crate) fn replace(&self) {
        *self.lock() = State::Replaced;
        self.is_down.store(true, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> LogHealth {
        match &*self.lock() {
            State::Starting => LogHealth::Starting,
            State::Up => LogHealth::Up,
            State::Down { since, reason } => LogHealth::Down {
                since: since.elapsed(),
                reason: reason.clone(),
            },
            State::Replaced => LogHealth::Replaced,
        }
    }
}
