//! The gateway's HTTP client, for others that call a server whose answer streams.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    GatewayConfig, GatewayError,
    config::Base,
    failure::Failure,
    idle::{Idle, IdleError},
    tasks::Tasks,
    upload::Upload,
    upstream::Upstream,
};

/// Calls servers as the gateway calls providers: HTTP/1.1, one connection for each running answer, time-outs, TLS with
/// the system's authorities; nothing is ever sent twice, and no redirect is followed. Cheap to clone.
///
/// When the last clone and the last answer are gone, so are its connections.
#[derive(Clone)]
pub struct UpstreamCaller {
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Upstream,
    connections: Arc<Tasks>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Tasks of the client hold the set that they are in.
        self.connections.abort();
    }
}

/// A server's whole address, checked. It is not shown, since its query may hold a key.
#[derive(Clone)]
pub struct UpstreamTarget {
    uri: http::Uri,
    is_https: bool,
}

impl UpstreamTarget {
    /// Reads an address such as `https://agents.example.com/chat/?version=2`; a fragment, a name and a password are
    /// none of it. `name` is what an error says.
    ///
    /// # Errors
    ///
    /// The text is no such address.
    pub fn parse(name: &str, url: &str) -> Result<Self, GatewayError> {
        let (place, query) = match url.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (url, None),
        };
        let base = Base::of(name, place)?;
        let refuse = |_invalid| GatewayError::BaseUrl {
            name: name.to_owned(),
            reason: "it is no address such as https://api.example.com",
        };
        // The base has lost a slash at its end, which some servers insist on.
        let slash = if place.ends_with('/') { "/" } else { "" };
        let uri = base.join(slash, query).map_err(refuse)?;
        Ok(Self {
            is_https: uri.scheme() == Some(&http::uri::Scheme::HTTPS),
            uri,
        })
    }

    /// Tells whether the connection is secured by TLS.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.is_https
    }
}

impl fmt::Debug for UpstreamTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTarget").finish_non_exhaustive()
    }
}

/// An answer whose body is still to be read.
pub struct UpstreamAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    body: Pin<Box<Idle<Incoming>>>,
    _caller: Arc<Shared>,
}

/// Why there is no answer, or no more of it. The words hold no address and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamFailure(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head(Failure),
    Silent,
    Cut,
}

impl UpstreamFailure {
    /// Says for people what happened; `whom` is such as "the agent".
    #[must_use]
    pub fn text(self, whom: &str) -> String {
        match self.0 {
            Kind::Head(failure) => failure.text().replace("the provider", whom),
            Kind::Silent => format!("{whom} was silent for too long"),
            Kind::Cut => format!("{whom} broke its answer off"),
        }
    }

    /// Tells whether something took too long.
    #[must_use]
    pub const fn is_timeout(self) -> bool {
        matches!(
            self.0,
            Kind::Silent | Kind::Head(Failure::ConnectTimeout | Failure::AnswerTimeout)
        )
    }

    /// Tells whether no connection came about, so that nothing of the request has been read.
    #[must_use]
    pub const fn is_unreached(self) -> bool {
        matches!(
            self.0,
            Kind::Head(
                Failure::UnknownHost
                    | Failure::Refused
                    | Failure::Unreachable
                    | Failure::ConnectTimeout
                    | Failure::Tls
            )
        )
    }
}

impl UpstreamCaller {
    /// Makes a client with the time-outs, the bounds of an answer's head and the authorities of `config`. `needs_tls`
    /// tells whether any target is one of `https`.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up.
    pub fn new(config: &GatewayConfig, needs_tls: bool) -> Result<Self, GatewayError> {
        let connections = Arc::new(Tasks::default());
        let upstream = Upstream::new(config, needs_tls, &connections)?;
        Ok(Self {
            shared: Arc::new(Shared {
                upstream,
                connections,
            }),
        })
    }

    /// Posts a body and waits at most `head` for the head of the answer; each part of its body may then take `idle`.
    ///
    /// # Errors
    ///
    /// There is no answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request is given up and its connection closed.
    pub async fn post(
        &self,
        target: &UpstreamTarget,
        headers: HeaderMap,
        body: Bytes,
        (head, idle): (Duration, Duration),
    ) -> Result<UpstreamAnswer, UpstreamFailure> {
        let mut request = Request::new(Upload::Whole {
            bytes: body,
            _room: None,
        });
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.uri.clone();
        *request.headers_mut() = headers;
        let sending = self.shared.upstream.send(request, false);
        let response = match timeout(head, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(UpstreamFailure(Kind::Head(Failure::of(&error)))),
            Err(_elapsed) => return Err(UpstreamFailure(Kind::Head(Failure::AnswerTimeout))),
        };
        let (parts, body) = response.into_parts();
        Ok(UpstreamAnswer {
            status: parts.status,
            headers: parts.headers,
            body: Box::pin(Idle::new(body, idle)),
            _caller: Arc::clone(&self.shared),
        })
    }
}

impl UpstreamAnswer {
    /// Waits for the next bytes of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// Nothing came in time, or the body broke off before its end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, UpstreamFailure> {
        loop {
            let failure = match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => return Ok(Some(data)),
                    Err(_trailers) => continue,
                },
                Some(Err(IdleError::TimedOut)) => Kind::Silent,
                Some(Err(IdleError::Body(_))) => Kind::Cut,
            };
            return Err(UpstreamFailure(failure));
        }
    }
}

impl fmt::Debug for UpstreamCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamCaller").finish_non_exhaustive()
    }
}

impl fmt::Debug for UpstreamAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamAnswer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_to_its_last_slash_and_is_never_shown() {
        for url in [
            "http://127.0.0.1:8000/",
            "http://a/agentic_chat/",
            "http://a/agentic_chat",
            "https://a/run?code=s3cret",
            "https://a/run/?code=s3cret",
        ] {
            let target = UpstreamTarget::parse("a", url).unwrap();
            assert_eq!(target.uri.to_string(), url);
            assert_eq!(target.is_https(), url.starts_with("https"));
            assert!(!format!("{target:?}").contains("s3cret"));
        }
        let whole = UpstreamTarget::parse("a", "http://a").unwrap();
        assert_eq!(whole.uri.to_string(), "http://a/");
        for url in ["a", "ftp://a/", "http://", "http://u:p@a/", "http://a/#b"] {
            let error = UpstreamTarget::parse("a", url).unwrap_err();
            assert!(!error.to_string().contains("u:p"), "{error}");
        }
    }

    #[test]
    fn failures_speak_of_whom_was_called() {
        let failure = UpstreamFailure(Kind::Head(Failure::Refused));
        let text = failure.text("the agent");
        assert_eq!(text, "the agent refused the connection");
        assert!(failure.is_unreached() && !failure.is_timeout());
    }
}
