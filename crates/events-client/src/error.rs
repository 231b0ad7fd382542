//! What can go wrong, and what the hub says about it.

use std::{fmt, time::Duration};

use events_sse::ClosingReason;
use serde::{Deserialize, Deserializer};

use crate::publish::Published;

/// A hub's account of a refusal, by RFC 9457. A body that is none becomes the detail.
///
/// `{"type":"about:blank","title":"Unprocessable Content","status":422,"detail":"…","line":3,"path":"$.type"}`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Problem {
    /// What kind of problem it is, as a URI.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The kind in a few words.
    pub title: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What is wrong with this very request.
    pub detail: Option<String>,
    /// The line of the request, from 1, that was refused.
    pub line: Option<u64>,
    /// The place within the event, as a JSON path.
    pub path: Option<String>,
    /// The name of the rule that the event breaks; its number, where the hub numbers its rules.
    #[serde(deserialize_with = "name_of_rule")]
    pub rule: Option<String>,
}

/// Takes a name or a number; whatever else a hub may say about the rule must not hide the rest of its account.
fn name_of_rule<'de, D: Deserializer<'de>>(rule: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(rule)? {
        serde_json::Value::String(name) => Some(name),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.detail.as_deref().or(self.title.as_deref());
        f.write_str(text.unwrap_or("no reason given"))?;
        if let Some(path) = &self.path {
            write!(f, " (at {path})")?;
        }
        Ok(())
    }
}

/// Why a connection or an attempt came to nothing; another one may succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The stream ended, without a word why.
    #[error("stream ended")]
    Ended,
    /// Not even a heartbeat came for this long.
    #[error("stream was silent for {0:?}")]
    Silent(Duration),
    /// The hub said that it ends the stream.
    #[error("stream was closed: {0:?}")]
    Closing(ClosingReason),
    /// The hub answered with a status that can pass.
    #[error("status {status}: {problem}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The hub's account.
        problem: Box<Problem>,
    },
    /// No answer came in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection could not be made, or broke.
    #[error("connection failed")]
    Transport(#[source] reqwest::Error),
}

impl Cause {
    /// Whether no connection could be made, so that the hub knows nothing of the attempt.
    #[must_use]
    pub fn is_not_connected(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_connect())
    }
}

/// Why a stream or a publish is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be sent as it is.
    #[error("invalid request: {0}")]
    Invalid(&'static str),
    /// The base address is not an HTTP address.
    #[error("invalid address {0:?}")]
    Address(String),
    /// The HTTP client cannot be set up.
    #[error("http client cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// The system's certificates are needed for an `https` address, and cannot be had.
    #[error("tls cannot be set up")]
    Tls(#[source] std::io::Error),
    /// The hub refuses the request, and would refuse it again: not allowed, not found, not understood.
    #[error("status {status}: {problem}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The hub's account.
        problem: Box<Problem>,
    },
    /// The answer to a subscription is no event stream.
    #[error("answer is no event stream but {0:?}")]
    NotAStream(String),
    /// The stream was lost as many times in a row as the caller allows.
    #[error("gave up after {attempts} attempts in a row")]
    GaveUp {
        /// The number of attempts.
        attempts: u32,
        /// Why the last one failed.
        #[source]
        cause: Cause,
    },
    /// The hub refuses an event; none of its batch is in the log.
    #[error("event {} refused: {problem}", line.map_or_else(String::new, |line| line.to_string()))]
    Refused {
        /// The event's place among those of the call, from 1, if the hub named it.
        line: Option<u64>,
        /// The hub's account; its own line number is the one within the batch.
        problem: Box<Problem>,
        /// What the batches before have come to.
        published: Box<Published>,
    },
    /// The deadline of a batch has passed, or the caller gave it up. Its outcome is unknown: publish again with the
    /// same message id.
    #[error("not published, after {attempts} attempts")]
    Deadline {
        /// The number of attempts.
        attempts: u32,
        /// Why the last one failed.
        #[source]
        cause: Cause,
        /// What the batches before have come to.
        published: Box<Published>,
    },
    /// The hub's answer cannot be read.
    #[error("answer cannot be read")]
    Answer(#[source] serde_json::Error),
    /// An event has no JSON form.
    #[error("event cannot be encoded")]
    Encode(#[source] serde_json::Error),
    /// A live publish was cut off, or ended by the hub; the outcome of the lines without a receipt is unknown.
    #[error("live publish failed")]
    Live(#[source] Cause),
    /// A line was sent after the end of a live publish.
    #[error("live publish is closed")]
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_with_unknown_or_missing_members_is_read() {
        let problem: Problem = serde_json::from_str(r#"{"detail":"no","more":{}}"#).unwrap();
        assert_eq!(problem.to_string(), "no");
        let problem: Problem = serde_json::from_str(r#"{"title":"No","path":"$.a"}"#).unwrap();
        assert_eq!(problem.to_string(), "No (at $.a)");
    }
}
