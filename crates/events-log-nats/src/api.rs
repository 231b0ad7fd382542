//! Requests to JetStream, as its servers speak them: JSON under `$JS.API`.
//!
//! Source: the public reference of the JetStream wire API and ADR-8, 31 and 50 of NATS.

use std::time::{Duration, SystemTime};

use async_nats::{
    Client, HeaderMap, Message, Request, RequestErrorKind, StatusCode, connection::State,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use events_core::{EventError, EventResult};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{error::unavailable, read::stored_at};

/// How long a question other than an append may take in all.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(3);
/// How long one attempt may take before it is made again.
const ATTEMPT: Duration = Duration::from_millis(1_200);
/// Between attempts, while there is no leader.
const PAUSE: Duration = Duration::from_millis(60);

/// No message fits.
pub(crate) const NO_MESSAGE: u64 = 10_037;
/// There is no such stream.
pub(crate) const NO_STREAM: u64 = 10_059;
/// The user's last message is another one, and the text names it.
pub(crate) const WRONG_LAST: u64 = 10_071;
/// The same, and the text does not name it, because an append of somebody is under way.
pub(crate) const WRONG_LAST_UNNAMED: u64 = 10_164;
/// A cluster that has just begun does not know its servers yet.
const NO_PEERS: u64 = 10_005;
/// A message with this id is being stored.
pub(crate) const DUPLICATE_UNDER_WAY: u64 = 10_158;

/// Why there is no answer that can be used.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// There is no connection; nothing was sent.
    NotConnected,
    /// Nobody serves this subject, so nothing was done: no JetStream, no such stream, or no leader now.
    NobodyServes,
    /// Sent, and not answered in time.
    NoAnswer,
    /// The server refuses.
    Refused(Refusal),
    /// The answer is none that we know.
    Strange(String),
}

/// A refusal in the server's words.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) code: u16,
    #[serde(default)]
    pub(crate) err_code: u64,
    #[serde(default)]
    pub(crate) description: String,
}

impl ApiError {
    pub(crate) fn is_refused_as(&self, err_code: u64) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.err_code == err_code)
    }

    /// Whether the same may work in a moment, such as when a leader is chosen.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NobodyServes | Self::NoAnswer | Self::NotConnected => true,
            Self::Refused(refusal) => {
                matches!(refusal.code, 408 | 503) || refusal.err_code == NO_PEERS
            }
            Self::Strange(_) => false,
        }
    }

    pub(crate) fn into_event_error(self) -> EventError {
        unavailable(self.to_string())
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConnected => f.write_str("not connected"),
            Self::NobodyServes => {
                f.write_str("nobody serves the stream: JetStream is off, or there is no leader now")
            }
            Self::NoAnswer => f.write_str("no answer in time"),
            Self::Refused(refusal) => {
                let Refusal {
                    code,
                    err_code,
                    description,
                } = refusal;
                write!(f, "refused with {code} ({err_code}): {description}")
            }
            Self::Strange(what) => write!(f, "an answer that is not known: {what}"),
        }
    }
}

/// An answer that may be a refusal.
#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

/// The client, and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) client: Client,
}

/// A message as a leader hands it out.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    /// When, by the server's clock.
    pub(crate) stored_at: SystemTime,
    pub(crate) body: Bytes,
}

impl Api {
    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Sends a message to whom it concerns, and waits for the answer.
    pub(crate) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        body: Bytes,
        limit: Duration,
    ) -> Result<Message, ApiError> {
        if !self.is_connected() {
            return Err(ApiError::NotConnected);
        }
        let mut request = Request::new().payload(body).timeout(None);
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let asked = self.client.send_request(subject, request);
        match tokio::time::timeout(limit, asked).await {
            Err(_elapsed) => Err(ApiError::NoAnswer),
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => {
                Err(match error.kind() {
                    RequestErrorKind::NoResponders => ApiError::NobodyServes,
                    RequestErrorKind::TimedOut | RequestErrorKind::Other => ApiError::NoAnswer,
                    kind @ (RequestErrorKind::InvalidSubject
                    | RequestErrorKind::MaxPayloadExceeded) => ApiError::Strange(kind.to_string()),
                })
            }
        }
    }

    /// Asks once.
    pub(crate) async fn call_once<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<T, ApiError> {
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        let answer = self
            .ask(format!("$JS.API.{what}"), None, body, limit)
            .await?;
        read_answer(&answer.payload)
    }

    /// Asks again while that may help, for some seconds. Only for questions that may be asked twice.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        what: &str,
        body: &Value,
    ) -> Result<T, ApiError> {
        self.call_within(READ_DEADLINE, what, body).await
    }

    /// Asks again while that may help, for so long.
    pub(crate) async fn call_within<T: DeserializeOwned>(
        &self,
        limit: Duration,
        what: &str,
        body: &Value,
    ) -> Result<T, ApiError> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            let error = match self.call_once(what, body, ATTEMPT.min(left)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let has_time = tokio::time::Instant::now() + PAUSE < end;
            if !error.is_passing() || !has_time || matches!(error, ApiError::NotConnected) {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks the stream's leader for one message; none if there is none.
    pub(crate) async fn get(&self, stream: &str, question: &Value) -> EventResult<Option<Stored>> {
        #[derive(Deserialize)]
        struct Got {
            message: Held,
        }
        #[derive(Deserialize)]
        struct Held {
            seq: u64,
            #[serde(default)]
            data: String,
            #[serde(default)]
            time: String,
        }
        let got = self
            .call::<Got>(&format!("STREAM.MSG.GET.{stream}"), question)
            .await;
        match got {
            Ok(Got { message }) => {
                let body = STANDARD
                    .decode(message.data)
                    .map_err(|_no_base64| unavailable("the body of a message is no base64"))?;
                Ok(Some(Stored {
                    sequence: message.seq,
                    stored_at: stored_at(&message.time),
                    body: body.into(),
                }))
            }
            Err(error) if error.is_refused_as(NO_MESSAGE) => Ok(None),
            Err(error) => Err(error.into_event_error()),
        }
    }

    /// Asks the leader for the last message of a subject.
    pub(crate) async fn last(&self, stream: &str, subject: &str) -> EventResult<Option<Stored>> {
        self.get(stream, &serde_json::json!({ "last_by_subj": subject }))
            .await
    }

    /// Asks the leader for the first message of a subject at this sequence or after it.
    pub(crate) async fn next(
        &self,
        stream: &str,
        subject: &str,
        sequence: u64,
    ) -> EventResult<Option<Stored>> {
        let question = serde_json::json!({ "seq": sequence, "next_by_subj": subject });
        self.get(stream, &question).await
    }
}

/// Reads an answer of the API.
pub(crate) fn read_answer<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ApiError> {
    let strange = |error: serde_json::Error| ApiError::Strange(error.to_string());
    let answer: Answer = serde_json::from_slice(payload).map_err(strange)?;
    match answer.error {
        Some(refusal) => Err(ApiError::Refused(refusal)),
        None => serde_json::from_slice(payload).map_err(strange),
    }
}

/// The number of a header.
pub(crate) fn number(message: &Message, header: &str) -> Option<u64> {
    message.headers.as_ref()?.get(header)?.as_str().parse().ok()
}

/// Whether a message is a server's word rather than somebody's message.
pub(crate) fn status(message: &Message) -> Option<u16> {
    message.status.map(|status| StatusCode::as_u16(&status))
}
