//! The tap: what a gateway holds once, and begins each exchange with.

use std::{fmt, sync::Arc};

use events_core::RequestId;
use events_models::Usd;

use crate::{
    Exchange, Extraction, LlmMetrics, PriceSource, Provider, ReaderLimits, StreamEventBroadcaster,
    StreamFailure, Usage,
};

/// Bounds of what a tap does beside each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TapLimits {
    /// Bounds of the reader.
    pub reader: ReaderLimits,
    /// The most bytes that an encoded body may decode to, so that a bomb costs no more than that. Default: 64 MiB.
    pub max_decoded_bytes: u64,
    /// How much of an error's body is read, in bytes. Default: 64 KiB.
    pub max_error_bytes: usize,
}

impl Default for TapLimits {
    fn default() -> Self {
        Self {
            reader: ReaderLimits::default(),
            max_decoded_bytes: 64 << 20,
            max_error_bytes: 64 << 10,
        }
    }
}

/// Watches exchanges with providers and tells a [`StreamEventBroadcaster`] of them. Cheap to clone.
#[derive(Clone)]
pub struct Tap {
    broadcaster: Arc<StreamEventBroadcaster>,
    prices: Arc<dyn PriceSource>,
    metrics: Arc<LlmMetrics>,
    limits: TapLimits,
}

impl Tap {
    /// Makes a tap.
    #[must_use]
    pub fn new(broadcaster: Arc<StreamEventBroadcaster>, prices: Arc<dyn PriceSource>) -> Self {
        Self::with_limits(broadcaster, prices, TapLimits::default())
    }

    /// Makes a tap with bounds of its own.
    #[must_use]
    pub fn with_limits(
        broadcaster: Arc<StreamEventBroadcaster>,
        prices: Arc<dyn PriceSource>,
        limits: TapLimits,
    ) -> Self {
        Self {
            broadcaster,
            prices,
            metrics: Arc::default(),
            limits,
        }
    }

    /// Returns whom the tap tells.
    #[must_use]
    pub const fn broadcaster(&self) -> &Arc<StreamEventBroadcaster> {
        &self.broadcaster
    }

    /// Returns what is measured of the exchanges.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<LlmMetrics> {
        &self.metrics
    }

    /// Appends what is measured in the text form of OpenMetrics, without the mark of the end.
    pub fn write_metrics(&self, out: &mut String) {
        self.metrics.write(&self.broadcaster, out);
    }

    /// Begins an exchange, before the provider is asked, so that also a request that gets no answer is seen.
    ///
    /// `started` is sent at once if the request's model is known, else as soon as the answer names one.
    pub fn begin(&self, request: RequestInfo) -> Exchange {
        let (broadcaster, prices) = (Arc::clone(&self.broadcaster), Arc::clone(&self.prices));
        let metrics = Arc::clone(&self.metrics);
        Exchange::begin(request, broadcaster, prices, metrics, self.limits)
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What is known of a request before it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// Its id, unique among the running requests.
    pub request_id: RequestId,
    /// The protocol of the answer. Without one the first event of a stream tells it, and bodies that are no stream
    /// are not read.
    pub provider: Option<Provider>,
    /// Who serves the model, for prices and for watchers; the protocol's own vendor if it is not said.
    pub vendor: Option<String>,
    /// The model that is asked for.
    pub model: Option<String>,
    /// What kind of agent asks.
    pub agent_type: Option<String>,
}

impl RequestInfo {
    /// Makes what is known of a request of which only the id is known.
    #[must_use]
    pub fn new(request_id: impl Into<RequestId>) -> Self {
        Self {
            request_id: request_id.into(),
            provider: None,
            vendor: None,
            model: None,
            agent_type: None,
        }
    }

    /// Says which protocol the answer speaks.
    #[must_use]
    pub fn with_provider(mut self, provider: Option<Provider>) -> Self {
        self.provider = provider;
        self
    }

    /// Says which model is asked for.
    #[must_use]
    pub fn with_model(mut self, model: Option<String>) -> Self {
        self.model = model;
        self
    }

    pub(crate) fn provider_name(&self) -> Option<String> {
        let by_protocol = self.provider.map(|provider| provider.vendor().to_owned());
        self.vendor.clone().or(by_protocol)
    }
}

/// What the head of an answer says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerHead<'h> {
    /// The HTTP status.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: Option<&'h str>,
    /// The header `Content-Encoding`.
    pub content_encoding: Option<&'h str>,
}

impl<'h> AnswerHead<'h> {
    /// Reads the head of a response.
    #[must_use]
    pub fn of(status: http::StatusCode, headers: &'h http::HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status: status.as_u16(),
            content_type: text(http::header::CONTENT_TYPE),
            content_encoding: text(http::header::CONTENT_ENCODING),
        }
    }
}

/// Is told what is read from one answer, such as an [`AgUiEmitter`](crate::AgUiEmitter) that feeds a log.
///
/// It is called on the thread that passes the answer on: it must not block. If it panics it is told nothing more,
/// and the answer flows on.
pub trait Observer: Send {
    /// Takes what was read.
    fn extraction(&mut self, extraction: &Extraction);

    /// Takes the end of the exchange, once, whatever the reason.
    fn ending(&mut self, ending: &Ending);
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ending {
    /// What went wrong; `None` if the answer is complete.
    pub failure: Option<StreamFailure>,
    /// Why the model stopped, in the provider's words.
    pub finish_reason: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// Tokens as far as they were reported.
    pub usage: Option<Usage>,
    /// What it cost, if that is known.
    pub cost: Option<Usd>,
    /// Whether the counts are those of a moment before the end.
    pub is_partial: bool,
}
