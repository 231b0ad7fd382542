//! wip
mod broadcaster;
mod encoding;
mod extraction;
mod formats;
mod json;
mod prices;
mod provider;
mod reader;
mod registry;
mod usage;
mod watch;
pub use broadcaster::{DEFAULT_CAPACITY, StreamEventBroadcaster};
pub use registry::{RegistryLimits, StreamCounts};
pub use watch::{StreamWatcher, Watched};
pub use events_models::TuiStreamEvent;
pub use extraction::{Extraction, GiveUp, StreamFailure};
#[cfg(feature = "genai-prices")]
pub use prices::GenAiPrices;
pub use prices::{NoPrices, PriceBook, PriceCounts, PriceList, PriceListError, PriceQuery, PriceSource};
pub use provider::{Framing, Provider, RequestFacts};
pub use reader::{ReaderCounts, ReaderLimits, StreamReader};
pub use usage::Usage;
