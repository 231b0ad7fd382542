//! The state of one request, as the events of it add up to.

use events_core::RequestId;
use serde::{Deserialize, Serialize};

use super::{StreamDetail, Usd};

/// How far a request is.
///
/// `"streaming"`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamState {
    /// Nothing has come from the model yet.
    #[default]
    Waiting,
    /// The model answers.
    Streaming,
    /// The answer is complete.
    Completed,
    /// The answer failed, was cut, or its reader left.
    Failed,
}

/// One request and what has become of it by now. What is not known is absent.
///
/// `{"request_id":"r1","model":"m","state":"streaming","started_at":1782302400123,"text":"Hel","text_bytes":3}`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StreamSummary {
    /// The request.
    pub request_id: RequestId,
    /// The model that was asked for; empty if the request does not say.
    pub model: String,
    /// What kind of agent asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_type: Option<String>,
    /// Who serves the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// How far it is.
    pub state: StreamState,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_at: i64,
    /// When something was last heard of it, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<i64>,
    /// When it ended, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// The last part of the text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The length of the whole text, in bytes.
    #[serde(default)]
    pub text_bytes: u64,
    /// The length of all reasoning, in bytes.
    #[serde(default)]
    pub reasoning_bytes: u64,
    /// Tool calls that began.
    #[serde(default)]
    pub tool_calls: u64,
    /// Tokens of the whole prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the whole answer, as far as they were reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Usd>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What else is known.
    #[serde(flatten)]
    pub detail: Box<StreamDetail>,
}

impl StreamSummary {
    /// Makes the summary of a request that begins now.
    #[must_use]
    pub fn new(request_id: RequestId, model: impl Into<String>, started_at: i64) -> Self {
        Self {
            request_id,
            model: model.into(),
            agent_type: None,
            provider: None,
            state: StreamState::Waiting,
            started_at,
            last_event_at: None,
            ended_at: None,
            text: String::new(),
            text_bytes: 0,
            reasoning_bytes: 0,
            tool_calls: 0,
            input_tokens: None,
            output_tokens: None,
            cost_usd: None,
            message: None,
            detail: Box::default(),
        }
    }

    /// Tells whether the request is still running.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.state, StreamState::Waiting | StreamState::Streaming)
    }
}
