//! What the handlers share.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use events_router::EventRouter;
use events_sse::HEARTBEAT_INTERVAL;

use crate::{A2AConfig, ContextProvider, RouterContexts, drain::Drain, metrics::Metrics};

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
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            drain_window: Duration::from_secs(10),
            heartbeat: HEARTBEAT_INTERVAL,
            ndjson_bytes: 4 << 20,
            contexts_timeout: Duration::from_secs(5),
            a2a: A2AConfig::default(),
        }
    }
}

/// The state of [`stream_router`](crate::stream_router) and its siblings; a cheap handle.
#[derive(Clone)]
pub struct StreamState {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) router: EventRouter,
    pub(crate) config: StreamConfig,
    pub(crate) contexts: Arc<dyn ContextProvider>,
    pub(crate) drain: Drain,
    pub(crate) metrics: Metrics,
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
        Self {
            inner: Arc::new(Inner {
                router,
                config,
                contexts,
                drain,
                metrics: Metrics::default(),
            }),
        }
    }

    /// Returns the router that is served.
    #[must_use]
    pub fn router(&self) -> &EventRouter {
        &self.inner.router
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
        self.inner.router.log().store().wake_all();
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
