//! What a gateway is told: its providers, its bounds, how long it waits.

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use http::uri::{Authority, Scheme, Uri};

use crate::Provider;

/// All that a gateway is told.
///
/// ```
/// use events_llm::gateway::{GatewayConfig, ProviderConfig};
///
/// let mut config = GatewayConfig::default();
/// config.providers.insert("anthropic".to_owned(), ProviderConfig::new("https://api.anthropic.com"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct GatewayConfig {
    /// The providers by their names in the path, of `[A-Za-z0-9._-]`.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Bounds.
    pub limits: GatewayLimits,
    /// How long is waited.
    pub timeouts: GatewayTimeouts,
    /// Certificates in PEM that are trusted besides those that the system trusts.
    pub authorities_pem: Vec<u8>,
}

/// One provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Where it is: scheme, host, and the beginning of the path, as in `https://openrouter.ai/api`.
    pub base_url: String,
    /// The protocol of answers whose path does not tell it.
    pub protocol: Option<Provider>,
    /// Who serves the models, for prices and watchers; the protocol's own vendor if it is not said.
    pub vendor: Option<String>,
    /// What becomes of the header `Accept-Encoding`.
    pub accept_encoding: AcceptEncoding,
    /// Whether a streamed Chat Completion that does not say so is made to report its tokens, by
    /// `"stream_options":{"include_usage":true}` in the request. Its client then sees one chunk more. Default: no.
    pub inject_stream_usage: bool,
    /// Whether HTTP/2 is offered in TLS. Default: no.
    ///
    /// With HTTP/1.1 each running answer has a connection of its own: none can hold up another, leaving closes it,
    /// and the number of answers is not bounded by what a provider allows on one connection (often 100, and further
    /// requests then wait for minutes). With HTTP/2 all answers of one host share one connection.
    pub http2: bool,
}

impl ProviderConfig {
    /// Makes a provider of which only the place is known.
    #[must_use]
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            protocol: None,
            vendor: None,
            accept_encoding: AcceptEncoding::default(),
            inject_stream_usage: false,
            http2: false,
        }
    }
}

/// What becomes of a request's header `Accept-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AcceptEncoding {
    /// It becomes `identity` for requests that ask for a stream or may do so, since some providers hold text back
    /// to compress it. An answer that is compressed all the same passes as it is.
    #[default]
    IdentityForStreams,
    /// It is passed on as it came.
    AsSent,
}

impl AcceptEncoding {
    /// Returns the name, `identity-for-streams` or `as-sent`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityForStreams => "identity-for-streams",
            Self::AsSent => "as-sent",
        }
    }

    /// Finds it by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = [Self::IdentityForStreams, Self::AsSent].into_iter();
        all.find(|known| known.as_str() == name)
    }
}

/// Bounds of a gateway.
///
/// Beside what the tap holds, a gateway holds at most `max_buffered_bytes` of requests, `max_runs` times
/// `max_run_queue_bytes` of AG-UI events, and about 200 KiB for each running answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Requests at the same time; more are answered with 503. Default: 4096.
    pub max_streams: usize,
    /// Answers that are read on without their client, or may be; more are answered with 503. Default: 256.
    pub max_detached: usize,
    /// Runs that are published at the same time; more are answered with 503. Default: 1024.
    pub max_runs: usize,
    /// AG-UI events of one run that wait for the publisher, in bytes of their texts. Default: 1 MiB.
    pub max_run_queue_bytes: usize,
    /// The body of one request, in bytes; more are answered with 413. Default: 64 MiB.
    pub max_request_bytes: u64,
    /// A JSON body up to so many bytes is read before it is sent on, so that watchers are told the model at once.
    /// Larger ones are sent on as they come. Default: 1 MiB.
    pub max_buffered_request_bytes: usize,
    /// Bodies that are read before they are sent on, in bytes of all of them. Default: 64 MiB.
    pub max_buffered_bytes: usize,
    /// The headers of one request, in bytes of names and values; more are answered with 431. Default: 64 KiB.
    pub max_request_head_bytes: usize,
    /// The headers of one request; more are answered with 431. Default: 128.
    pub max_request_headers: usize,
    /// The head of an answer, in bytes; more are answered with 502. At least 8 KiB. Default: 64 KiB.
    pub max_answer_head_bytes: usize,
    /// The headers of an answer; more are answered with 502. Default: 128.
    pub max_answer_headers: usize,
    /// Idle connections that are kept for each host. Default: 64.
    pub max_idle_connections_per_host: usize,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            max_streams: 4_096,
            max_detached: 256,
            max_runs: 1_024,
            max_run_queue_bytes: 1 << 20,
            max_request_bytes: 64 << 20,
            max_buffered_request_bytes: 1 << 20,
            max_buffered_bytes: 64 << 20,
            max_request_head_bytes: 64 << 10,
            max_request_headers: 128,
            max_answer_head_bytes: 64 << 10,
            max_answer_headers: 128,
            max_idle_connections_per_host: 64,
        }
    }
}

/// How long a gateway waits. There is no bound on the whole of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayTimeouts {
    /// For a connection: name, TCP and TLS together. Default: 5 s.
    pub connect: Duration,
    /// From the moment the request is sent on to the head of its answer. Default: 10 minutes, as models think.
    pub answer_head: Duration,
    /// For the next bytes of an answer. Default: 10 minutes.
    pub answer_idle: Duration,
    /// For the next bytes of a request's body. Default: 60 s.
    pub request_idle: Duration,
    /// For how long an idle connection is kept. Default: 60 s.
    pub idle_connection: Duration,
}

impl Default for GatewayTimeouts {
    fn default() -> Self {
        let minutes = |minutes| Duration::from_secs(60_u64 * minutes);
        Self {
            connect: Duration::from_secs(5),
            answer_head: minutes(10),
            answer_idle: minutes(10),
            request_idle: minutes(1),
            idle_connection: minutes(1),
        }
    }
}

/// Why a gateway cannot be made of its configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A provider's name cannot stand in a path.
    #[error("the provider name {0:?} is not made of 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'")]
    Name(String),
    /// A provider's place is none. The address is not repeated, since it may hold a key.
    #[error("the base_url of provider {name}: {reason}")]
    BaseUrl {
        /// The provider.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The further certificates are none.
    #[error("the further authorities are no certificates in PEM")]
    Authorities,
    /// TLS cannot be set up, for example as the system names no authorities.
    #[error("TLS cannot be set up")]
    Tls(#[source] std::io::Error),
}

/// A provider's place, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

impl Base {
    pub(crate) fn of(name: &str, base_url: &str) -> Result<Self, GatewayError> {
        let refuse = |reason| GatewayError::BaseUrl {
            name: name.to_owned(),
            reason,
        };
        let uri: Uri = base_url
            .parse()
            .map_err(|_invalid| refuse("it is no address such as https://api.example.com"))?;
        let scheme = uri.scheme().cloned();
        let scheme = scheme.filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(|| refuse("it begins with neither http:// nor https://"))?;
        let authority = uri.authority().cloned();
        let authority = authority
            .filter(|authority| !authority.host().is_empty())
            .ok_or_else(|| refuse("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("a name or password in it is not sent: use a header"));
        }
        if base_url.contains(['?', '#']) {
            return Err(refuse(
                "it has a query or fragment, which belongs to requests",
            ));
        }
        Ok(Self {
            scheme,
            authority,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The address of a path below this place. Both path and query stay byte for byte what they are.
    pub(crate) fn join(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let mut target = format!("{}{path}", self.path);
        if !target.starts_with('/') {
            target.insert(0, '/');
        }
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
    }
}

/// Checks a provider's name.
pub(crate) fn check_name(name: &str) -> Result<(), GatewayError> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_dots = name.chars().all(|c| c == '.');
    if (1..=64).contains(&name.len()) && name.chars().all(is_legal) && !is_dots {
        Ok(())
    } else {
        Err(GatewayError::Name(name.to_owned()))
    }
}
