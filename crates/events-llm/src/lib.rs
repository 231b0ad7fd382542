//! Watches answers of language models as they stream by: a tap on the bytes, readers of five protocols, prices,
//! and the same answer as AG-UI events.
//!
//! ```
//! use std::sync::Arc;
//! use events_llm::{AnswerHead, NoPrices, Provider, RequestInfo, StreamEventBroadcaster, Tap, TuiStreamEvent};
//! use futures_util::{FutureExt as _, StreamExt as _};
//!
//! let broadcaster = Arc::new(StreamEventBroadcaster::default());
//! let mut receiver = broadcaster.subscribe();
//! let tap = Tap::new(broadcaster, Arc::new(NoPrices));
//!
//! // A gateway begins an exchange, asks the provider, and passes the answer on through the tap.
//! let exchange = tap.begin(RequestInfo::new("r1").with_provider(Some(Provider::Ollama)));
//! let answer = [Ok::<_, std::io::Error>(&b"{\"model\":\"m\",\"message\":{\"content\":\"Hello\"},\"done\":false}\n"[..])];
//! let head = AnswerHead { status: 200, content_type: Some("application/x-ndjson"), content_encoding: None };
//! let passed = exchange.tap_stream(&head, futures_util::stream::iter(answer));
//! assert_eq!(passed.count().now_or_never(), Some(1));
//!
//! assert!(matches!(receiver.try_recv(), Ok(TuiStreamEvent::Started { model, .. }) if model == "m"));
//! assert!(matches!(receiver.try_recv(), Ok(TuiStreamEvent::TextDelta { text, .. }) if text == "Hello"));
//! // The last line, with `"done": true`, never came.
//! assert!(matches!(receiver.try_recv(), Ok(TuiStreamEvent::Error { .. })));
//! ```
//!
//! A gateway needs four things of it: [`Provider::of_path`] and [`RequestFacts`] say what a request is,
//! [`Tap::begin`] makes its [`Exchange`], [`Exchange::tap_response`] passes the answer on, and
//! [`StreamEventBroadcaster::watch`] tells a screen. An [`AgUiObserver`] on the exchange makes AG-UI events of it.
//! With the feature `gateway` there is such a gateway, as an axum router: module `gateway`.
//!
//! # What this crate does not do
//!
//! Without the feature `gateway` it opens no connection and routes no request; with it, it chooses among providers by
//! the path only, and knows neither who may use them nor whose keys they take. It does not change, delay, retry or
//! store an answer, does not count tokens itself (an estimate is marked as one) and asks no network
//! for prices. It reads neither images nor sound, nor the body of a request but for its model.
//!
//! # Invariants
//!
//! 1. What the tap hands on is what it was handed: the same bytes, frames, trailers, size hint, end and error.
//! 2. A frame is handed on first and read afterwards. Nothing that goes wrong in reading, in an observer or in a
//!    price reaches the stream: neither an error nor a panic.
//! 3. Each exchange is told as exactly one `started` and exactly one of `completed` and `error`, whoever leaves.
//! 4. What is read does not depend on where the bytes are cut, and no input makes a reader panic.
//! 5. Memory for one exchange is bounded: one event, the blocks that are open, the end of the text; and so is what
//!    an encoded body may decode to.
//! 6. What was not reported is absent, not zero. What was known before a cut is kept and marked as partial.
//! 7. Amounts of money are added up as whole pico-dollars.
//! 8. A snapshot and the events that follow it fit together, without a gap and without an overlap.
//! 9. What an [`AgUiEmitter`] makes is a valid run, wherever its answer stops.

mod agui;
mod alerts;
mod boundary;
mod broadcaster;
mod encoding;
mod exchange;
mod extraction;
mod feed;
mod formats;
#[cfg(feature = "gateway")]
pub mod gateway;
mod json;
mod metrics;
mod prices;
mod provider;
mod reader;
mod reading;
mod registry;
mod session;
mod tap;
mod totals;
mod usage;
mod watch;

pub use agui::{AgUiEmitter, AgUiObserver};
pub use alerts::AlertLimits;
pub use broadcaster::{DEFAULT_CAPACITY, StreamEventBroadcaster};
pub use events_models::{StreamState, StreamSummary, TuiStreamEvent, Usd};
pub use exchange::{Exchange, TappedBody, TappedStream};
pub use extraction::{Extraction, GiveUp, StreamFailure};
pub use feed::StreamFeed;
pub use metrics::LlmMetrics;
#[cfg(feature = "genai-prices")]
pub use prices::GenAiPrices;
pub use prices::{
    NoPrices, PriceBook, PriceCounts, PriceList, PriceListError, PriceQuery, PriceSource,
};
pub use provider::{Framing, Provider, RequestFacts};
pub use reader::{ReaderCounts, ReaderLimits, StreamReader};
pub use registry::{RegistryLimits, StreamCounts};
pub use tap::{AnswerHead, Ending, Observer, RequestInfo, Tap, TapLimits};
pub use usage::Usage;
pub use watch::{StreamWatcher, Watched};
