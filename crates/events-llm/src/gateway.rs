//! A gateway before providers of language models, as an axum router.
//!
//! ```
//! use std::sync::Arc;
//! use events_llm::{
//!     NoPrices, StreamEventBroadcaster, Tap,
//!     gateway::{GatewayConfig, LlmGateway, ProviderConfig},
//! };
//!
//! let mut config = GatewayConfig::default();
//! config.providers.insert("ollama".to_owned(), ProviderConfig::new("http://127.0.0.1:11434"));
//! let tap = Tap::new(Arc::new(StreamEventBroadcaster::default()), Arc::new(NoPrices));
//! let gateway = LlmGateway::new(config, tap)?;
//! // `/llm/ollama/api/chat` is `/api/chat` of the server, and watchers see what it says.
//! let router: axum::Router = gateway.router();
//! # let _ = router;
//! # Ok::<(), events_llm::gateway::GatewayError>(())
//! ```
//!
//! **What passes.** Method, path and query below `/llm/PROVIDER`, bodies, statuses, trailers and headers pass byte for
//! byte, names of headers in lower case. What does not: headers that speak of one connection (`Connection` and those
//! it names, `Keep-Alive`, `Proxy-…`, `TE` but for `trailers`, `Transfer-Encoding`, `Upgrade`); `Host`;
//! `Expect: 100-continue`, which the server before the gateway answers; answers with a status of 1xx. `Content-Length`
//! stays where it was, but for that of a 304, which servers leave out. Event streams get `X-Accel-Buffering: no` and `Cache-Control: no-cache` where the provider
//! says neither. [`ProviderConfig`] names the two things that change a request, `accept_encoding` and
//! `inject_stream_usage`; nothing changes the bytes of an answer.
//!
//! **What the gateway reads itself.** `X-Events-User` and `X-Events-Thread`: the answer is published for this user as
//! an AG-UI run, on this thread or on a new one; the thread is in the answer's header `X-Events-Thread`, which only
//! requests with `X-Events-User` get. `X-Events-Agent`: what kind of agent asks. `X-Events-Detach: true`: the answer
//! is read to its end also when the client leaves. They are not sent on.
//!
//! **Failures.** Without an answer a client gets 502 or, if something took too long, 504, as a problem document. An
//! answer that breaks off breaks off for the client in the same way, never with a clean end. Nothing is tried again,
//! but for a pooled connection that the provider closed before anything was written to it. When a client leaves, its
//! request to the provider is given up at once, whatever it waits for. When an answer is over before its request is
//! sent, the rest of the request is not sent.
//!
//! **Secrets.** Neither headers nor queries nor bodies are in a log, an event or an error's text.

mod answer;
mod asks;
mod caller;
mod config;
mod detached;
mod emission;
mod failure;
mod forward;
mod headers;
mod idle;
mod problem;
mod route;
mod stream_usage;
mod tasks;
mod upload;
mod upstream;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::any};
use tokio::{sync::Semaphore, time::Instant};

use crate::{StreamEventBroadcaster, Tap};

pub use caller::{UpstreamAnswer, UpstreamCaller, UpstreamFailure, UpstreamTarget};
pub use config::{
    AcceptEncoding, GatewayConfig, GatewayError, GatewayLimits, GatewayTimeouts, ProviderConfig,
};
pub use emission::{Authorize, EmissionDenied, GatewayHooks, RunPublishError, RunPublisher};

use config::Base;
use emission::Emitted;
use tasks::Tasks;
use upload::Room;
use upstream::Upstream;

/// Forwards requests to providers and tells a [`StreamEventBroadcaster`] what they answer. Cheap to clone.
///
/// When the last clone and the last answer are gone, so are its connections and its tasks.
#[derive(Clone, Debug)]
pub struct LlmGateway {
    shared: Arc<Shared>,
}

/// What a gateway did, since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GatewayCounts {
    /// Requests that are being forwarded or answered now.
    pub active: usize,
    /// Runs that are being published now.
    pub active_runs: usize,
    /// Answers that are read on without their client, or may be.
    pub detached: usize,
    /// Runs that were published to their end.
    pub runs_published: u64,
    /// Runs that were ended since they came faster than the publisher took them.
    pub runs_too_slow: u64,
    /// Runs that the publisher refused or could not take.
    pub runs_refused: u64,
    /// Requests that were refused since the gateway was full.
    pub refused_full: u64,
}

struct Provider {
    config: ProviderConfig,
    base: Base,
}

struct Shared {
    providers: BTreeMap<String, Provider>,
    limits: GatewayLimits,
    timeouts: GatewayTimeouts,
    tap: Tap,
    broadcaster: Arc<StreamEventBroadcaster>,
    hooks: GatewayHooks,
    upstream: Upstream,
    streams: Arc<Semaphore>,
    runs: Arc<Semaphore>,
    detached: Arc<Semaphore>,
    room: Room,
    /// Connections of the client. They end by themselves when nothing uses them, or when the gateway is gone.
    connections: Arc<Tasks>,
    /// Answers that are read on without their client.
    pumps: Tasks,
    /// Runs that are published.
    publishing: Tasks,
    is_closing: AtomicBool,
    runs_published: AtomicU64,
    runs_too_slow: AtomicU64,
    runs_refused: AtomicU64,
    refused_full: AtomicU64,
}

impl LlmGateway {
    /// Makes a gateway that publishes no runs.
    ///
    /// # Errors
    ///
    /// A provider's name or address is none, or TLS cannot be set up.
    pub fn new(config: GatewayConfig, tap: Tap) -> Result<Self, GatewayError> {
        Self::with_hooks(config, tap, GatewayHooks::default())
    }

    /// Makes a gateway that publishes answers as AG-UI runs where a request asks for it.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_hooks(
        mut config: GatewayConfig,
        tap: Tap,
        hooks: GatewayHooks,
    ) -> Result<Self, GatewayError> {
        let mut providers = BTreeMap::new();
        for (name, provider) in std::mem::take(&mut config.providers) {
            config::check_name(&name)?;
            let base = Base::of(&name, &provider.base_url)?;
            let config = provider;
            providers.insert(name, Provider { config, base });
        }
        let needs_tls = providers
            .values()
            .any(|provider| provider.base.scheme == http::uri::Scheme::HTTPS);
        let connections = Arc::new(Tasks::default());
        let upstream = Upstream::new(&config, needs_tls, &connections)?;
        let limits = config.limits;
        let permits = |n: usize| Arc::new(Semaphore::new(n.min(Semaphore::MAX_PERMITS)));
        Ok(Self {
            shared: Arc::new(Shared {
                providers,
                limits,
                timeouts: config.timeouts,
                broadcaster: Arc::clone(tap.broadcaster()),
                tap,
                hooks,
                upstream,
                streams: permits(limits.max_streams),
                runs: permits(limits.max_runs),
                detached: permits(limits.max_detached),
                room: Room::new(limits.max_buffered_bytes),
                connections,
                pumps: Tasks::default(),
                publishing: Tasks::default(),
                is_closing: AtomicBool::new(false),
                runs_published: AtomicU64::new(0),
                runs_too_slow: AtomicU64::new(0),
                runs_refused: AtomicU64::new(0),
                refused_full: AtomicU64::new(0),
            }),
        })
    }

    /// Returns whom the gateway tells what passes.
    #[must_use]
    pub fn broadcaster(&self) -> &Arc<StreamEventBroadcaster> {
        &self.shared.broadcaster
    }

    pub(crate) fn tap(&self) -> &Tap {
        &self.shared.tap
    }

    /// Returns the names of the providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.shared.providers.keys().map(String::as_str)
    }

    /// Returns what the gateway does and did.
    #[must_use]
    pub fn counts(&self) -> GatewayCounts {
        let shared = &self.shared;
        let taken = |max: usize, semaphore: &Semaphore| {
            max.min(Semaphore::MAX_PERMITS)
                .saturating_sub(semaphore.available_permits())
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GatewayCounts {
            active: taken(shared.limits.max_streams, &shared.streams),
            active_runs: taken(shared.limits.max_runs, &shared.runs),
            detached: taken(shared.limits.max_detached, &shared.detached),
            runs_published: count(&shared.runs_published),
            runs_too_slow: count(&shared.runs_too_slow),
            runs_refused: count(&shared.runs_refused),
            refused_full: count(&shared.refused_full),
        }
    }

    /// Makes the router: `/llm/{provider}/{*path}` for every method.
    ///
    /// It may be merged into another or nested under a path. Layers around it must not compress, buffer or bound in
    /// time what passes. A client that is there and reads nothing holds its request to the provider; that its
    /// connection ends in time is for the server to see to.
    pub fn router(&self) -> Router {
        let handler = any(forward::handle);
        Router::new()
            .route("/llm/{provider}", handler.clone())
            .route("/llm/{provider}/", handler.clone())
            .route("/llm/{provider}/{*path}", handler)
            .with_state(self.clone())
    }

    /// Refuses new requests with 503 from now on, and waits until answers that are read without their client have
    /// ended and all runs are published. Returns how many of both had to be cut off when the limit was reached.
    ///
    /// Answers that have their client are not waited for: they are the server's, which drains them first.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the refusal stays, and what was waited for is cut off.
    pub async fn shutdown(&self, limit: Duration) -> usize {
        self.close();
        let end = Instant::now() + limit;
        let n_pumps = self.shared.pumps.join(limit).await;
        // What was cut off still has to be told to screens, which takes a moment.
        let rest = end.saturating_duration_since(Instant::now());
        n_pumps + self.shared.publishing.join(rest.max(LAST_MOMENT)).await
    }

    /// Refuses new requests with 503 from now on; what runs goes on.
    pub fn close(&self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
    }
}

/// How long the ends of runs that are cut off may take at least.
const LAST_MOMENT: Duration = Duration::from_millis(500);

impl Shared {
    fn note_run(&self, emitted: Emitted) {
        let counter = match emitted {
            Emitted::Whole => &self.runs_published,
            Emitted::TooSlow => &self.runs_too_slow,
            Emitted::Refused => &self.runs_refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Tasks of the client hold the set that they are in.
        self.connections.abort();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("providers", &self.providers.keys())
            .finish_non_exhaustive()
    }
}

pub(crate) type GatewayState = State<LlmGateway>;
