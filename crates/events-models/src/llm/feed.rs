//! The frames of `/llm/streams`: what a screen needs to know of all requests, from any moment on.

use events_core::RequestId;
use serde::{Deserialize, Serialize};

use super::{StreamSummary, TuiStreamEvent, Usd};

/// One frame of the stream of all requests.
///
/// `{"type":"active","at":1782302400123,"since":1782300000000,"streams":[],"totals":{"started":0,"completed":0,"failed":0}}`
///
/// `{"type":"text_delta","request_id":"r1","text":"Hello"}`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StreamFeedFrame {
    /// Everything as it is at one moment. What was known before is void.
    Active(ActiveStreams),
    /// A bound of the operator was crossed, or is kept again.
    Alert(StreamAlert),
    /// Something happened after the last [`Active`](Self::Active).
    Event(TuiStreamEvent),
}

/// All requests as they are at one moment. It comes first, and after each time the reader was too slow.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "active")]
pub struct ActiveStreams {
    /// The moment, in milliseconds since the Unix epoch by the gateway's clock.
    pub at: i64,
    /// Since when the gateway counts, in milliseconds since the Unix epoch.
    pub since: i64,
    /// The requests that run and those that have just ended, in the order of their beginning.
    pub streams: Vec<StreamSummary>,
    /// What all requests since then add up to.
    pub totals: StreamTotals,
    /// The same for each model, those with most requests first; bounded, so not always all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelTotals>,
    /// The alerts that are raised now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<StreamAlert>,
    /// How many events this reader was too slow for since its last frame of this type.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What requests add up to. Counts of tokens are of the requests that reported them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamTotals {
    /// Requests that began.
    pub started: u64,
    /// Requests that ended with a complete answer.
    pub completed: u64,
    /// Requests that ended otherwise.
    pub failed: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of prompts that came from a cache, part of the former.
    pub cached_input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What the requests cost whose price is known.
    pub cost_usd: Usd,
    /// Ended requests whose price is not known. One that the provider refused has none and is not among them.
    pub unpriced: u64,
    /// Ended requests that reported no tokens, again without those that the provider refused.
    pub unreported: u64,
}

/// What the requests of one model add up to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModelTotals {
    /// Who serves the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that was asked for; empty if the requests do not say.
    pub model: String,
    /// The sums.
    #[serde(flatten)]
    pub totals: StreamTotals,
}

/// A bound of the operator that was crossed, or is kept again.
///
/// `{"type":"alert","kind":"hourly_cost","is_raised":true,"message":"$12.50 in the last hour","timestamp":1782302400123}`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename = "alert")]
pub struct StreamAlert {
    /// Which bound.
    pub kind: AlertKind,
    /// Whether it is crossed; else it is kept again.
    pub is_raised: bool,
    /// The request that crossed it, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The value and the bound, for people.
    pub message: String,
    /// When it happened, in milliseconds since the Unix epoch.
    pub timestamp: i64,
}

/// What an operator can bound.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// The cost of one request. It is never taken back.
    StreamCost,
    /// The cost of all requests in the last hour.
    HourlyCost,
    /// The share of requests that failed lately.
    ErrorRate,
}

impl AlertKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::StreamCost, Self::HourlyCost, Self::ErrorRate];

    /// Returns the name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StreamCost => "stream_cost",
            Self::HourlyCost => "hourly_cost",
            Self::ErrorRate => "error_rate",
        }
    }
}
