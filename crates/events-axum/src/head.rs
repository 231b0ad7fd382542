//! What a stream begins with: response headers, the first bytes, and who is told to come back later.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use events_core::EventId;
use events_sse::{Closing, ClosingReason, encode_comment, encode_id_only, encode_retry};

/// Says that an answer goes on for long, so that the serving loop may give it the socket.
///
/// An extension of responses; see `serve::Server`. All streams of this crate have it, and a handler of yours may put it
/// into its own endless answers. The body is the same then, with all layers around it; what changes is who writes it:
/// `Connection: close` is in the head, and while the answer goes on nothing that the client sends is read.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(
    not(feature = "serve"),
    expect(unreachable_pub, reason = "it has its public name in `serve`")
)]
pub struct TakeOver;

/// The reconnection time that clients are told, in milliseconds; drawn for each connection.
fn retry_ms() -> u64 {
    fastrand::u64(2_000..=5_000)
}

/// How long a client whose place was taken should stay away, in milliseconds.
const REPLACED_RETRY_MS: u64 = 30_000;

/// Makes the first bytes: reconnection time, a comment that opens proxies, and a cursor that is valid already.
pub(crate) fn first_bytes(cursor: Option<EventId>) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    encode_retry(retry_ms(), &mut out);
    encode_comment("connected", &mut out);
    if let Some(cursor) = cursor {
        encode_id_only(cursor, &mut out);
    }
    out
}

/// Makes the last bytes: reconnection time, and the reason unless the client wants none.
pub(crate) fn last_bytes(reason: ClosingReason, has_control: bool) -> Vec<u8> {
    let retry_ms = if matches!(reason, ClosingReason::Replaced) {
        REPLACED_RETRY_MS
    } else {
        retry_ms()
    };
    last_bytes_with(retry_ms, reason, has_control)
}

fn last_bytes_with(retry_ms: u64, reason: ClosingReason, has_control: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    encode_retry(retry_ms, &mut out);
    if has_control {
        // The reasons that we send have a JSON form.
        let _ = Closing { reason }.encode(&mut out);
    }
    out
}

/// Answers a stream that cannot be opened now: a browser never retries after an error status.
pub(crate) fn come_back_later() -> Response {
    stream_response(Body::from(last_bytes(ClosingReason::Draining, true)))
}

/// The same, and not before so many seconds are over.
pub(crate) fn come_back_after(seconds: Option<u64>) -> Response {
    let retry_ms = seconds.unwrap_or_default() * 1_000 + retry_ms();
    let bytes = last_bytes_with(retry_ms, ClosingReason::Draining, true);
    stream_response(Body::from(bytes))
}

/// Puts the headers of a stream around its body.
pub(crate) fn stream_response(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, events_sse::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-cache, no-store, no-transform"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let mut response = Response::new(body);
    // hyper keeps the emptied map for as long as the answer goes on; one that grows by itself has room for twice as many.
    response.headers_mut().reserve(headers.len());
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response.extensions_mut().insert(TakeOver);
    response
}
