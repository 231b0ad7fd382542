//! The LLM gateway in the hub: its routes, who is told what passes, and the logs that answers are published to.

mod publisher;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use events_axum::{RequestContext, StreamState};
use events_core::{Frame, SystemClock, UserId};
use events_llm::{
    StreamEventBroadcaster, Tap,
    gateway::{EmissionDenied, GatewayHooks, LlmGateway, ProviderConfig},
};
use events_sse::ToSse as _;
use futures_util::{Stream, StreamExt as _};
use http::Extensions;

use crate::{ConfigError, LlmSettings, Settings, StopRequests, demo};

use publisher::RouterPublisher;

/// Events that are kept for screens that are slow.
const FEED_CAPACITY: usize = 4_096;

/// The gateway and what it tells; a cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Llm {
    gateway: LlmGateway,
    tap: Tap,
}

impl Llm {
    /// Makes the gateway of the configured providers and, if there is one, of the demo's.
    pub(crate) fn new(
        settings: &Settings,
        state: &StreamState,
        demo: Option<SocketAddr>,
    ) -> Result<Self, ConfigError> {
        let llm = &settings.llm;
        let mut config = llm.gateway_config()?;
        if let Some(address) = demo {
            let mut provider = ProviderConfig::new(format!("http://{address}"));
            provider.vendor = Some(demo::PROVIDER.to_owned());
            config.providers.insert(demo::PROVIDER.to_owned(), provider);
        }
        let broadcaster = StreamEventBroadcaster::with_limits(
            FEED_CAPACITY,
            llm.registry_limits(),
            Arc::new(SystemClock),
        );
        let broadcaster = Arc::new(broadcaster.with_alerts(llm.alert_limits()));
        let prices = llm.price_source(demo.and_then(|_| demo::prices()))?;
        let tap = Tap::with_limits(broadcaster, prices, LlmSettings::tap_limits());
        let hooks = GatewayHooks {
            publisher: Some(Arc::new(RouterPublisher::new(state.router().clone()))),
            authorize: Some(Arc::new(authorize)),
        };
        let gateway = LlmGateway::with_hooks(config, tap.clone(), hooks)?;
        let shown = gateway.clone();
        state.add_metrics(move |out| shown.write_metrics(out));
        Ok(Self { gateway, tap })
    }

    /// Serves `/llm/streams`, and the providers below `/llm`.
    pub(crate) fn router(&self, state: &StreamState) -> Router {
        let broadcaster = Arc::clone(self.tap.broadcaster());
        let feed = move || frames(&broadcaster);
        let streams = state.operator_stream("llm", LlmSettings::MAX_WATCHERS, feed);
        self.gateway.router().route("/llm/streams", streams)
    }

    /// Clears alerts and forgets requests when their time has passed.
    pub(crate) fn sweep(&self) {
        self.tap.broadcaster().sweep();
    }

    /// Waits for the first request to stop; then lets answers that are read without their client end within `limit`,
    /// and what is published of all answers be written. The second request cuts this short.
    pub(crate) async fn drain(&self, stop_requests: StopRequests, limit: Duration) {
        stop_requests.clone().first().await;
        let n_cut = tokio::select! {
            n_cut = self.gateway.shutdown(limit) => n_cut,
            () = stop_requests.second() => self.gateway.shutdown(Duration::ZERO).await,
        };
        if n_cut > 0 {
            tracing::warn!(n_cut, "answers of language models were cut off");
        }
    }

    /// Returns the gateway's routes alone, for a client in this process.
    pub(crate) fn providers(&self) -> Router {
        self.gateway.router()
    }
}

/// Makes the frames of one screen.
fn frames(broadcaster: &Arc<StreamEventBroadcaster>) -> impl Stream<Item = Frame> + Send + use<> {
    broadcaster.feed().filter_map(|frame| {
        let frame = frame.to_frame().inspect_err(|error| {
            tracing::error!(%error, "a frame of /llm/streams is not written");
        });
        std::future::ready(frame.ok())
    })
}

/// Lets a request publish its answer for a user whom it may publish for.
fn authorize(extensions: &Extensions, user: &UserId) -> Result<(), EmissionDenied> {
    let context = extensions.get::<RequestContext>();
    if context.is_some_and(|context| context.may_publish_for(user)) {
        Ok(())
    } else {
        Err(EmissionDenied(
            "X-Events-User names somebody for whom this client may not publish".to_owned(),
        ))
    }
}
