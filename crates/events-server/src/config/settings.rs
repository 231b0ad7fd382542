//! The effective settings.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use events_axum::{
    StreamConfig,
    auth::TICKET_TIME,
    serve::{ConnectionLimits, Proxies},
};
use events_broadcast::Limits;
use events_router::RouterConfig;

use super::{
    AgentSettings, AuthSettings, ConfigError, Key, LlmSettings, Sources, agents, field::Refused,
    providers, sources::Entry,
};
use crate::{
    engine::EngineSettings,
    log_spec::LogSpec,
    memory_budget::{self, MemoryBudget},
};

/// Everything that can be set; see [`KEYS`](super::KEYS).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to accept connections.
    pub listen: SocketAddr,
    /// Where `/metrics` and health are served to whoever asks, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// What keeps the events.
    pub log: LogSpec,
    /// Bounds of the logs and connections.
    pub limits: Limits,
    /// The time over which streams end before the process does.
    pub drain_window: Duration,
    /// Bounds of connections.
    pub connections: ConnectionLimits,
    /// Whether an open stream over HTTP/1.1 is given its socket; see [`Server::take_over`](events_axum::serve::Server::take_over).
    pub takes_over: bool,
    /// Proxies that are believed about where a request comes from.
    pub proxies: Proxies,
    /// The memory that all bounds together may allow.
    pub memory: MemoryBudget,
    /// Settings of the router; its `limits` are not these but [`Settings::limits`].
    pub router: RouterConfig,
    /// Settings of the streams; their `drain_window` is not this but [`Settings::drain_window`].
    pub streams: StreamConfig,
    /// Settings of the LLM gateway.
    pub llm: LlmSettings,
    /// Agents behind the hub.
    pub agents: AgentSettings,
    /// What only one kind of log has.
    pub engine: EngineSettings,
    /// Who may ask.
    pub auth: AuthSettings,
    /// The collector that spans are sent to, if any.
    pub otlp: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4_000)),
            metrics_listen: None,
            log: LogSpec::default(),
            limits: Limits::default(),
            drain_window: StreamConfig::default().drain_window,
            connections: ConnectionLimits::default(),
            takes_over: true,
            proxies: Proxies::default(),
            memory: MemoryBudget::default(),
            router: RouterConfig::default(),
            streams: StreamConfig::default(),
            llm: LlmSettings::default(),
            agents: AgentSettings::default(),
            engine: EngineSettings::default(),
            auth: AuthSettings::default(),
            otlp: None,
        }
    }
}

impl Settings {
    /// Reads all sources: a flag goes before a variable, that before the file, and that before the default.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, also where another source goes before it.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        for entry in sources.entries()? {
            settings.apply(entry)?;
        }
        settings.check()?;
        Ok(settings)
    }

    fn apply(&mut self, entry: Entry) -> Result<(), ConfigError> {
        let Entry {
            key: name,
            text,
            origin,
        } = entry;
        if let Some(set) = providers::set(self, &name, &text) {
            return set.map_err(|expected| ConfigError::BadValue {
                key: name,
                value: shown_address(&text),
                origin,
                expected: expected.to_owned(),
            });
        }
        if let Some(set) = agents::set(self, &name, &text) {
            let value = if agents::is_secret(&name) {
                "(hidden)".to_owned()
            } else {
                shown_address(&text)
            };
            return set.map_err(|expected| ConfigError::BadValue {
                key: name,
                value,
                origin,
                expected: expected.to_owned(),
            });
        }
        let Some(key) = Key::find(&name) else {
            let nearest = super::nearest_key(&name);
            return Err(ConfigError::UnknownKey {
                key: name,
                origin,
                nearest,
            });
        };
        key.field.set(self, &text).map_err(|refused| match refused {
            Refused::Expected(expected) => ConfigError::BadValue {
                value: if name.ends_with("secret") {
                    "(hidden)".to_owned()
                } else {
                    // An address may hold one.
                    super::without_password(&text)
                },
                key: name,
                origin,
                expected,
            },
            Refused::Log(error) => error.into(),
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.limits.event_bytes > self.limits.total_bytes {
            return Err(ConfigError::Contradiction(
                "history.total_bytes is less than limits.event_bytes: one event would not fit; raise it"
                    .to_owned(),
            ));
        }
        if self.router.idle < self.router.dedupe_age {
            return Err(ConfigError::Contradiction(
                "limits.idle is less than dedupe.age: an idle user would be forgotten with message ids that are still \
                 promised; raise it"
                    .to_owned(),
            ));
        }
        let mut providers = self.llm.providers.iter();
        if let Some((name, _)) = providers.find(|(_, provider)| provider.base_url.is_empty()) {
            return Err(ConfigError::Contradiction(format!(
                "llm.providers.{name} has no base_url: say where it is, such as \
                 llm.providers.{name}.base_url = \"https://api.example.com\""
            )));
        }
        let mut agents = self.agents.agents.iter();
        if let Some((name, _)) = agents.find(|(_, agent)| agent.config.url.is_empty()) {
            return Err(ConfigError::Contradiction(format!(
                "agui.agents.{name} has no url: say where it is, such as \
                 agui.agents.{name}.url = \"https://agents.example.com/chat\""
            )));
        }
        Ok(())
    }

    /// Lists what is legal and yet likely not meant.
    ///
    /// # Errors
    ///
    /// The settings allow more memory than was set.
    pub fn warnings(&self) -> Result<Vec<String>, ConfigError> {
        let mut warnings: Vec<_> = memory_budget::check(self)?.into_iter().collect();
        let is_forgotten = self.router.dedupe_age < TICKET_TIME;
        if is_forgotten && self.auth.has_key() && self.log != LogSpec::Memory {
            let age = humantime::format_duration(self.router.dedupe_age);
            warnings.push(format!(
                "dedupe.age is {age}, and a ticket is good for 30s: one that was used may be taken again by another \
                 hub; raise dedupe.age to 30s or more"
            ));
        }
        Ok(warnings)
    }

    /// Returns the settings of the router.
    #[must_use]
    pub fn router_config(&self) -> RouterConfig {
        RouterConfig {
            limits: self.limits.clone(),
            ..self.router.clone()
        }
    }

    /// Returns the settings of the streams.
    #[must_use]
    pub fn stream_config(&self) -> StreamConfig {
        StreamConfig {
            drain_window: self.drain_window,
            ..self.streams.clone()
        }
    }
}

/// Hides what may be secret in an address that is refused.
fn shown_address(text: &str) -> String {
    let shown = super::without_password(text);
    match shown.split_once('?') {
        Some((before, _)) => format!("{before}?(hidden)"),
        None => shown,
    }
}
