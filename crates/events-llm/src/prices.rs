//! What tokens cost.

#[cfg(feature = "genai-prices")]
mod genai;
mod list;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use events_models::Usd;

use crate::{Provider, Usage};

#[cfg(feature = "genai-prices")]
pub use genai::GenAiPrices;
pub use list::{PriceList, PriceListError};

/// One answer that is to be priced.
#[derive(Clone, Copy, Debug)]
pub struct PriceQuery<'q> {
    /// The protocol of the answer, if it is known.
    pub provider: Option<Provider>,
    /// Who serves the model, such as `openai` or `groq`; if it is not known, the protocol's own vendor counts.
    pub vendor: Option<&'q str>,
    /// The model that answered.
    pub model: &'q str,
    /// What was used.
    pub usage: &'q Usage,
    /// When, since prices change.
    pub at: SystemTime,
}

impl PriceQuery<'_> {
    /// Returns who serves the model, as far as can be said.
    #[must_use]
    pub fn vendor(&self) -> &str {
        let by_protocol = self.provider.map_or("", Provider::vendor);
        self.vendor.unwrap_or(by_protocol)
    }
}

/// Knows what models cost.
///
/// It is asked once for each answer, at its end, on the thread that passes the answer on; so it must not block.
pub trait PriceSource: Send + Sync + fmt::Debug {
    /// Returns the price of an answer; `None` if the model or a count is not known. It never guesses.
    fn price(&self, query: &PriceQuery<'_>) -> Option<Usd>;
}

/// Knows no price.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPrices;

impl PriceSource for NoPrices {
    fn price(&self, _: &PriceQuery<'_>) -> Option<Usd> {
        None
    }
}

/// Several sources, the first that knows a price wins; and a count of what none of them knows.
///
/// ```
/// use std::sync::Arc;
/// use events_llm::{PriceBook, PriceList};
///
/// let own = PriceList::from_toml("[[price]]\nmodel = \"my-model-*\"\ninput = 0.5\noutput = 2\n")?;
/// let book = PriceBook::new(vec![Arc::new(own)]);
/// assert_eq!(book.counts().unpriced, 0);
/// # Ok::<(), events_llm::PriceListError>(())
/// ```
#[derive(Debug, Default)]
pub struct PriceBook {
    sources: Vec<Arc<dyn PriceSource>>,
    n_priced: AtomicU64,
    n_unpriced: AtomicU64,
}

/// How many answers had a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PriceCounts {
    /// Answers with a price.
    pub priced: u64,
    /// Answers with counts of tokens whose model no source knows.
    pub unpriced: u64,
}

impl PriceBook {
    /// Makes a book of sources, the most trusted first.
    #[must_use]
    pub fn new(sources: Vec<Arc<dyn PriceSource>>) -> Self {
        Self {
            sources,
            ..Self::default()
        }
    }

    /// Makes a book of a user's own list, if there is one, and the built-in prices behind it.
    #[cfg(feature = "genai-prices")]
    #[must_use]
    pub fn with_defaults(own: Option<PriceList>) -> Self {
        let own = own.map(|list| Arc::new(list) as Arc<dyn PriceSource>);
        let sources = own.into_iter().chain([Arc::new(GenAiPrices::new()) as _]);
        Self::new(sources.collect())
    }

    /// Returns how many answers had a price and how many had none.
    #[must_use]
    pub fn counts(&self) -> PriceCounts {
        PriceCounts {
            priced: self.n_priced.load(Ordering::Relaxed),
            unpriced: self.n_unpriced.load(Ordering::Relaxed),
        }
    }
}

impl PriceSource for PriceBook {
    /// Asks the sources in turn. An answer without counts is not asked for, and not counted.
    fn price(&self, query: &PriceQuery<'_>) -> Option<Usd> {
        if query.usage.is_empty() {
            return None;
        }
        let price = self.sources.iter().find_map(|source| source.price(query));
        let counter = if price.is_some() {
            &self.n_priced
        } else {
            &self.n_unpriced
        };
        counter.fetch_add(1, Ordering::Relaxed);
        price
    }
}

/// The tokens of an answer, each in one part only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BilledTokens {
    pub(crate) uncached: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write_5m: u64,
    pub(crate) cache_write_1h: u64,
    pub(crate) output: u64,
}

impl BilledTokens {
    /// Takes the counts apart; `None` unless prompt and answer are both known.
    pub(crate) fn of(usage: &Usage) -> Option<Self> {
        let usage = usage.billed();
        let input = usage.input_tokens?;
        let output = usage.output_tokens?;
        let cached = usage.cached_input_tokens.unwrap_or(0).min(input);
        let cache_write = usage.cache_write_tokens.unwrap_or(0).min(input - cached);
        let cache_write_1h = usage.cache_write_1h_tokens.unwrap_or(0).min(cache_write);
        Some(Self {
            uncached: input - cached - cache_write,
            cached,
            cache_write_5m: cache_write - cache_write_1h,
            cache_write_1h,
            output,
        })
    }
}
