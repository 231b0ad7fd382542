//! What the handlers share.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use events_broadcast::{Batch, Limits};
use events_core::{EventId, Frame, UserId};
use events_router::{EventRouter, OpenUser};
use events_sse::HEARTBEAT_INTERVAL;
use tokio::sync::Semaphore;

use crate::{
    A2AConfig, ContextProvider, Edge, Problem, Rates, RequestContext, RouterContexts,
    admission::Admission,
    body::EventBody,
    drain::Drain,
    metrics::{Bound, Metrics},
    revocations::Revocations,
    tenure::Tenure,
};

/// Settings of the streams and of publishing.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// The time within which open streams end once a drain has begun.
    pub drain_window: Duration,
    /// The silence after which a heartbeat is sent.
    pub heartbeat: Duration,
    /// The largest NDJSON body, in bytes.
    pub ndjson_bytes: usize,
    /// How long a context provider may take.
    pub contexts_timeout: Duration,
    /// The endpoints for official A2A clients.
    pub a2a: A2AConfig,
    /// Open streams over all users. Beyond it a new one is told to come back later.
    pub streams: usize,
    /// Bodies that are received at the same time. A further one waits [`StreamConfig::BODY_WAIT`], then it is refused.
    pub bodies: usize,
    /// Bodies of more than [`StreamConfig::SMALL_BODY`] among them, which wait in the same way.
    pub large_bodies: usize,
    /// How long a body may take to arrive, without that of a live request.
    pub body_time: Duration,
    /// Live publish requests at the same time; a further one is refused.
    pub live_requests: usize,
    /// The silence after which a live publish request is ended. A keep-alive line is no silence.
    pub live_idle: Duration,
    /// The longest user id, in bytes.
    pub user_id_bytes: usize,
    /// How often streams may be opened, and how much may be published in a time.
    pub rates: Rates,
    /// Whether `/metrics` is for operators only. By default it is for everybody who reaches it, as scrapers expect.
    pub operator_metrics: bool,
}

impl StreamConfig {
    /// A body of so many bytes is received beside large ones.
    pub const SMALL_BODY: usize = 64 << 10;

    /// How long a body waits for its turn. Longer than that, the client should know that it is not taken.
    pub const BODY_WAIT: Duration = Duration::from_secs(5);

    /// What a body costs beside its bytes while it is received: it grows by doubling, and its client is read ahead.
    const BODY_FACTOR: usize = 3;

    /// What is held while a stream's bytes are written: a batch of events as they are read and as they are written,
    /// or, if that is more, the snapshot of contexts.
    const STREAM_BYTES: usize = {
        let n_events = Batch::MAX_EVENTS;
        let batch = Batch::MAX_BYTES + n_events * (256 + size_of::<(Option<EventId>, Frame)>());
        let snapshot = EventRouter::MAX_SNAPSHOT_BYTES;
        4_096 + if batch > snapshot { batch } else { snapshot }
    };

    /// What a live request holds beside one line: the lines of one read, their events and their receipts.
    const LIVE_BYTES: usize = 512 << 10;

    /// Computes the most bytes that streams and bodies can take at the same time, without what the server in front
    /// holds for its connections. The parts are named.
    #[must_use]
    pub fn worst_case_parts(&self, limits: &Limits) -> [(&'static str, usize); 6] {
        let per_stream = Self::STREAM_BYTES + size_of::<EventBody>() + limits.connection_bytes();
        let largest = self.ndjson_bytes.max(limits.event_bytes);
        let per_live = Self::LIVE_BYTES + 2 * limits.event_bytes;
        [
            ("streams", self.streams.saturating_mul(per_stream)),
            (
                "bodies",
                self.bodies
                    .saturating_mul(Self::SMALL_BODY * Self::BODY_FACTOR),
            ),
            (
                "large bodies",
                self.large_bodies
                    .saturating_mul(largest * Self::BODY_FACTOR),
            ),
            ("live requests", self.live_requests.saturating_mul(per_live)),
            ("revocations", Revocations::worst_case(self.user_id_bytes)),
            ("rates", Admission::worst_case(self.user_id_bytes)),
        ]
    }
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            drain_window: Duration::from_secs(10),
            heartbeat: HEARTBEAT_INTERVAL,
            ndjson_bytes: 4 << 20,
            contexts_timeout: Duration::from_secs(5),
            a2a: A2AConfig::default(),
            streams: 10_000,
            bodies: 1_024,
            large_bodies: 16,
            body_time: Duration::from_secs(30),
            live_requests: 256,
            live_idle: Duration::from_secs(300),
            user_id_bytes: 256,
            rates: Rates::default(),
            operator_metrics: false,
        }
    }
}

/// The state of [`stream_router`](crate::stream_router) and its siblings; a cheap handle.
#[derive(Clone)]
pub struct StreamState {
    pub(crate) inner: Arc<Inner>,
}

/// Appends values to the page of metrics.
type MetricsWriter = dyn Fn(&mut String) + Send + Sync;

pub(crate) struct Inner {
    pub(crate) router: EventRouter,
    pub(crate) config: StreamConfig,
    pub(crate) contexts: Arc<dyn ContextProvider>,
    pub(crate) drain: Drain,
    pub(crate) metrics: Metrics,
    pub(crate) revocations: Revocations,
    pub(crate) more_metrics: Mutex<Vec<Arc<MetricsWriter>>>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) large_bodies: Arc<Semaphore>,
    pub(crate) live_requests: Arc<Semaphore>,
    pub(crate) admission: Admission,
}

impl StreamState {
    /// Serves a router with the default settings and the embedded context provider.
    #[must_use]
    pub fn new(router: EventRouter) -> Self {
        Self::with_config(router, StreamConfig::default())
    }

    /// Serves a router with these settings and the embedded context provider.
    #[must_use]
    pub fn with_config(router: EventRouter, config: StreamConfig) -> Self {
        let contexts = Arc::new(RouterContexts::new(router.clone()));
        Self::with_contexts(router, config, contexts)
    }

    /// Serves a router with these settings and a context provider of your own.
    #[must_use]
    pub fn with_contexts(
        router: EventRouter,
        config: StreamConfig,
        contexts: Arc<dyn ContextProvider>,
    ) -> Self {
        let drain = Drain::new(config.drain_window);
        let per_user = router.store().limits().connections_per_user;
        let permits = |n: usize| Arc::new(Semaphore::new(n.min(Semaphore::MAX_PERMITS)));
        Self {
            inner: Arc::new(Inner {
                streams: permits(config.streams),
                bodies: permits(config.bodies),
                large_bodies: permits(config.large_bodies),
                live_requests: permits(config.live_requests),
                admission: Admission::new(&config.rates, per_user),
                router,
                config,
                contexts,
                drain,
                metrics: Metrics::default(),
                revocations: Revocations::default(),
                more_metrics: Mutex::default(),
            }),
        }
    }

    /// Returns the router that is served.
    #[must_use]
    pub fn router(&self) -> &EventRouter {
        &self.inner.router
    }

    /// Returns the counters of the server in front of the routes, to be shown with the others at `/metrics`.
    #[must_use]
    pub fn edge(&self) -> &Edge {
        &self.inner.metrics.edge
    }

    /// Shows further values at `/metrics`, behind those of this crate.
    ///
    /// The function is called for each scrape. It appends whole families in the text form of OpenMetrics, without the
    /// mark of the end, and with names that do not begin with `events_` and one of this crate's.
    pub fn add_metrics(&self, write: impl Fn(&mut String) + Send + Sync + 'static) {
        let mut writers = self.more_metrics();
        writers.push(Arc::new(write));
    }

    /// Appends the values of those who asked for it.
    pub(crate) fn write_more_metrics(&self, out: &mut String) {
        // Cloned, so that no lock is held while others write.
        let writers = self.more_metrics().clone();
        for write in writers {
            write(out);
        }
    }

    fn more_metrics(&self) -> MutexGuard<'_, Vec<Arc<MetricsWriter>>> {
        let writers = &self.inner.more_metrics;
        writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that a user id can be one.
    pub(crate) fn check_user(&self, user: &UserId) -> Result<(), Problem> {
        let (text, most) = (user.as_str(), self.inner.config.user_id_bytes);
        if text.len() > most {
            let detail = format!("the user id is longer than the limit of {most} bytes");
            return Err(Problem::bad_request(detail).at_bound(Bound::UserIdBytes));
        }
        if text.is_empty() || text.chars().any(char::is_control) {
            let detail = "a user id is not empty and has no control characters";
            return Err(Problem::bad_request(detail));
        }
        Ok(())
    }

    /// Tells for how long a request's answer may go on.
    pub(crate) fn tenure(&self, context: &RequestContext) -> Tenure {
        Tenure::of(context, self.router().clock().now_ms())
    }

    /// Opens a user's log for a request that can be answered with an error.
    pub(crate) async fn open_user(&self, user: &UserId) -> Result<OpenUser, Problem> {
        let opening = self.router().open_user(user, None);
        opening.await.map_err(|error| Problem::of_log(&error))
    }

    /// Counts the bound that a problem is about, if it is about one.
    pub(crate) fn count_bound(&self, problem: &Problem) {
        if let Some(bound) = problem.bound() {
            self.inner.metrics.hit(bound);
        }
    }

    /// Waits for `signal`, then begins the drain: open streams end within the window, new ones are told to come back.
    ///
    /// Hand the future to `with_graceful_shutdown`. It completes with the signal; the server then waits for the
    /// streams.
    pub fn drain_on(
        &self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let state = self.clone();
        async move {
            signal.await;
            state.drain();
        }
    }

    /// Begins the drain now.
    pub fn drain(&self) {
        tracing::info!(window = ?self.inner.config.drain_window, "draining streams");
        self.inner.drain.begin();
        self.inner.router.store().wake_all();
        self.inner.router.analytics().store().wake_all();
    }

    /// Tells whether the drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.drain.has_begun()
    }
}

impl fmt::Debug for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamState")
            .field("router", &self.inner.router)
            .field("is_draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}
