//! What is told of agents: where they are, what is sent to them, how long is waited.

use std::{collections::BTreeMap, fmt, time::Duration};

use events_llm::gateway::{GatewayError, GatewayTimeouts, UpstreamTarget};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// All that is told of agents.
#[derive(Clone, Debug, Default)]
pub struct AgentsConfig {
    /// The agents by their names in the path.
    pub agents: BTreeMap<String, AgentConfig>,
    /// Bounds.
    pub limits: AgentLimits,
    /// How long a connection may take, name and TLS included. `None`: 5 s.
    pub connect_timeout: Option<Duration>,
    /// Certificates in PEM that are trusted besides those that the system trusts.
    pub authorities_pem: Vec<u8>,
}

/// One agent.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentConfig {
    /// Its whole address, as an official client would be given it. A query is kept, and never shown.
    pub url: String,
    /// What is sent beside what the protocol needs, such as a key. Never shown.
    pub headers: BTreeMap<String, String>,
    /// Whether the header `Authorization` of whoever asks is sent on, so that the agent sees their token. Default: no;
    /// it is the hub's.
    pub forward_authorization: bool,
    /// How long the agent may take to begin its answer. Default: 10 minutes.
    pub header_timeout: Duration,
    /// How long the agent may be silent in its answer; a comment is no silence. Default: 10 minutes.
    pub idle_timeout: Duration,
}

impl AgentConfig {
    /// Makes an agent of which only the address is known.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let timeouts = GatewayTimeouts::default();
        Self {
            url: url.into(),
            headers: BTreeMap::new(),
            forward_authorization: false,
            header_timeout: timeouts.answer_head,
            idle_timeout: timeouts.answer_idle,
        }
    }
}

impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentConfig")
            .field("headers", &self.headers.keys())
            .field("forward_authorization", &self.forward_authorization)
            .field("header_timeout", &self.header_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .finish_non_exhaustive()
    }
}

/// Bounds of calls.
///
/// Beside the input, a call holds at most one event twice, as it came and as it is read, and about 200 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentLimits {
    /// Runs at the same time; more are answered with 503. Default: 512.
    pub runs: usize,
    /// Runs of one user at the same time; more are answered with 429. Default: 8.
    pub runs_per_user: usize,
    /// How long a run may take as a whole. Default: 1 hour.
    pub run_time: Duration,
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self {
            runs: 512,
            runs_per_user: 8,
            run_time: Duration::from_secs(3_600),
        }
    }
}

/// Why agents cannot be called as they are configured. No address and no header's value is repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentsError {
    /// An agent's name cannot stand in a path.
    #[error("the agent name {0:?} is not made of 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")]
    Name(String),
    /// An agent's address is none.
    #[error("the url of agent {0} is no address such as \"https://agents.example.com/chat\"")]
    Url(String),
    /// A header cannot be sent.
    #[error("the header {header:?} of agent {agent} cannot be sent")]
    Header {
        /// The agent.
        agent: String,
        /// The header's name.
        header: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up for agents")]
    Tls(#[source] GatewayError),
}

/// An agent, ready for use.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) target: UpstreamTarget,
    headers: HeaderMap,
    forward_authorization: bool,
    /// For the head of an answer, and for each part of its body.
    pub(crate) timeouts: (Duration, Duration),
}

/// What the protocol and the connection need, and no setting changes.
const RESERVED: [HeaderName; 8] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl Agent {
    pub(crate) fn of(name: &str, config: &AgentConfig) -> Result<Self, AgentsError> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_dots = name.chars().all(|c| c == '.');
        if !(1..=64).contains(&name.len()) || !name.chars().all(is_legal) || is_dots {
            return Err(AgentsError::Name(name.to_owned()));
        }
        let target = UpstreamTarget::parse(name, &config.url);
        let target = target.map_err(|_invalid| AgentsError::Url(name.to_owned()))?;
        let mut headers = HeaderMap::new();
        for (header, value) in &config.headers {
            let refuse = || AgentsError::Header {
                agent: name.to_owned(),
                header: header.clone(),
            };
            let field: HeaderName = header.parse().map_err(|_invalid| refuse())?;
            let mut value = HeaderValue::from_str(value).map_err(|_invalid| refuse())?;
            if RESERVED.contains(&field) {
                return Err(refuse());
            }
            value.set_sensitive(true);
            headers.insert(field, value);
        }
        // Compressed text is held back by some servers.
        let fixed = [
            (header::ACCEPT, "text/event-stream"),
            (header::ACCEPT_ENCODING, "identity"),
            (header::CONTENT_TYPE, "application/json"),
            (header::USER_AGENT, "events"),
        ];
        for (field, value) in fixed {
            headers
                .entry(field)
                .or_insert(HeaderValue::from_static(value));
        }
        Ok(Self {
            name: name.to_owned(),
            target,
            headers,
            forward_authorization: config.forward_authorization,
            timeouts: (config.header_timeout, config.idle_timeout),
        })
    }

    /// The headers of a request, for somebody with this header `Authorization`.
    pub(crate) fn headers(&self, authorization: Option<HeaderValue>) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let (true, Some(mut value)) = (self.forward_authorization, authorization) {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        headers
    }
}
