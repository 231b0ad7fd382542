//! Sends stream events to whoever watches, and keeps what they add up to.

#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use events_core::{Clock, RequestId, SystemClock};
use events_models::{ActiveStreams, AlertKind, StreamAlert, StreamSummary, TuiStreamEvent};
use tokio::sync::broadcast;

use crate::{
    AlertLimits, StreamFeed, StreamWatcher,
    registry::{Registry, RegistryLimits, StreamCounts},
};

/// How many events a broadcaster keeps unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 1_000;

/// Alerts that are kept for slow subscribers; there are few.
const ALERT_CAPACITY: usize = 64;

/// The most events that a broadcaster keeps: some 200 MiB of them.
const MAX_CAPACITY: usize = 1 << 20;

/// Sends [`TuiStreamEvent`]s to any number of subscribers, and keeps a summary of each running request.
///
/// **Who sees what.** A subscriber sees the events that are sent after it subscribed. Who wants to know what runs
/// already takes a [`snapshot`](Self::snapshot) with it: [`watch`](Self::watch) does both in one step, so that the
/// snapshot and the events that follow fit together without a gap and without an overlap.
///
/// **A slow subscriber.** There is one ring of events for all subscribers; an event is cloned for each that reads
/// it. Who is behind by more than the ring holds loses the oldest events and is told how many; nobody waits for it.
/// A plain receiver then reads on in a hole; a watcher gets a new snapshot.
///
/// **Closing.** A plain receiver ends when the broadcaster is dropped.
///
/// ```
/// use events_llm::{StreamEventBroadcaster, TuiStreamEvent};
/// use events_models::TuiStreamEventBuilder;
///
/// let broadcaster = StreamEventBroadcaster::default();
/// let mut receiver = broadcaster.subscribe();
/// assert_eq!(broadcaster.send(TuiStreamEventBuilder::started("r1", "some-model", None)), 1);
/// assert!(matches!(receiver.try_recv(), Ok(TuiStreamEvent::Started { .. })));
/// assert_eq!(broadcaster.snapshot().len(), 1);
/// ```
#[derive(Debug)]
pub struct StreamEventBroadcaster {
    sender: broadcast::Sender<TuiStreamEvent>,
    /// Held while an event is sent: so a snapshot and a subscription under it are of one moment.
    registry: Mutex<Registry>,
    alerts: broadcast::Sender<StreamAlert>,
    /// Events that watchers were too slow for.
    n_lagged: AtomicU64,
    clock: Arc<dyn Clock>,
    since: i64,
}

impl Default for StreamEventBroadcaster {
    /// Makes a broadcaster that keeps 1000 events, which tokio rounds up to 1024.
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

impl StreamEventBroadcaster {
    /// Makes a broadcaster that keeps `capacity` events for slow subscribers.
    ///
    /// The capacity is rounded up to a power of two; 0 counts as 1, and more than 2²⁰ as 2²⁰.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with_limits(capacity, RegistryLimits::default(), Arc::new(SystemClock))
    }

    /// Makes a broadcaster with bounds for what it keeps of each request, and a clock.
    #[must_use]
    pub fn with_limits(capacity: usize, limits: RegistryLimits, clock: Arc<dyn Clock>) -> Self {
        let (sender, _) = broadcast::channel(capacity.clamp(1, MAX_CAPACITY));
        Self {
            sender,
            registry: Mutex::new(Registry::new(limits)),
            alerts: broadcast::channel(ALERT_CAPACITY).0,
            n_lagged: AtomicU64::new(0),
            since: clock.now_ms(),
            clock,
        }
    }

    /// Watches bounds of the operator from now on.
    #[must_use]
    pub fn with_alerts(mut self, limits: AlertLimits) -> Self {
        let registry = self.registry.get_mut();
        registry
            .unwrap_or_else(PoisonError::into_inner)
            .set_alerts(limits);
        self
    }

    /// Subscribes to the events from now on.
    ///
    /// A loop that ends at the first error ends when it was slow once: `Lagged` is an error after which the receiver
    /// goes on. [`watch`](Self::watch) makes a stream without that trap.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<TuiStreamEvent> {
        self.sender.subscribe()
    }

    /// Sends an event and returns how many subscribers there are; that they read it is not promised.
    ///
    /// Without subscribers it still counts for snapshots.
    pub fn send(&self, event: TuiStreamEvent) -> usize {
        let (alerts, n_receivers) = {
            let mut registry = self.registry();
            let alerts = registry.apply(&event, self.clock.now_ms());
            // The error says that nobody listens, which is no error here.
            let n_receivers = self.sender.send(event).unwrap_or(0);
            self.send_alerts(&alerts);
            (alerts, n_receivers)
        };
        log(&alerts);
        n_receivers
    }

    /// Clears alerts whose reason has passed, and forgets old requests. Call it every few seconds: without it both
    /// wait for the next event.
    pub fn sweep(&self) {
        let alerts = {
            let mut registry = self.registry();
            let alerts = registry.tick(self.clock.now_ms());
            self.send_alerts(&alerts);
            alerts
        };
        log(&alerts);
    }

    /// Sends alerts, under the lock of the registry.
    fn send_alerts(&self, alerts: &[StreamAlert]) {
        for alert in alerts {
            // Nobody listens: that is no error.
            let _n_receivers = self.alerts.send(alert.clone());
        }
    }

    /// Returns how many subscribers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Returns what is known of the running requests and of those that have just ended, oldest first.
    #[must_use]
    pub fn snapshot(&self) -> Vec<StreamSummary> {
        self.registry().snapshot(self.clock.now_ms())
    }

    /// Returns how many requests there were and are.
    #[must_use]
    pub fn counts(&self) -> StreamCounts {
        self.registry().counts()
    }

    /// Watches all requests: a snapshot first, then every event after it.
    #[must_use]
    pub fn watch(self: &Arc<Self>) -> StreamWatcher {
        StreamWatcher::new(Arc::clone(self))
    }

    /// Returns everything as it is at this moment: requests, sums and alerts.
    #[must_use]
    pub fn active(&self) -> ActiveStreams {
        self.registry().active(self.since, self.clock.now_ms())
    }

    /// Watches all requests and all alerts, as frames for a screen.
    #[must_use]
    pub fn feed(self: &Arc<Self>) -> StreamFeed {
        StreamFeed::new(Arc::clone(self))
    }

    /// Returns how many events watchers and feeds have lost because they were too slow.
    #[must_use]
    pub fn lagged(&self) -> u64 {
        self.n_lagged.load(Ordering::Relaxed)
    }

    pub(crate) fn count_lag(&self, n_lost: u64) {
        self.n_lagged.fetch_add(n_lost, Ordering::Relaxed);
    }

    pub(crate) fn alert_state(&self) -> [(AlertKind, u64, bool); AlertKind::ALL.len()] {
        self.registry().alerts().state()
    }

    /// Takes everything as it is and subscribes to events and alerts, at one moment.
    pub(crate) fn attach_feed(
        &self,
    ) -> (
        ActiveStreams,
        broadcast::Receiver<TuiStreamEvent>,
        broadcast::Receiver<StreamAlert>,
    ) {
        let mut registry = self.registry();
        let active = registry.active(self.since, self.clock.now_ms());
        (active, self.sender.subscribe(), self.alerts.subscribe())
    }

    /// Takes a snapshot and subscribes, at one moment.
    pub(crate) fn attach(&self) -> (Vec<StreamSummary>, broadcast::Receiver<TuiStreamEvent>) {
        let mut registry = self.registry();
        let snapshot = registry.snapshot(self.clock.now_ms());
        (snapshot, self.sender.subscribe())
    }

    /// Sends text of a request; makes no event of it when nobody listens.
    pub(crate) fn send_text(&self, request_id: &RequestId, text: &str) {
        let now_ms = self.clock.now_ms();
        let mut registry = self.registry();
        registry.text(request_id, text, now_ms);
        if self.sender.receiver_count() > 0 {
            let event = TuiStreamEvent::TextDelta {
                request_id: request_id.clone(),
                text: text.to_owned(),
                timestamp: Some(now_ms),
            };
            // Nobody listens any more: that is no error.
            let _n_receivers = self.sender.send(event);
        }
    }

    /// Notes what no event tells.
    pub(crate) fn note(&self, request_id: &RequestId, change: impl FnOnce(&mut StreamSummary)) {
        let now_ms = self.clock.now_ms();
        self.registry().update(request_id, now_ms, change);
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the operator's log, with no lock held.
fn log(alerts: &[StreamAlert]) {
    for alert in alerts {
        let kind = alert.kind.as_str();
        let message = alert.message.as_str();
        let request_id = alert.request_id.as_ref().map(tracing::field::display);
        if alert.is_raised {
            tracing::warn!(kind, message, request_id, "alert raised");
        } else {
            tracing::info!(kind, message, "alert cleared");
        }
    }
}
