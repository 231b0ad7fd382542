//! wip
mod extraction;
mod formats;
mod json;
mod provider;
mod reader;
mod usage;
pub use extraction::{Extraction, GiveUp, StreamFailure};
pub use provider::{Framing, Provider, RequestFacts};
pub use reader::{ReaderCounts, ReaderLimits, StreamReader};
pub use usage::Usage;
