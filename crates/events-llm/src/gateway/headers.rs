//! Which headers pass.
//!
//! All do, but for those that speak of one connection only (RFC 9110, 7.6.1), those that are meant for the gateway,
//! and few that it has to say itself.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPECT, HOST,
        PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
    },
};

/// Whose screens see the answer.
pub(crate) const USER: HeaderName = HeaderName::from_static("x-events-user");
/// On which thread they see it.
pub(crate) const THREAD: HeaderName = HeaderName::from_static("x-events-thread");
/// What kind of agent asks.
pub(crate) const AGENT: HeaderName = HeaderName::from_static("x-events-agent");
/// Whether the answer is read on without the client.
pub(crate) const DETACH: HeaderName = HeaderName::from_static("x-events-detach");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `Trailer` is not among them: RFC 9110 does not count it, and trailers that nobody announced are not written.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
];

/// What may hold a key, so that it is shown nowhere and kept out of the tables of HTTP/2.
const SECRET: [&str; 6] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "cookie",
    "x-auth-token",
];

/// Makes the headers of a request those that are sent to a provider.
pub(crate) fn of_request(headers: &mut HeaderMap, is_identity_asked: bool) {
    let takes_trailers = has_token(headers, &TE, "trailers");
    drop_hop_by_hop(headers);
    for name in [HOST, USER, THREAD, AGENT, DETACH] {
        headers.remove(name);
    }
    if has_token(headers, &EXPECT, "100-continue") {
        // The server that took the request has said "continue" by reading its body.
        headers.remove(EXPECT);
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if is_identity_asked {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    for name in SECRET {
        if let http::header::Entry::Occupied(mut values) = headers.entry(name) {
            values
                .iter_mut()
                .for_each(|value| value.set_sensitive(true));
        }
    }
}

/// Makes the headers of an answer those that are sent to its client.
pub(crate) fn of_answer(headers: &mut HeaderMap) {
    drop_hop_by_hop(headers);
    if is_event_stream(headers) {
        headers
            .entry(ACCEL_BUFFERING)
            .or_insert(HeaderValue::from_static("no"));
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-cache"));
    }
}

/// Whether a client asks for a protocol that is not HTTP. `h2c`, which some clients offer on every request, may be
/// passed over.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    protocols.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

/// Whether a client says that it wants events.
pub(crate) fn asks_for_events(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ACCEPT).iter();
    values.any(is_events)
}

/// The bytes of all names and values, and how many there are.
pub(crate) fn size(headers: &HeaderMap) -> (usize, usize) {
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    (sizes.sum(), headers.len())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(is_events)
}

fn is_events(value: &HeaderValue) -> bool {
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    text.contains("text/event-stream")
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(tokens)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut found = headers.get_all(name).iter().flat_map(tokens);
    found.any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

/// The words between commas, without parameters.
fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(|token| {
        let end = token.iter().position(|byte| *byte == b';');
        token
            .get(..end.unwrap_or(token.len()))
            .unwrap_or_default()
            .trim_ascii()
    })
}
