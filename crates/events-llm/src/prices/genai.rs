//! Prices that come with the crate `genai-prices`.

use events_models::Usd;
use genai_prices::{Calculator, PriceRequest, Usage as PricedUsage, UsageKey};

use super::{BilledTokens, PriceQuery, PriceSource};

/// The prices of about 2,300 models as they were when the crate `genai-prices` was released, old prices by date
/// included. It asks no network; newer prices come with a newer release, or from a user's own list.
///
/// The price of one answer is reckoned there with doubles, which are exact to more than a pico-dollar for amounts
/// under a thousand dollars; only amounts are added up, and those are whole pico-dollars.
#[derive(Clone, Copy, Debug)]
pub struct GenAiPrices(&'static Calculator);

impl GenAiPrices {
    /// Loads the prices, which takes tens of milliseconds the first time; so do it at the start of a process.
    #[must_use]
    pub fn new() -> Self {
        Self(Calculator::bundled())
    }
}

impl Default for GenAiPrices {
    fn default() -> Self {
        Self::new()
    }
}

impl PriceSource for GenAiPrices {
    fn price(&self, query: &PriceQuery<'_>) -> Option<Usd> {
        let tokens = BilledTokens::of(query.usage)?;
        let billed = query.usage.billed();
        let mut usage = PricedUsage::default();
        let mut add = |key, n_tokens: u64| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "counts of tokens are small enough"
            )]
            let n_tokens = n_tokens as f64;
            usage.insert(key, n_tokens);
        };
        let cache_write = tokens.cache_write_5m + tokens.cache_write_1h;
        add(
            UsageKey::INPUT_TOKENS,
            tokens.uncached + tokens.cached + cache_write,
        );
        add(UsageKey::OUTPUT_TOKENS, tokens.output);
        if tokens.cached > 0 {
            add(UsageKey::CACHE_READ_TOKENS, tokens.cached);
        }
        if cache_write > 0 {
            add(UsageKey::CACHE_WRITE_TOKENS, cache_write);
        }
        if billed.cache_write_1h_tokens.is_some() && cache_write > 0 {
            add(UsageKey::CACHE_WRITE_5M_TOKENS, tokens.cache_write_5m);
            add(UsageKey::CACHE_WRITE_1H_TOKENS, tokens.cache_write_1h);
        }
        if let Some(n_searches) = query
            .usage
            .web_searches
            .filter(|n_searches| *n_searches > 0)
        {
            add(UsageKey::WEB_SEARCHES, n_searches);
        }
        let mut request = PriceRequest::new(query.model, &usage)
            .with_provider_id(query.vendor())
            .with_timestamp(query.at);
        if let Some(tier) = &query.usage.service_tier {
            request = request.with_price_context("service_tier", tier);
        }
        let price = self.0.calculate(&request).ok()?;
        Usd::from_dollars(price.total_price)
    }
}
