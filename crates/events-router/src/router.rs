//! The handle that producers and servers share.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use events_broadcast::LogStore;
use events_core::{Clock, EventBus, EventLog, EventResult, ThreadId, UserId};
use events_models::{
    A2AEvent, AgUiEvent, AnalyticsEvent, ContextEvent, ContextSummary, SystemEvent,
};

use crate::{
    A2ABroadcaster, AgUiBroadcaster, AnalyticsBroadcaster, BusEvent, ContextBroadcaster, Item,
    PublishError, Published, Replica, Routed, RouterConfig, Run, Subscribe,
    contexts::ContextBook,
    jumps::Jumps,
    known::MsgHasher,
    lane::LaneState,
    lanes::Lanes,
    order_budget::{OrderBudget, OrderStats},
    replica::Shared,
    routes::{A2A_VIEW, AGUI_VIEW, ANALYTICS_VIEW, CONTEXTS_VIEW},
    thread::millis,
};

/// Publishes events and owns the streams that they come out of; a cheap handle.
///
/// `EventRouter::default()` is an isolated bus, [`EventRouter::global`] the one behind the four statics.
#[derive(Clone)]
pub struct EventRouter {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: LogStore,
    pub(crate) agui: AgUiBroadcaster,
    pub(crate) a2a: A2ABroadcaster,
    pub(crate) contexts: ContextBroadcaster,
    pub(crate) analytics: AnalyticsBroadcaster,
    pub(crate) lanes: Lanes,
    pub(crate) msg_hasher: MsgHasher,
    pub(crate) runs_timed_out: AtomicU64,
    /// The log behind the router, if its events are kept elsewhere.
    pub(crate) replica: Option<Arc<Shared>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) jumps: Jumps,
}

impl EventRouter {
    /// What the contexts of a user take at most, in bytes of JSON; beyond it those that changed longest ago are
    /// forgotten.
    pub const MAX_SNAPSHOT_BYTES: usize = ContextBook::MAX_JSON_BYTES;

    /// Makes an isolated router that keeps its events itself.
    #[must_use]
    pub fn new(config: RouterConfig) -> Self {
        let store = LogStore::with_clock(config.limits.clone(), Arc::clone(&config.clock));
        Self::on(config, store, None)
    }

    /// Makes a router whose events are kept by a log, which other routers may share, and the work behind it, which
    /// whoever makes the router has to poll.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use events_core::UserId;
    /// use events_models::AgUiEventBuilder;
    /// use events_router::{EventRouter, MemoryLog, RouterConfig};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let log = Arc::new(MemoryLog::new(10_000));
    /// let (one, work_of_one) = EventRouter::on_log(RouterConfig::default(), log.clone());
    /// let (other, work_of_other) = EventRouter::on_log(RouterConfig::default(), log);
    /// let story = async {
    ///     let ada = UserId::new("ada");
    ///     one.publish(&ada, AgUiEventBuilder::run_started("thread", "run", None)).await?;
    ///     let _open = other.open_user(&ada, None).await?;
    ///     let mut screen = other.subscribe(&ada).thread("thread")?;
    ///     assert!(screen.next_event().await.is_some());
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// };
    /// tokio::select! {
    ///     told = story => told?,
    ///     () = work_of_one.run() => {}
    ///     () = work_of_other.run() => {}
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_log(config: RouterConfig, log: Arc<dyn EventLog>) -> (Self, Replica) {
        let mut config = config;
        let limits = &mut config.limits;
        limits.event_bytes = limits.event_bytes.min(log.max_record_bytes());
        let clock = Arc::clone(&config.clock);
        let store = LogStore::mirror(limits.clone(), clock, log.epoch(), log.is_dense());
        let (shared, started) = Shared::new(log, limits.users, config.catch_ups);
        let router = Self::on(config, store, Some(Arc::clone(&shared)));
        let replica = Replica::new(router.clone(), shared, started);
        (router, replica)
    }

    fn on(config: RouterConfig, store: LogStore, replica: Option<Arc<Shared>>) -> Self {
        let analytics_limits = config.analytics_limits();
        let budget = OrderBudget::new(&config);
        let RouterConfig {
            limits,
            idle,
            clock,
            ..
        } = config;
        let users = limits.users;
        let analytics_store = LogStore::with_clock(analytics_limits, Arc::clone(&clock));
        let inner = Inner {
            agui: AgUiBroadcaster::on(&store, AGUI_VIEW),
            a2a: A2ABroadcaster::on(&store, A2A_VIEW),
            contexts: ContextBroadcaster::on(&store, CONTEXTS_VIEW),
            analytics: AnalyticsBroadcaster::on(&analytics_store, ANALYTICS_VIEW),
            store,
            lanes: Lanes::new(users, millis(idle), budget),
            msg_hasher: MsgHasher::default(),
            runs_timed_out: AtomicU64::new(0),
            replica,
            jumps: Jumps::new(&*clock),
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

    /// Returns the store of the logs that connections read.
    #[must_use]
    pub fn store(&self) -> &LogStore {
        &self.inner.store
    }

    /// Returns the clock that stamps and ages events.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Lists the contexts of a user that this router has seen, the one that changed last at the end.
    #[must_use]
    pub fn contexts_of(&self, user: &UserId) -> Vec<ContextSummary> {
        let Some(lane) = self.inner.lanes.find(user) else {
            return Vec::new();
        };
        let state = lane.lock();
        let mut contexts = state.contexts.list();
        for context in &mut contexts {
            context.message_count = state.threads.n_messages(context.context_id.as_str());
        }
        contexts
    }

    /// Counts the runs that are active over all users. Looks at every user: for metrics, not for the hot path.
    #[must_use]
    pub fn active_runs(&self) -> usize {
        self.inner.lanes.sum(LaneState::active_runs)
    }

    /// Counts the AG-UI threads that are remembered over all users. Looks at every user, as above.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.inner.lanes.sum(LaneState::n_threads)
    }

    /// Returns what the order state of all users takes, and what was forgotten to keep its bounds.
    #[must_use]
    pub fn order_stats(&self) -> OrderStats {
        self.inner.lanes.budget.stats(self.inner.lanes.len())
    }

    /// Tells what the folds of all threads and tasks take, in bytes.
    #[must_use]
    pub fn fold_bytes(&self) -> usize {
        self.inner.lanes.budget.folds.bytes()
    }

    /// Counts the threads and tasks that were forgotten, or lost their fold, because all folds together were too large.
    #[must_use]
    pub fn folds_shed(&self) -> u64 {
        self.inner.lanes.budget.folds.shed()
    }

    /// Counts the runs that were ended because they had been silent for too long.
    #[must_use]
    pub fn runs_timed_out(&self) -> u64 {
        self.inner.runs_timed_out.load(Ordering::Relaxed)
    }

    /// Prepares to follow one thread or task of a user from where it stands.
    pub fn subscribe(&self, user: &UserId) -> Subscribe {
        Subscribe::new(self.clone(), user.clone())
    }

    /// Ages history, ends runs that have been silent for too long, and forgets idle threads and users.
    ///
    /// Publishing does a little of it; a server calls this from a timer.
    pub fn sweep(&self) {
        let now_ms = self.inner.clock.now_ms();
        self.inner.jumps.silence_counts_from(&*self.inner.clock);
        if let Some(replica) = &self.inner.replica {
            replica.sweep(self, now_ms);
        } else {
            self.end_all_overdue_runs();
            self.inner.lanes.sweep(now_ms);
        }
        for store in [&self.inner.store, self.inner.analytics.store()] {
            // At least as many visits as there are users, so that they are forgotten as fast as others can come.
            store.trim(10_000.max(store.users()));
        }
    }

    /// Makes the work of waking readers that publishes leave to others, on all streams; it never ends, and does nothing
    /// until it is polled. See [`LogStore::flush`].
    ///
    /// A server runs one for each of its workers, so that a publish costs the same however many connections a user
    /// has, and readers of many users are told first come, first served. Without one each publish wakes all of its own.
    ///
    /// # Cancel safety
    ///
    /// When the last one is dropped, it wakes who is still to be woken.
    pub fn flush(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut of_logs = self.inner.store.flush();
        let mut of_analytics = self.inner.analytics.store().flush();
        poll_fn(move |context| {
            // Neither ever ends.
            let _never = Pin::new(&mut of_analytics).poll(context);
            Pin::new(&mut of_logs).poll(context)
        })
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
    /// Without a log behind the router it completes at its first poll. With one, the events may be in the log or not
    /// when it is dropped.
    pub async fn publish(
        &self,
        user: &UserId,
        event: impl Into<BusEvent>,
    ) -> Result<Published, PublishError> {
        match &self.inner.replica {
            None => self.publish_now(user, &mut [Item::new(event)]),
            Some(_) => self.publish_items(user, vec![Item::new(event)]).await,
        }
    }

    /// Publishes several events for one user: all of them or none.
    ///
    /// # Errors
    ///
    /// The first event that is refused, by its index, or the log's own error. Nothing is in the log then.
    ///
    /// # Cancel safety
    ///
    /// Without a log behind the router it completes at its first poll. With one, the events may be in the log or not
    /// when it is dropped.
    pub async fn publish_batch(
        &self,
        user: &UserId,
        items: Vec<Item>,
    ) -> Result<Published, PublishError> {
        self.publish_items(user, items).await
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
