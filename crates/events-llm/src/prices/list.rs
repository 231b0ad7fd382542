//! A user's own prices, from a file.

use std::{fmt, ops::Deref};

use events_models::Usd;
use serde::Deserialize;

use super::{BilledTokens, PriceQuery, PriceSource};

/// Decimals of a price that count: with six, a token costs whole pico-dollars.
const DECIMALS: u32 = 6;

/// The dearest price that is taken, in dollars per million tokens.
const MAX_PRICE: f64 = 1e9;

/// The most entries of a list.
const MAX_ENTRIES: usize = 10_000;

/// Prices that a user wrote down; the first entry that fits an answer counts.
///
/// All prices are US dollars per million tokens, with at most six decimals. `model` and `vendor` may have `*` for any
/// characters, and are compared without regard to case; without `vendor` any fits. Left out, `cached_input` and
/// `cache_write_5m` cost what `input` costs, and `cache_write_1h` what `cache_write_5m` costs. Reasoning is part of
/// the output.
///
/// ```toml
/// [[price]]
/// vendor = "anthropic"
/// model = "claude-sonnet-*"
/// input = 3
/// cached_input = 0.3
/// cache_write_5m = 3.75
/// cache_write_1h = 6
/// output = 15
/// ```
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    vendor: String,
    model: String,
    /// Pico-dollars per token.
    input: u64,
    cached_input: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    output: u64,
}

/// Why a list of prices cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PriceListError {
    /// The file is not TOML, or has members that are not known.
    #[error("the price list cannot be read: {0}")]
    Syntax(String),
    /// A price is no amount of money.
    #[error(
        "`{member}` of `{model}` is no price: expected dollars per million tokens, not negative, at most six decimals"
    )]
    Price {
        /// The member.
        member: &'static str,
        /// The model of the entry.
        model: String,
    },
    /// There are more entries than are kept.
    #[error("the price list has more than {limit} entries")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    #[serde(default)]
    price: Vec<EntryForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryForm {
    #[serde(default = "any")]
    vendor: String,
    model: String,
    input: Number,
    output: Number,
    cached_input: Option<Number>,
    cache_write_5m: Option<Number>,
    cache_write_1h: Option<Number>,
}

/// A number with or without decimals.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // TOML tells whole numbers from others; a price may be either, and a deserializer of floats takes both.
        f64::deserialize(deserializer).map(Self)
    }
}

impl Deref for Number {
    type Target = f64;

    fn deref(&self) -> &f64 {
        &self.0
    }
}

fn any() -> String {
    "*".to_owned()
}

impl PriceList {
    /// Reads a list from the text of a TOML file.
    ///
    /// # Errors
    ///
    /// The text is no list of prices; the error names the entry.
    pub fn from_toml(text: &str) -> Result<Self, PriceListError> {
        let form: FileForm =
            toml::from_str(text).map_err(|error| PriceListError::Syntax(error.to_string()))?;
        if form.price.len() > MAX_ENTRIES {
            return Err(PriceListError::TooMany { limit: MAX_ENTRIES });
        }
        let entries = form.price.iter().map(Entry::of).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Returns how many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    fn of(form: &EntryForm) -> Result<Self, PriceListError> {
        let rate = |member, number: &Number| {
            picos_per_token(**number).ok_or_else(|| PriceListError::Price {
                member,
                model: form.model.clone(),
            })
        };
        let optional = |member, number: &Option<Number>, otherwise| {
            number
                .as_ref()
                .map_or(Ok(otherwise), |number| rate(member, number))
        };
        let input = rate("input", &form.input)?;
        let cache_write_5m = optional("cache_write_5m", &form.cache_write_5m, input)?;
        Ok(Self {
            vendor: form.vendor.to_lowercase(),
            model: form.model.to_lowercase(),
            input,
            cached_input: optional("cached_input", &form.cached_input, input)?,
            cache_write_5m,
            cache_write_1h: optional("cache_write_1h", &form.cache_write_1h, cache_write_5m)?,
            output: rate("output", &form.output)?,
        })
    }

    fn price(&self, tokens: BilledTokens) -> Usd {
        let parts = [
            (tokens.uncached, self.input),
            (tokens.cached, self.cached_input),
            (tokens.cache_write_5m, self.cache_write_5m),
            (tokens.cache_write_1h, self.cache_write_1h),
            (tokens.output, self.output),
        ];
        let picos =
            |(n_tokens, rate): (u64, u64)| Usd::from_picos(u128::from(n_tokens) * u128::from(rate));
        parts.into_iter().map(picos).sum()
    }
}

impl PriceSource for PriceList {
    fn price(&self, query: &PriceQuery<'_>) -> Option<Usd> {
        let tokens = BilledTokens::of(query.usage)?;
        let (vendor, model) = (query.vendor().to_lowercase(), query.model.to_lowercase());
        let fits = |entry: &&Entry| fits(&entry.model, &model) && fits(&entry.vendor, &vendor);
        self.entries
            .iter()
            .find(fits)
            .map(|entry| entry.price(tokens))
    }
}

/// Dollars per million tokens are micro-dollars per token, and so 10⁶ pico-dollars.
fn picos_per_token(dollars_per_million: f64) -> Option<u64> {
    if !(0.0..=MAX_PRICE).contains(&dollars_per_million) {
        return None;
    }
    // The shortest text of a double is the number that was written, so its digits are exact.
    let text = dollars_per_million.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.len() > DECIMALS as usize {
        return None;
    }
    let fraction = format!("{fraction:0<6}");
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = fraction.parse().ok()?;
    whole
        .checked_mul(10_u64.pow(DECIMALS))?
        .checked_add(fraction)
}

/// Whether a name fits a pattern in which `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, after)) = rest.split_once(part).filter(|_| !part.is_empty()) else {
            if part.is_empty() {
                continue;
            }
            return false;
        };
        rest = after;
    }
    true
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
