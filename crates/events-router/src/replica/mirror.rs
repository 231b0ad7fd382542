//! One user whose log is followed.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use events_core::{EventError, EventId, EventResult, UserId};
use tokio::sync::oneshot;

use super::{Shared, publishing::Job, refused::RefusedRecords, stats::count};
use crate::EventRouter;

/// Where the state of a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// His log has not been read.
    New,
    /// It has, up to the place that is applied.
    Ready,
    /// The state is gone; whoever finds it so looks the user up again.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Mirror {
    pub(super) user: UserId,
    state: Mutex<MirrorState>,
}

#[derive(Debug)]
pub(super) struct MirrorState {
    pub(super) phase: Phase,
    /// Everything up to this place has changed the user's state.
    pub(super) applied: u64,
    /// The log is known to have reached this place.
    pub(super) reached: u64,
    /// Who waits for a read that begins after they came.
    pub(super) readers: Vec<oneshot::Sender<EventResult<()>>>,
    pub(super) jobs: VecDeque<Job>,
    /// The records that were passed over.
    pub(super) refused: RefusedRecords,
    /// Runs may have been silent for too long.
    pub(super) has_overdue: bool,
    /// What has changed since it was saved.
    pub(super) unsaved: HashSet<Box<str>>,
    pub(super) unsaved_records: usize,
    pub(super) unsaved_bytes: usize,
    /// A run has ended since it was saved.
    pub(super) has_ended: bool,
    /// This replica has published for the user since he was read.
    pub(super) has_published: bool,
    /// What has changed is to be saved.
    pub(super) is_save_due: bool,
    /// The user is to be let go, unless he is needed.
    pub(super) is_idle: bool,
    /// Somebody works on this user.
    pub(super) is_busy: bool,
    /// How many need him besides his connections.
    pub(super) holders: usize,
    pub(super) used_ms: i64,
}

impl Mirror {
    fn new(user: UserId, now_ms: i64) -> Self {
        let state = MirrorState {
            phase: Phase::New,
            applied: 0,
            reached: 0,
            readers: Vec::new(),
            jobs: VecDeque::new(),
            refused: RefusedRecords::default(),
            has_overdue: false,
            unsaved: HashSet::new(),
            unsaved_records: 0,
            unsaved_bytes: 0,
            has_ended: false,
            has_published: false,
            is_save_due: false,
            is_idle: false,
            is_busy: false,
            holders: 0,
            used_ms: now_ms,
        };
        Self {
            user,
            state: Mutex::new(state),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, MirrorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MirrorState {
    /// Tells whether the log has more than is applied, as far as is known.
    pub(super) const fn is_behind(&self) -> bool {
        matches!(self.phase, Phase::New) || self.applied < self.reached
    }
}

impl Shared {
    /// Finds a user, or begins to follow him, and holds him.
    pub(super) fn hold(
        self: &Arc<Self>,
        router: &EventRouter,
        user: &UserId,
    ) -> EventResult<OpenUser> {
        let now_ms = router.inner.clock.now_ms();
        let mut users = self.users();
        let mirror = match users.get(user) {
            Some(mirror) => Arc::clone(mirror),
            None if users.len() >= self.max_users => {
                drop(users);
                // This one is refused; whoever comes next finds room.
                self.make_room(router, now_ms);
                return Err(EventError::Overloaded("too many users are followed"));
            }
            None => {
                let mirror = Arc::new(Mirror::new(user.clone(), now_ms));
                users.insert(user.clone(), Arc::clone(&mirror));
                // Before his log is read, so that nothing falls between.
                self.log.follow(user);
                mirror
            }
        };
        // Under the lock of all users, where he would be let go.
        let mut state = mirror.lock();
        state.holders += 1;
        state.is_idle = false;
        state.used_ms = now_ms;
        drop(state);
        Ok(OpenUser(Some((router.clone(), mirror))))
    }

    /// Has somebody work on a user, unless somebody does.
    pub(super) fn start(&self, mirror: &Arc<Mirror>, state: &mut MirrorState) {
        if !std::mem::replace(&mut state.is_busy, true)
            && self.starts.try_send(Arc::clone(mirror)).is_err()
        {
            // The work behind the router has ended, or never began.
            state.is_busy = false;
            let is_gone = || EventError::Unavailable("the replica's work has ended".into());
            for reader in state.readers.drain(..) {
                // The reader may have left.
                let _is_gone = reader.send(Err(is_gone()));
            }
            for job in state.jobs.drain(..) {
                job.answer(Err(is_gone().into()));
            }
        }
    }

    /// Makes sure that a user's state is that of his log, at least up to a place if it is given.
    pub(super) async fn read_up_to(
        &self,
        mirror: &Arc<Mirror>,
        place: Option<u64>,
    ) -> EventResult<()> {
        let is_read = {
            let mut state = mirror.lock();
            let is_there =
                state.phase == Phase::Ready && place.is_none_or(|at| at <= state.applied);
            if is_there {
                return Ok(());
            }
            let (sender, is_read) = oneshot::channel();
            state.readers.push(sender);
            self.start(mirror, &mut state);
            is_read
        };
        let is_gone = |_| EventError::Unavailable("the replica's work has ended".into());
        is_read.await.map_err(is_gone)?
    }
}

/// Keeps a user's log open: as long as it lives, the user can be connected to, published for and asked about without
/// waiting.
///
/// Without a log behind the router it has nothing to do.
#[must_use = "the user's log may be shut again when this is dropped"]
pub struct OpenUser(Option<(EventRouter, Arc<Mirror>)>);

impl OpenUser {
    /// For a router that has no log behind it.
    pub(crate) const fn always() -> Self {
        Self(None)
    }

    pub(super) fn mirror(&self) -> Option<&Arc<Mirror>> {
        self.0.as_ref().map(|(_, mirror)| mirror)
    }
}

impl Drop for OpenUser {
    fn drop(&mut self) {
        if let Some((router, mirror)) = &self.0 {
            let mut state = mirror.lock();
            state.holders -= 1;
            state.used_ms = router.inner.clock.now_ms();
        }
    }
}

impl fmt::Debug for OpenUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenUser")
            .field("user", &self.mirror().map(|mirror| &mirror.user))
            .finish_non_exhaustive()
    }
}

impl EventRouter {
    /// Opens a user's log, so that he can be connected to, published for and asked about.
    ///
    /// With a log behind the router it is read first, at least up to the client's cursor, if that is one of this log:
    /// another replica may have told it more than has come here. Without one this does nothing. Publishing opens
    /// what it needs by itself.
    ///
    /// # Errors
    ///
    /// The log cannot be reached, or too many users are followed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn open_user(&self, user: &UserId, cursor: Option<&str>) -> EventResult<OpenUser> {
        let Some(shared) = &self.inner.replica else {
            return Ok(OpenUser::always());
        };
        let open = shared.hold(self, user)?;
        let cursor = cursor.and_then(|cursor| cursor.parse::<EventId>().ok());
        let place = cursor.filter(|id| id.epoch == shared.log.epoch());
        if let Some(mirror) = open.mirror() {
            shared.read_up_to(mirror, place.map(|id| id.seq)).await?;
        }
        Ok(open)
    }

    /// Returns how many users are followed, and what happened between the router and its log; none without one.
    #[must_use]
    pub fn replica_stats(&self) -> Option<super::ReplicaStats> {
        let shared = self.inner.replica.as_ref()?;
        let mirrors = shared.mirrors();
        let is_behind = |mirror: &&Arc<Mirror>| {
            let state = mirror.lock();
            state.phase == Phase::Ready && state.is_behind()
        };
        let n_behind = mirrors.iter().filter(is_behind).count();
        Some(shared.counters.stats(mirrors.len(), n_behind))
    }

    /// Tells whether the log behind the router can be reached.
    #[must_use]
    pub fn log_health(&self) -> super::LogHealth {
        let replica = self.inner.replica.as_ref();
        replica.map_or(super::LogHealth::Up, |shared| shared.health.get())
    }

    /// Tells whether the log behind the router was there and cannot be reached any more. For each event.
    #[must_use]
    pub fn is_log_down(&self) -> bool {
        let replica = self.inner.replica.as_ref();
        replica.is_some_and(|shared| shared.health.is_down())
    }

    /// Tells whether the log behind the router was there, cannot be reached any more, and has told nothing since: users
    /// are read again as soon as it answers, which may be before it is known to be there. For each event.
    #[must_use]
    pub fn is_log_silent(&self) -> bool {
        let replica = self.inner.replica.as_ref();
        replica.is_some_and(|shared| shared.health.is_silent())
    }

    /// Counts the moments from which on what was read of the log before may be behind it: an outage, or a new beginning
    /// of listening. It is 0 where there is no log behind the router, and only there. For each event.
    #[must_use]
    pub fn log_turn(&self) -> u64 {
        let replica = self.inner.replica.as_ref();
        replica.map_or(0, |shared| shared.health.last_turn())
    }

    /// Waits for the next such moment after this one; for ever where there is no log behind the router.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn log_turned(&self, turn: u64) {
        match &self.inner.replica {
            Some(shared) => shared.health.after_turn(turn).await,
            None => std::future::pending().await,
        }
    }

    /// Returns the log behind the router, if there is one.
    #[must_use]
    pub fn event_log(&self) -> Option<&Arc<dyn events_core::EventLog>> {
        self.inner.replica.as_ref().map(|shared| &shared.log)
    }
}

impl Shared {
    /// Counts a job that its user's lane has no room for.
    pub(super) fn refuse_full(&self) -> EventError {
        count(&self.counters.lanes_full);
        EventError::Overloaded("too many events of this user are waiting for the log")
    }
}
