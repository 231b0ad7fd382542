//! Streams of language models, as a screen of running requests shows them.

mod feed;
mod summary;
mod usd;

pub use feed::{ActiveStreams, AlertKind, ModelTotals, StreamAlert, StreamFeedFrame, StreamTotals};
pub use summary::{StreamState, StreamSummary};
pub use usd::Usd;

use events_core::{Clock, RequestId, SystemClock};
use serde::{Deserialize, Serialize};

/// Something that happened to one request to a language model.
///
/// Each request has one `started`, any number of `text_delta`, and exactly one of `completed` and `error`. A count
/// that is not known is absent; it is never zero instead.
///
/// `{"type":"text_delta","request_id":"r1","text":"Hello"}`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TuiStreamEvent {
    /// The request is on its way.
    ///
    /// `{"type":"started","request_id":"r1","model":"claude-x","agent_type":"cook","provider":"anthropic"}`
    Started {
        /// The request.
        request_id: RequestId,
        /// The model that was asked for; empty if the request does not say.
        model: String,
        /// What kind of agent asks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent_type: Option<String>,
        /// Who serves the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        /// When it happened, in milliseconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<i64>,
    },
    /// The model said something; reasoning is not among it.
    ///
    /// `{"type":"text_delta","request_id":"r1","text":"Hello"}`
    TextDelta {
        /// The request.
        request_id: RequestId,
        /// The text to append.
        text: String,
        /// When it happened, in milliseconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<i64>,
    },
    /// The answer is complete.
    ///
    /// `{"type":"completed","request_id":"r1","input_tokens":15,"output_tokens":21,"cost_usd":0.00012}`
    Completed {
        /// The request.
        request_id: RequestId,
        /// Tokens of the whole prompt, those from a cache included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input_tokens: Option<u64>,
        /// Tokens of the whole answer, reasoning included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_tokens: Option<u64>,
        /// What it cost; absent if the counts or the prices are not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_usd: Option<Usd>,
        /// What else is known.
        #[serde(flatten)]
        detail: Box<StreamDetail>,
        /// When it happened, in milliseconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<i64>,
    },
    /// The answer failed, was cut, or its reader left. Counts are what was known by then.
    ///
    /// `{"type":"error","request_id":"r1","message":"Overloaded","input_tokens":15}`
    Error {
        /// The request.
        request_id: RequestId,
        /// What went wrong.
        message: String,
        /// Tokens of the whole prompt, those from a cache included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input_tokens: Option<u64>,
        /// Tokens of the answer as far as they were reported.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output_tokens: Option<u64>,
        /// What it cost as far as is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost_usd: Option<Usd>,
        /// What else is known.
        #[serde(flatten)]
        detail: Box<StreamDetail>,
        /// When it happened, in milliseconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<i64>,
    },
}

/// What is known of a request at its end, beside the counts that everybody wants.
///
/// `{"response_model":"claude-x","cached_input_tokens":9000,"finish_reason":"end_turn","duration_ms":1200}`
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamDetail {
    /// The model that answered, which may be another than the one asked for.
    #[serde(rename = "response_model", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider's id of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// Tokens found in a cache, part of the prompt's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input_tokens: Option<u64>,
    /// Tokens put into a cache, part of the prompt's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Tokens of reasoning, part of the answer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// A guess at the answer's tokens, only where the provider reports none. Not to be added to reported counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_output_tokens: Option<u64>,
    /// Why the model stopped, in the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// The provider's name for an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The status of an HTTP answer that is not a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// From the request to the first text, reasoning or tool call, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<u64>,
    /// From the request to its end, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What kept the answer from being read to its end, though the client got all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Whether the counts are those of a moment before the end, and the real ones may be larger.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl TuiStreamEvent {
    /// Returns the event's type as it is on the wire.
    #[must_use]
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::TextDelta { .. } => "text_delta",
            Self::Completed { .. } => "completed",
            Self::Error { .. } => "error",
        }
    }

    /// Returns when it happened, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn timestamp(&self) -> Option<i64> {
        match self {
            Self::Started { timestamp, .. }
            | Self::TextDelta { timestamp, .. }
            | Self::Completed { timestamp, .. }
            | Self::Error { timestamp, .. } => *timestamp,
        }
    }

    /// Returns the request that it happened to.
    #[must_use]
    pub const fn request_id(&self) -> &RequestId {
        match self {
            Self::Started { request_id, .. }
            | Self::TextDelta { request_id, .. }
            | Self::Completed { request_id, .. }
            | Self::Error { request_id, .. } => request_id,
        }
    }

    /// Tells whether nothing follows for this request.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Error { .. })
    }
}

/// Makes events of LLM streams and stamps them with the machine's time.
///
/// ```
/// use events_models::{TuiStreamEvent, TuiStreamEventBuilder};
///
/// let event = TuiStreamEventBuilder::text_delta("r1", "Hello");
/// assert!(matches!(&event, TuiStreamEvent::TextDelta { text, .. } if text == "Hello"));
/// assert!(event.timestamp().is_some());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TuiStreamEventBuilder;

fn now() -> Option<i64> {
    Some(SystemClock.now_ms())
}

impl TuiStreamEventBuilder {
    /// Makes `started`.
    pub fn started(
        request_id: impl Into<RequestId>,
        model: impl Into<String>,
        agent_type: Option<String>,
    ) -> TuiStreamEvent {
        TuiStreamEvent::Started {
            request_id: request_id.into(),
            model: model.into(),
            agent_type,
            provider: None,
            timestamp: now(),
        }
    }

    /// Makes `text_delta`.
    pub fn text_delta(request_id: impl Into<RequestId>, text: impl Into<String>) -> TuiStreamEvent {
        TuiStreamEvent::TextDelta {
            request_id: request_id.into(),
            text: text.into(),
            timestamp: now(),
        }
    }

    /// Makes `completed`; counts in tokens, `None` for what is not known.
    pub fn completed(
        request_id: impl Into<RequestId>,
        input_tokens: Option<u64>,
        output_tokens: Option<u64>,
        cost_usd: Option<Usd>,
    ) -> TuiStreamEvent {
        TuiStreamEvent::Completed {
            request_id: request_id.into(),
            input_tokens,
            output_tokens,
            cost_usd,
            detail: Box::default(),
            timestamp: now(),
        }
    }

    /// Makes `error`.
    pub fn error(request_id: impl Into<RequestId>, message: impl Into<String>) -> TuiStreamEvent {
        TuiStreamEvent::Error {
            request_id: request_id.into(),
            message: message.into(),
            input_tokens: None,
            output_tokens: None,
            cost_usd: None,
            detail: Box::default(),
            timestamp: now(),
        }
    }
}

#[cfg(test)]
mod tests;
