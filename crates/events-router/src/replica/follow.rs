//! The work behind a router: what the log says by itself, and who has to be worked on.

use std::{
    fmt,
    future::pending,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use events_core::{Tail, Tailed};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    Shared,
    applying::Applied,
    mirror::{Mirror, Phase},
    stats::count,
};
use crate::{
    EventRouter,
    poison::{self, Panicked},
    thread::millis,
};

/// Users that are worked on at the same time.
const WORKERS: usize = 512;
/// How often users that could not be read are tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// A user whom nobody has needed for this long is let go.
const IDLE: Duration = Duration::from_secs(60);
/// The same while there are as many users as there may be.
const IDLE_WHEN_FULL: Duration = Duration::from_secs(1);

/// The work behind a router that has a log behind it. It does nothing before [`Replica::run`] is polled, and neither
/// does the router then.
#[must_use = "nothing is read or published before it runs"]
pub struct Replica {
    router: EventRouter,
    shared: Arc<Shared>,
    started: mpsc::Receiver<Arc<Mirror>>,
}

impl Replica {
    pub(crate) const fn new(
        router: EventRouter,
        shared: Arc<Shared>,
        started: mpsc::Receiver<Arc<Mirror>>,
    ) -> Self {
        Self {
            router,
            shared,
            started,
        }
    }

    /// Works for as long as it is polled; does not end by itself.
    ///
    /// # Cancel safety
    ///
    /// When it is dropped the router answers every publish with an error, and streams tell nothing new. What was
    /// being published may be in the log or not.
    pub async fn run(mut self) {
        let (shared, router) = (self.shared, self.router);
        let mut workers: JoinSet<()> = JoinSet::new();
        let mut tail = Some(shared.log.tail());
        let mut retries = interval(RETRY_INTERVAL);
        retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(mirror) = self.started.recv(), if workers.len() < WORKERS => {
                    workers.spawn(Arc::clone(&shared).work_on(router.clone(), mirror));
                }
                Some(ended) = workers.join_next(), if !workers.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "work on a user failed");
                    }
                }
                heard = heard(&mut tail) => {
                    let heard = heard.and_then(|tailed| {
                        poison::caught("what a log said", || tailed.map(|tailed| shared.hear(&router, tailed)))
                    });
                    // The contract has it that a tail does not end.
                    if !matches!(heard, Ok(Some(()))) {
                        shared.lose_tail(&router, heard.err().as_ref());
                        tail = None;
                    }
                }
                _ = retries.tick() => {
                    shared.retry();
                    // Whatever was said meanwhile is read: a new tail begins with that.
                    tail.get_or_insert_with(|| shared.log.tail());
                }
            }
        }
    }
}

/// Waits for what the log says next; for ever without a tail.
///
/// # Cancel safety
///
/// Nothing is lost.
async fn heard(tail: &mut Option<Tail>) -> Result<Option<Tailed>, Panicked> {
    let Some(tail) = tail else {
        return pending().await;
    };
    let next = AssertUnwindSafe(tail.next()).catch_unwind().await;
    next.map_err(|payload| Panicked::new(&*payload))
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Notes that the tail is gone, by a panic or against its contract. Until there is a new one, readers are told.
    fn lose_tail(&self, router: &EventRouter, panicked: Option<&Panicked>) {
        let reason = panicked.map_or("it has ended", Panicked::text);
        tracing::error!(reason, "listening to the log failed; it is begun anew");
        count(&self.counters.tail_failures);
        self.health.fail();
        if self.health.fall(format!("listening failed: {reason}")) {
            router.inner.store.wake_all();
        }
    }

    fn hear(&self, router: &EventRouter, tailed: Tailed) {
        match tailed {
            Tailed::Started => {
                self.health.turn();
                for mirror in self.mirrors() {
                    let mut state = mirror.lock();
                    if state.phase == Phase::Ready {
                        // Nobody knows how far the log has got, only that it has to be looked at.
                        state.reached = state.reached.max(state.applied.saturating_add(1));
                        self.start(&mirror, &mut state);
                    }
                }
            }
            Tailed::Appended {
                user,
                previous,
                records,
            } => {
                let Some(mirror) = self.find(&user) else {
                    return;
                };
                match self.apply(router, &mirror, previous, records, Some(&self.unnamed)) {
                    Ok(Applied::Now(_) | Applied::Before) => {}
                    Ok(Applied::Hole) => {
                        count(&self.counters.holes);
                        self.start(&mirror, &mut mirror.lock());
                    }
                    Err(error) => tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "records not applied"
                    ),
                }
            }
            Tailed::Advanced { user, last } => {
                let Some(mirror) = self.find(&user) else {
                    return;
                };
                let mut state = mirror.lock();
                state.reached = state.reached.max(last);
                if state.phase == Phase::Ready && state.applied < last {
                    self.start(&mirror, &mut state);
                }
            }
            Tailed::Passed { user, record } => self.hear_live(router, &user, record),
            Tailed::Up => {
                if self.health.rise() {
                    tracing::info!("log is there");
                    router.inner.store.wake_all();
                }
            }
            Tailed::Down(reason) => {
                tracing::warn!(reason, "log cannot be reached");
                if self.health.fall(reason) {
                    count(&self.counters.outages);
                    router.inner.store.wake_all();
                }
            }
            Tailed::Replaced => {
                tracing::error!("the log is another one than at the start");
                self.health.replace();
                router.inner.store.wake_all();
            }
        }
    }

    /// Starts the work on users who are behind, as after a read that failed.
    fn retry(&self) {
        for mirror in self.mirrors() {
            let mut state = mirror.lock();
            if state.phase == Phase::Ready && state.applied < state.reached {
                self.start(&mirror, &mut state);
            }
        }
    }

    /// Lets users go whom nobody needs, and ends runs that have been silent for too long.
    pub(crate) fn sweep(&self, router: &EventRouter, now_ms: i64) {
        let before_ms = now_ms.saturating_sub(millis(IDLE));
        let overdue = router.inner.lanes.overdue(now_ms);
        for user in overdue {
            if let Some(mirror) = self.find(&user) {
                let mut state = mirror.lock();
                if state.phase == Phase::Ready {
                    state.has_overdue = true;
                    self.start(&mirror, &mut state);
                }
            }
        }
        self.let_idle_go(router, now_ms, before_ms);
    }

    /// Lets users go early whom nobody has needed for a moment, because there is no room for others. Not more often
    /// than that moment lasts: all users are looked at.
    pub(super) fn make_room(&self, router: &EventRouter, now_ms: i64) {
        let pause_ms = millis(IDLE_WHEN_FULL);
        let made_room_ms = self.made_room_ms.load(Ordering::Relaxed);
        // A clock that was set back ends the pause too.
        if now_ms.abs_diff(made_room_ms) >= pause_ms.unsigned_abs() {
            self.made_room_ms.store(now_ms, Ordering::Relaxed);
            self.let_idle_go(router, now_ms, now_ms.saturating_sub(pause_ms));
        }
    }

    /// Has those let go whom nobody has needed since a moment.
    fn let_idle_go(&self, router: &EventRouter, now_ms: i64, before_ms: i64) {
        for mirror in self.mirrors() {
            let is_watched = router.inner.store.is_watched(&mirror.user);
            let mut state = mirror.lock();
            if is_watched {
                state.used_ms = now_ms;
            }
            if state.holders == 0 && state.used_ms < before_ms {
                state.is_idle = true;
                // What was published here is saved before it is forgotten here.
                state.is_save_due |= state.has_published && !state.unsaved.is_empty();
                self.start(&mirror, &mut state);
            }
        }
    }
}
