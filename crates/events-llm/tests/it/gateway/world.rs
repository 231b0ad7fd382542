//! A gateway that listens, before a provider, with somebody who watches.

use std::sync::Arc;

use events_llm::{
    NoPrices, Provider as Protocol, StreamEventBroadcaster, Tap, TapLimits, TuiStreamEvent,
    gateway::{GatewayConfig, GatewayHooks, LlmGateway, ProviderConfig},
};
use tokio::{net::TcpListener, sync::broadcast::Receiver, task::JoinSet, time::timeout};

use super::provider::{LIMIT, Provider, Step};

pub(crate) struct World {
    pub(crate) provider: Provider,
    pub(crate) gateway: LlmGateway,
    /// Where the gateway listens.
    pub(crate) port: u16,
    pub(crate) receiver: Receiver<TuiStreamEvent>,
    tasks: JoinSet<()>,
}

impl World {
    /// A gateway before a provider that plays this script; its name is `p`.
    pub(crate) async fn of(steps: Vec<Step>) -> Self {
        Self::with(steps, |_| (), GatewayHooks::default()).await
    }

    pub(crate) async fn with(
        steps: Vec<Step>,
        change: impl FnOnce(&mut GatewayConfig),
        hooks: GatewayHooks,
    ) -> Self {
        let provider = Provider::start(steps).await;
        let base_url = format!("http://127.0.0.1:{}", provider.port);
        Self::before(provider, &base_url, change, hooks).await
    }

    /// A gateway before this provider, which it reaches at this place.
    pub(crate) async fn before(
        provider: Provider,
        base_url: &str,
        change: impl FnOnce(&mut GatewayConfig),
        hooks: GatewayHooks,
    ) -> Self {
        let broadcaster = Arc::new(StreamEventBroadcaster::new(1 << 16));
        let receiver = broadcaster.subscribe();
        let mut config = GatewayConfig::default();
        config
            .providers
            .insert("p".to_owned(), ProviderConfig::new(base_url));
        change(&mut config);
        let limits = TapLimits {
            // So that a bomb need not be a large one.
            max_decoded_bytes: 4 << 20,
            ..TapLimits::default()
        };
        let tap = Tap::with_limits(broadcaster, Arc::new(NoPrices), limits);
        let gateway = LlmGateway::with_hooks(config, tap, hooks).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = gateway.router();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            provider,
            gateway,
            port,
            receiver,
            tasks,
        }
    }

    /// Takes the gateway and its server apart from the provider.
    pub(crate) fn end(self) -> (Provider, (LlmGateway, JoinSet<()>)) {
        (self.provider, (self.gateway, self.tasks))
    }

    /// All events of one request, up to its end.
    pub(crate) async fn events(&mut self) -> Vec<TuiStreamEvent> {
        let mut events = Vec::new();
        loop {
            let next = timeout(LIMIT, self.receiver.recv()).await;
            events.push(next.expect("the request ends in time").unwrap());
            if events.last().is_some_and(TuiStreamEvent::is_terminal) {
                return events;
            }
        }
    }

    /// The message of the one error that watchers are told; nothing runs any more then.
    pub(crate) async fn failure(&mut self) -> String {
        let events = self.events().await;
        let Some(TuiStreamEvent::Error { message, .. }) = events.last() else {
            panic!("{events:?}");
        };
        assert!(self.receiver.try_recv().is_err(), "nothing follows the end");
        assert_eq!(self.gateway.broadcaster().counts().active, 0);
        message.clone()
    }
}

/// The path of a protocol's answers, as its clients ask for them.
pub(crate) fn path_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Anthropic => "/llm/p/v1/messages",
        Protocol::OpenAiChat => "/llm/p/v1/chat/completions",
        Protocol::OpenAiResponses => "/llm/p/v1/responses",
        Protocol::Gemini => "/llm/p/v1beta/models/asked:streamGenerateContent?alt=sse",
        Protocol::Ollama => "/llm/p/api/chat",
        other => panic!("{other}"),
    }
}

/// A body that asks for a stream.
pub(crate) const STREAM: &[u8] = br#"{"model":"asked","stream":true,"messages":[]}"#;
