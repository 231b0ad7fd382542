//! The one place that turns errors into statuses: problem documents after RFC 9457.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use events_broadcast::ConnectError;
use events_core::EventError;
use events_models::InvalidEvent;
use events_router::{PublishError, Refusal};
use serde::Serialize;

use crate::metrics::Bound;

/// An error answer: a problem document with what was wrong, where, and what to do.
///
/// `{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"…","line":3}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    /// The line of the request's body, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// The JSON path of the offending value.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The order rule that was broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<u8>,
    #[serde(skip)]
    retry_after: Option<u64>,
    /// The body was coded, and may not be.
    #[serde(skip)]
    is_coded: bool,
    /// There was a token, and it was not good.
    #[serde(skip)]
    is_bad_token: bool,
    /// The bound that was hit, for the metrics.
    #[serde(skip)]
    bound: Option<Bound>,
}

impl Problem {
    /// Makes a problem of a status and what to tell the client.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: shown(detail.into()),
            line: None,
            path: None,
            rule: None,
            retry_after: None,
            is_coded: false,
            is_bad_token: false,
            bound: None,
        }
    }

    /// Returns the status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "the request does not say who it is from",
        )
    }

    /// A token that is not good, in words that say nothing about why: only its issuer could use them.
    pub(crate) fn bad_token() -> Self {
        Self {
            is_bad_token: true,
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "the token is not valid, has expired or was revoked; get a new one",
            )
        }
    }

    pub(crate) fn not_operator(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn draining() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this server is going away; try again",
        )
        .retry_after(1)
    }

    /// An operator has closed what the request had begun, and has revoked nothing.
    pub(crate) fn closed() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "an operator has closed this request; nothing was revoked: send what has no answer again",
        )
        .retry_after(1)
    }

    /// The log does not say whose tokens were revoked.
    #[cfg(feature = "auth")]
    pub(crate) fn not_known() -> Self {
        let detail = "whose tokens were revoked has not been read from the log yet; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
    }

    pub(crate) fn event_too_large(limit: usize) -> Self {
        let detail = format!("the event is larger than the limit of {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail).at_bound(Bound::EventBytes)
    }

    pub(crate) fn body_too_large(limit: usize, bound: Bound) -> Self {
        let detail = format!("the body is larger than the limit of {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail).at_bound(bound)
    }

    /// A client that is refused for now, because of what others do at the same time.
    pub(crate) fn too_many(detail: &str, bound: Bound) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
            .retry_after(1)
            .at_bound(bound)
    }

    /// A client that does something more often than it may; `wait` is the time after which it may again.
    pub(crate) fn too_often(detail: &str, wait: Duration, bound: Bound) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("{detail}; try again in {} s", seconds.max(1));
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
            .retry_after(seconds.max(1))
            .at_bound(bound)
    }

    /// A body with a content coding. None is taken, because a small body could become any amount of memory.
    pub(crate) fn coded() -> Self {
        Self {
            is_coded: true,
            ..Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "bodies are taken as they are: send it again without Content-Encoding",
            )
        }
    }

    /// Returns what was wrong.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns after how many seconds the client should try again.
    pub(crate) const fn wait_seconds(&self) -> Option<u64> {
        self.retry_after
    }

    pub(crate) fn too_slow(detail: String, bound: Bound) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, detail).at_bound(bound)
    }

    pub(crate) const fn at_bound(mut self, bound: Bound) -> Self {
        self.bound = Some(bound);
        self
    }

    pub(crate) const fn bound(&self) -> Option<Bound> {
        self.bound
    }

    pub(crate) const fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn of_invalid(invalid: &InvalidEvent) -> Self {
        let status = if invalid.is_syntax() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        Self {
            path: Some(shown(invalid.path.clone())),
            ..Self::new(status, invalid.to_string())
        }
    }

    fn of_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Invalid(invalid) => Self::of_invalid(invalid),
            Refusal::Order(order) => {
                let rule = Some(order.rule());
                Self {
                    rule,
                    ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, order.to_string())
                }
            }
            Refusal::Task(order) => {
                let rule = Some(order.rule());
                Self {
                    rule,
                    ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, order.to_string())
                }
            }
            other => Self::new(StatusCode::UNPROCESSABLE_ENTITY, other.to_string()),
        }
    }

    /// Turns a failed publish into a problem; `line_of` tells the line of an event by its index.
    pub(crate) fn of_publish(error: &PublishError, line_of: impl Fn(usize) -> Option<u64>) -> Self {
        match error {
            PublishError::Refused { index, refusal } => {
                let problem = Self::of_refusal(refusal);
                let problem = match line_of(*index) {
                    Some(line) => problem.at_line(line),
                    None => problem,
                };
                problem.with_line_in_detail()
            }
            PublishError::Log(error) => Self::of_log(error),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the event was not taken"),
        }
    }

    /// Turns an error of the log into a problem.
    pub(crate) fn of_log(error: &EventError) -> Self {
        let detail = error.to_string();
        match error {
            EventError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail).at_bound(Bound::EventBytes)
            }
            EventError::Rejected(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            EventError::Overloaded(_) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(1)
            }
            EventError::Unavailable(_) | EventError::Conflict { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
            }
            EventError::Timeout => {
                let detail = format!("{detail}; try again with the same msg_id");
                Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail),
        }
    }

    /// Says the line in the text too, for people who read only that.
    pub(crate) fn with_line_in_detail(mut self) -> Self {
        if let Some(line) = self.line {
            self.detail.insert_str(0, &format!("line {line}: "));
        }
        self
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        let detail = error.to_string();
        match error {
            ConnectError::TooMany { .. } => {
                let detail = format!("{detail}; close one and try again");
                Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(5)
            }
            ConnectError::Closed => Self::draining(),
            _ => Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(5),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let is_coded = self.is_coded;
        // RFC 6750, 3.
        let challenge = match status {
            StatusCode::UNAUTHORIZED if self.is_bad_token => Some("Bearer error=\"invalid_token\""),
            StatusCode::UNAUTHORIZED => Some("Bearer"),
            _ => None,
        };
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        if is_coded {
            // RFC 9110, 15.5.16: so the client knows that it is the coding.
            let identity = HeaderValue::from_static("identity");
            headers.insert(header::ACCEPT_ENCODING, identity);
        }
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// How much of a text is shown, in bytes; what a client has sent may be quoted in it.
const MOST_SHOWN: usize = 1_000;

/// Writes control characters as escapes and leaves out the end of a long text: what a client has sent is shown to
/// people, in logs too.
fn shown(text: String) -> String {
    if text.len() <= MOST_SHOWN && !text.contains(char::is_control) {
        return text;
    }
    let mut shown = String::new();
    for letter in text.chars() {
        if shown.len() >= MOST_SHOWN {
            shown.push('…');
            break;
        }
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}
