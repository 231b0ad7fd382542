//! The handle that producers and servers share.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use events_broadcast::{Limits, LogStore};
use events_core::{Clock, EventBus, EventResult, RecordIds, SystemClock, ThreadId, UserId};
use events_models::{
    A2AEvent, AgUiEvent, AnalyticsEvent, ContextEvent, ContextSummary, SystemEvent, agui::fold,
};

use crate::{
    A2ABroadcaster, AgUiBroadcaster, AnalyticsBroadcaster, BusEvent, ContextBroadcaster, Item,
    MemoryLog, PublishError, Run, Subscribe,
    known::{KnownBounds, MsgHasher},
    lanes::Lanes,
    routes::{A2A_VIEW, AGUI_VIEW, ANALYTICS_VIEW, CONTEXTS_VIEW},
    threads::{ThreadBounds, millis},
};

/// Bounds of an [`EventRouter`].
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// Bounds of the logs and connections.
    pub limits: Limits,
    /// How long a message id is known at least.
    pub dedupe_age: Duration,
    /// How many message ids per user are known at least. Sixteen times as many are the most.
    pub dedupe_ids: usize,
    /// How long a thread without an active run is remembered, and a user without one.
    pub idle: Duration,
    /// How long a run may be silent before it is ended with RUN_ERROR.
    pub run_timeout: Duration,
    /// What the fold of one thread or task may take, in bytes; beyond it there is no prelude. 0 turns folds off.
    pub fold_bytes: usize,
    /// What the folds of all users may take together, in bytes; beyond it the oldest finished threads and tasks
    /// go first.
    pub fold_total_bytes: usize,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            dedupe_age: Duration::from_secs(120),
            dedupe_ids: 4_096,
            idle: Duration::from_secs(3_600),
            run_timeout: Duration::from_secs(15 * 60),
            fold_bytes: fold::MAX_BYTES,
            fold_total_bytes: 128 << 20,
            clock: Arc::new(SystemClock),
        }
    }
}

/// What a publisher is told: the ids in the log, and how many connections were reached on this machine.
///
/// A connection that is counted has been woken or was handed the event; it may still be slow, or gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The ids of the records, in the order of the events. A chunk event may make none or several; an event that
    /// was known already has the ids that it got then; analytics events have none.
    pub ids: RecordIds,
    /// How many of the ids were known already.
    pub duplicates: usize,
    /// Connections reached on the AG-UI stream.
    pub agui: usize,
    /// Connections reached on the A2A stream.
    pub a2a: usize,
    /// Connections reached on the context stream.
    pub contexts: usize,
    /// Connections reached on the analytics stream.
    pub analytics: usize,
}

impl Published {
    /// Counts the connections reached on all streams.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.agui + self.a2a + self.contexts + self.analytics
    }
}

/// What the `route_…` methods of [`EventRouter`] answer.
pub type Routed = Published;

/// Publishes events and owns the streams that they come out of; a cheap handle.
///
/// `EventRouter::default()` is an isolated bus, [`EventRouter::global`] the one behind the four statics.
#[derive(Clone)]
pub struct EventRouter {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    log: MemoryLog,
    pub(crate) agui: AgUiBroadcaster,
    pub(crate) a2a: A2ABroadcaster,
    pub(crate) contexts: ContextBroadcaster,
    pub(crate) analytics: AnalyticsBroadcaster,
    pub(crate) lanes: Lanes,
    pub(crate) thread_bounds: ThreadBounds,
    pub(crate) msg_hasher: MsgHasher,
    pub(crate) known_bounds: KnownBounds,
    pub(crate) clock: Arc<dyn Clock>,
}

impl EventRouter {
    /// Makes an isolated router with the memory log.
    #[must_use]
    pub fn new(config: RouterConfig) -> Self {
        let RouterConfig {
            limits,
            dedupe_age,
            dedupe_ids,
            idle,
            run_timeout,
            fold_bytes,
            fold_total_bytes,
            clock,
        } = config;
        let users = limits.users;
        // Analytics are live only: a small buffer for attached readers, nothing to resume.
        let total_bytes = limits.total_bytes / 8;
        let store = LogStore::with_clock(limits.clone(), Arc::clone(&clock));
        let live = Limits {
            events: 0,
            total_bytes,
            ..limits
        };
        let analytics_store = LogStore::with_clock(live, Arc::clone(&clock));
        let inner = Inner {
            agui: AgUiBroadcaster::on(&store, AGUI_VIEW),
            a2a: A2ABroadcaster::on(&store, A2A_VIEW),
            contexts: ContextBroadcaster::on(&store, CONTEXTS_VIEW),
            analytics: AnalyticsBroadcaster::on(&analytics_store, ANALYTICS_VIEW),
            log: MemoryLog::new(store),
            lanes: Lanes::new(users, millis(idle), fold_total_bytes),
            thread_bounds: ThreadBounds {
                run_timeout_ms: millis(run_timeout),
                fold_bytes,
            },
            msg_hasher: MsgHasher::default(),
            known_bounds: KnownBounds {
                age: dedupe_age,
                count: dedupe_ids,
            },
            clock,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns the broadcaster of the AG-UI stream.
    #[must_use]
    pub fn agui(&self) -> &AgUiBroadcaster {
        &self.inner.agui
    }

    /// Returns the broadcaster of the A2A stream.
    #[must_use]
    pub fn a2a(&self) -> &A2ABroadcaster {
        &self.inner.a2a
    }

    /// Returns the broadcaster of the context stream.
    #[must_use]
    pub fn contexts(&self) -> &ContextBroadcaster {
        &self.inner.contexts
    }

    /// Returns the broadcaster of the analytics stream.
    #[must_use]
    pub fn analytics(&self) -> &AnalyticsBroadcaster {
        &self.inner.analytics
    }

    /// Returns the log.
    #[must_use]
    pub fn log(&self) -> &MemoryLog {
        &self.inner.log
    }

    /// Returns the clock that stamps and ages events.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Lists the contexts of a user that this router has seen, the one that changed last at the end.
    #[must_use]
    pub fn contexts_of(&self, user: &UserId) -> Vec<ContextSummary> {
        self.inner
            .lanes
            .find(user)
            .map_or_else(Vec::new, |lane| lane.lock().contexts.list())
    }

    /// Counts the runs that are active over all users. Looks at every user: for metrics, not for the hot path.
    #[must_use]
    pub fn active_runs(&self) -> usize {
        self.inner.lanes.active_runs()
    }

    /// Tells what the folds of all threads and tasks take, in bytes.
    #[must_use]
    pub fn fold_bytes(&self) -> usize {
        self.inner.lanes.folds.bytes()
    }

    /// Counts the threads and tasks that were forgotten, or lost their fold, because all folds together were too large.
    #[must_use]
    pub fn folds_shed(&self) -> u64 {
        self.inner.lanes.folds.shed()
    }

    /// Prepares to follow one thread or task of a user from where it stands.
    pub fn subscribe(&self, user: &UserId) -> Subscribe {
        Subscribe::new(self.clone(), user.clone())
    }

    /// Ages history, ends runs that have been silent for too long, and forgets idle threads and users.
    ///
    /// Publishing does a little of it; a server calls this from a timer.
    pub fn sweep(&self) {
        self.end_all_overdue_runs();
        self.inner.lanes.sweep(self.inner.clock.now_ms());
        self.inner.log.store().trim(10_000);
        self.inner.analytics.store().trim(10_000);
    }

    /// Opens a run of a thread; see [`Run`].
    pub fn run(&self, user: &UserId, thread: impl Into<ThreadId>) -> Run {
        Run::new(self.clone(), user.clone(), thread.into())
    }

    /// Publishes one event.
    ///
    /// # Errors
    ///
    /// The event is refused, or the log does not take it; it is not in the log then.
    ///
    /// # Cancel safety
    ///
    /// With the memory log it completes at its first poll.
    #[expect(clippy::unused_async, reason = "logs behind a wire are awaited here")]
    pub async fn publish(
        &self,
        user: &UserId,
        event: impl Into<BusEvent>,
    ) -> Result<Published, PublishError> {
        self.publish_now(user, [Item::new(event)])
    }

    /// Publishes several events for one user: all of them or none.
    ///
    /// # Errors
    ///
    /// The first event that is refused, by its index, or the log's own error. Nothing is in the log then.
    ///
    /// # Cancel safety
    ///
    /// With the memory log it completes at its first poll.
    #[expect(clippy::unused_async, reason = "logs behind a wire are awaited here")]
    pub async fn publish_batch(
        &self,
        user: &UserId,
        items: Vec<Item>,
    ) -> Result<Published, PublishError> {
        self.publish_now(user, items)
    }

    /// Publishes an AG-UI event. Its thread is the one that it names, else that of the user's only active run.
    ///
    /// # Errors
    ///
    /// [`EventError::Rejected`](events_core::EventError::Rejected) if the event is not legal, not legal now, or of
    /// no known thread; else the log's error.
    pub async fn route_agui(&self, user: &UserId, event: AgUiEvent) -> EventResult<Routed> {
        Ok(self.publish(user, event).await?)
    }

    /// Publishes an A2A event.
    ///
    /// # Errors
    ///
    /// As for [`EventRouter::route_agui`].
    pub async fn route_a2a(&self, user: &UserId, event: A2AEvent) -> EventResult<Routed> {
        Ok(self.publish(user, event).await?)
    }

    /// Publishes a system event.
    ///
    /// # Errors
    ///
    /// As for [`EventRouter::route_agui`].
    pub async fn route_system(&self, user: &UserId, event: SystemEvent) -> EventResult<Routed> {
        Ok(self.publish(user, event).await?)
    }

    /// Publishes an analytics event.
    ///
    /// # Errors
    ///
    /// As for [`EventRouter::route_agui`].
    pub async fn route_analytics(
        &self,
        user: &UserId,
        event: AnalyticsEvent,
    ) -> EventResult<Routed> {
        Ok(self.publish(user, event).await?)
    }
}

impl Default for EventRouter {
    fn default() -> Self {
        Self::new(RouterConfig::default())
    }
}

impl fmt::Debug for EventRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRouter")
            .field("agui", &self.inner.agui)
            .field("a2a", &self.inner.a2a)
            .field("contexts", &self.inner.contexts)
            .field("analytics", &self.inner.analytics)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventBus for EventRouter {
    type AgUi = AgUiEvent;
    type A2A = A2AEvent;
    type System = SystemEvent;
    type Context = ContextEvent;

    async fn broadcast_agui(&self, user: &UserId, event: AgUiEvent) -> EventResult<usize> {
        Ok(self.publish(user, event).await?.connections())
    }

    async fn broadcast_a2a(&self, user: &UserId, event: A2AEvent) -> EventResult<usize> {
        Ok(self.publish(user, event).await?.connections())
    }

    async fn broadcast_system(&self, user: &UserId, event: SystemEvent) -> EventResult<usize> {
        Ok(self.publish(user, event).await?.connections())
    }

    async fn broadcast_context(&self, user: &UserId, event: ContextEvent) -> EventResult<usize> {
        Ok(self.publish(user, event).await?.connections())
    }
}
