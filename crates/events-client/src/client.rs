//! The client: an address, an identity, and the times that it allows.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    RequestBuilder, Url,
    header::{AUTHORIZATION, HeaderValue},
};

use crate::error::Error;

/// What need not be escaped in a path segment, by RFC 3986: the unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A stream that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamKind {
    /// `/agui`: AG-UI events.
    AgUi,
    /// `/a2a`: A2A stream objects.
    A2a,
    /// `/contexts`: everything of the user, in envelopes.
    Contexts,
    /// `/analytics`: analytics events; without ids, so what is missed is lost.
    Analytics,
    /// `/llm/streams`: the LLM gateway's running streams, for operators; without ids.
    Llm,
}

impl StreamKind {
    const fn path(self) -> &'static str {
        match self {
            Self::AgUi => "agui",
            Self::A2a => "a2a",
            Self::Contexts => "contexts",
            Self::Analytics => "analytics",
            Self::Llm => "llm/streams",
        }
    }
}

/// A kind of events that can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublishKind {
    /// AG-UI events.
    AgUi,
    /// A2A stream objects.
    A2a,
    /// System events.
    System,
    /// Analytics events.
    Analytics,
}

impl PublishKind {
    const fn path(self) -> &'static str {
        match self {
            Self::AgUi => "agui",
            Self::A2a => "a2a",
            Self::System => "system",
            Self::Analytics => "analytics",
        }
    }
}

/// What a client allows; see the methods of [`ClientBuilder`].
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) user: Option<String>,
    pub(crate) head_timeout: Duration,
    pub(crate) silence_timeout: Duration,
    pub(crate) backoff_base: Duration,
    pub(crate) backoff_cap: Duration,
    pub(crate) max_reconnects: Option<u32>,
    pub(crate) max_event_bytes: usize,
}

/// A text that `Debug` does not show.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Sets up a [`Client`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    base_url: String,
    token: Option<Secret>,
    connect_timeout: Duration,
    #[cfg(feature = "tls")]
    authorities_pem: Vec<u8>,
    settings: Settings,
}

impl ClientBuilder {
    /// Sets the user whose streams are followed, where no token says it.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.settings.user = Some(user.into());
        self
    }

    /// Sets the token that goes with each request, as `Authorization: Bearer`.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(Secret(token.into()));
        self
    }

    /// Trusts these certificates too, in PEM, beside those that the system trusts: for a hub with an authority of its
    /// own.
    #[cfg(feature = "tls")]
    pub fn authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities_pem = pem.into();
        self
    }

    /// Sets how long making a connection may take. Default: 10 seconds.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long the head of an answer may take, and so each attempt to publish. Default: 15 seconds.
    pub const fn head_timeout(mut self, timeout: Duration) -> Self {
        self.settings.head_timeout = timeout;
        self
    }

    /// Sets the silence after which a stream is given up for dead. Default: 45 seconds, three heartbeats.
    pub const fn silence_timeout(mut self, timeout: Duration) -> Self {
        self.settings.silence_timeout = timeout;
        self
    }

    /// Sets the bound of the first wait after a failure, which doubles up to `cap`. Default: 500 ms and 30 s.
    ///
    /// A stream's `retry:` replaces the base.
    pub const fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.settings.backoff_base = base;
        self.settings.backoff_cap = cap;
        self
    }

    /// Sets how many times in a row a stream is reconnected in vain. Default: without end.
    pub const fn max_reconnects(mut self, reconnects: u32) -> Self {
        self.settings.max_reconnects = Some(reconnects);
        self
    }

    /// Sets the cap of one event, in bytes; larger ones are skipped. Default: 16 MiB.
    pub const fn max_event_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_event_bytes = bytes;
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// The proxies that the environment names (`http_proxy` and its kin) are used, except for this machine's own
    /// addresses.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] if the base address is not one of HTTP, [`Error::Invalid`] if the token cannot stand in a
    /// header or the authorities are no PEM, [`Error::Tls`] if the system's certificates are needed and cannot be
    /// had, [`Error::Setup`] if the HTTP client cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let base_url = match Url::parse(&self.base_url) {
            Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => url,
            _ => return Err(Error::Address(without_login(&self.base_url))),
        };
        let authorization = match self.token {
            None => None,
            Some(Secret(token)) => {
                let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                    .map_err(|_invalid| Error::Invalid("token cannot stand in a header"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        // A redirected POST would come out as a GET, and a token might go where nobody sent it.
        let mut http = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("events-client/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(&base_url) {
            http = http.no_proxy();
        }
        #[cfg(feature = "tls")]
        {
            let config = if base_url.scheme() == "https" {
                crate::tls::config(&self.authorities_pem)?
            } else {
                crate::tls::unused()?
            };
            http = http.tls_backend_preconfigured(config);
        }
        let http = http.build().map_err(Error::Setup)?;
        Ok(Client {
            http,
            base_url: Arc::new(base_url),
            authorization,
            settings: Arc::new(self.settings),
        })
    }
}

/// A hub, as seen by one caller. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    base_url: Arc<Url>,
    authorization: Option<HeaderValue>,
    pub(crate) settings: Arc<Settings>,
}

impl Client {
    /// Makes a client with the defaults, and with no user and no token.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`].
    pub fn new(base_url: &str) -> Result<Self, Error> {
        Self::builder(base_url).build()
    }

    /// Begins to set up a client for the hub at this address, which may have a path: `https://host/events`.
    pub fn builder(base_url: &str) -> ClientBuilder {
        ClientBuilder {
            base_url: base_url.to_owned(),
            token: None,
            connect_timeout: Duration::from_secs(10),
            #[cfg(feature = "tls")]
            authorities_pem: Vec::new(),
            settings: Settings {
                user: None,
                head_timeout: Duration::from_secs(15),
                silence_timeout: events_sse::HEARTBEAT_INTERVAL.saturating_mul(3),
                backoff_base: Duration::from_millis(500),
                backoff_cap: Duration::from_secs(30),
                max_reconnects: None,
                max_event_bytes: 16 << 20,
            },
        }
    }

    pub(crate) fn stream_url(&self, kind: StreamKind) -> Url {
        self.url(kind.path())
    }

    /// Returns the address for publishing to `user`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a user id that no path can carry: addresses are normalised on their way.
    pub(crate) fn publish_url(&self, kind: PublishKind, user: &str) -> Result<Url, Error> {
        if matches!(user, "" | "." | "..") {
            return Err(Error::Invalid("user id is empty, or only dots"));
        }
        let user = utf8_percent_encode(user, SEGMENT);
        Ok(self.url(&format!("publish/{}/{user}", kind.path())))
    }

    /// Adds the identity to a request.
    pub(crate) fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = Url::clone(&self.base_url);
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        url.set_query(None);
        url.set_fragment(None);
        url
    }
}

/// Whether the address is this machine's own, which no proxy can reach for us.
fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Leaves a name and password out of an address that is shown.
fn without_login(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    match rest.rsplit_once('@') {
        Some((_login, host)) => format!("{scheme}{host}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        for (url, is_ours) in [
            ("http://localhost:4000", true),
            ("http://127.9.9.9", true),
            ("https://[::1]:4000/events", true),
            ("http://hub:4000", false),
            ("http://10.0.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(is_this_machine(&Url::parse(url).unwrap()), is_ours, "{url}");
        }
    }

    #[test]
    fn an_address_is_refused_without_its_password() {
        let Err(Error::Address(shown)) = Client::new("ftp://ada:s3cret@h/x") else {
            panic!("an address of FTP is taken");
        };
        assert_eq!(shown, "ftp://h/x");
    }

    #[test]
    fn a_user_id_is_one_path_segment_whatever_it_holds() {
        let client = Client::new("http://h:1/base/?x#y").unwrap();
        for (user, path) in [
            ("ada", "ada"),
            ("a/b?c#d%e", "a%2Fb%3Fc%23d%25e"),
            ("a\tb\nc d", "a%09b%0Ac%20d"),
            ("\u{e9}", "%C3%A9"),
            ("..a", "..a"),
        ] {
            let url = client.publish_url(PublishKind::A2a, user).unwrap();
            assert_eq!(url.as_str(), format!("http://h:1/base/publish/a2a/{path}"));
        }
        for user in ["", ".", ".."] {
            assert!(client.publish_url(PublishKind::AgUi, user).is_err());
        }
        assert_eq!(
            client.stream_url(StreamKind::Llm).path(),
            "/base/llm/streams"
        );
    }

    #[test]
    fn addresses_that_are_not_http_are_refused() {
        for address in ["", "localhost:4000", "ftp://h", "http://", "file:///x"] {
            assert!(
                matches!(Client::new(address), Err(Error::Address(_))),
                "{address}"
            );
        }
    }

    #[test]
    fn a_client_never_shows_its_token() {
        let builder = Client::builder("http://h").bearer_token("s3cret");
        assert!(!format!("{:?}", builder.clone().build().unwrap()).contains("s3cret"));
        assert!(!format!("{builder:?}").contains("s3cret"));
    }
}
