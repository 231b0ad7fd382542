//! Prices by hand, and what is not known.

use super::*;

fn usage(input: u64, cached: u64, write: u64, write_1h: Option<u64>, output: u64) -> Usage {
    Usage {
        input_tokens: Some(input),
        cached_input_tokens: Some(cached),
        cache_write_tokens: Some(write),
        cache_write_1h_tokens: write_1h,
        output_tokens: Some(output),
        ..Usage::default()
    }
}

fn query<'q>(vendor: &'q str, model: &'q str, usage: &'q Usage) -> PriceQuery<'q> {
    PriceQuery {
        provider: Some(Provider::Anthropic),
        vendor: Some(vendor),
        model,
        usage,
        at: SystemTime::now(),
    }
}

const LIST: &str = r#"
[[price]]
vendor = "anthropic"
model = "claude-sonnet-*"
input = 3
cached_input = 0.3
cache_write_5m = 3.75
cache_write_1h = 6.0
output = 15

[[price]]
model = "*-free"
input = 0
output = 0

[[price]]
model = "plain"
input = 0.000001
output = 1.5
"#;

/// The numbers of the recorded answer `prompt_cache_write_1h_and_5m`:
/// 3×3 + 337×3.75 + 9362×6 + 7×15 dollars per million.
const BY_HAND: u128 = 57_549_750_000;

#[test]
fn cache_writes_of_five_minutes_and_an_hour_are_priced_apart() {
    let list = PriceList::from_toml(LIST).unwrap();
    let usage = usage(9_702, 0, 9_699, Some(9_362), 7);
    let price = list.price(&query("Anthropic", "Claude-Sonnet-4-6", &usage));
    assert_eq!(price, Some(Usd::from_picos(BY_HAND)));
}

#[cfg(feature = "genai-prices")]
#[test]
fn the_built_in_prices_agree_with_a_reckoning_by_hand() {
    let prices = GenAiPrices::new();
    let usage = usage(9_702, 0, 9_699, Some(9_362), 7);
    let price = prices.price(&query("anthropic", "claude-sonnet-4-6", &usage));
    assert_eq!(price, Some(Usd::from_picos(BY_HAND)));
}

#[cfg(feature = "genai-prices")]
#[test]
fn a_model_or_vendor_that_is_not_known_has_no_price() {
    let book = PriceBook::with_defaults(None);
    let counted = usage(10, 0, 0, None, 5);
    assert_eq!(
        book.price(&query("anthropic", "no-such-model", &counted)),
        None
    );
    assert_eq!(
        book.price(&query("no-such-vendor", "claude-sonnet-4-6", &counted)),
        None
    );
    assert_eq!(
        book.counts(),
        PriceCounts {
            priced: 0,
            unpriced: 2
        }
    );
    assert!(
        book.price(&query("anthropic", "claude-sonnet-4-6", &counted))
            .is_some()
    );
    assert_eq!(
        book.counts(),
        PriceCounts {
            priced: 1,
            unpriced: 2
        }
    );
}

#[test]
fn an_answer_without_counts_has_no_price_and_free_is_a_price() {
    let list = Arc::new(PriceList::from_toml(LIST).unwrap());
    let book = PriceBook::new(vec![list]);
    let nothing = Usage::default();
    assert_eq!(book.price(&query("x", "model-free", &nothing)), None);
    assert_eq!(book.counts(), PriceCounts::default());
    let counted = usage(10, 0, 0, None, 5);
    assert_eq!(
        book.price(&query("x", "model-free", &counted)),
        Some(Usd::ZERO)
    );
    let half = Usage {
        output_tokens: None,
        ..counted
    };
    assert_eq!(book.price(&query("x", "model-free", &half)), None);
}

#[test]
fn the_users_own_price_wins() {
    #[derive(Debug)]
    struct Dear;
    impl PriceSource for Dear {
        fn price(&self, _: &PriceQuery<'_>) -> Option<Usd> {
            Usd::from_dollars(99.0)
        }
    }
    let own = Arc::new(PriceList::from_toml(LIST).unwrap());
    let book = PriceBook::new(vec![own, Arc::new(Dear)]);
    let counted = usage(1_000_000, 400_000, 0, None, 0);
    assert_eq!(
        book.price(&query("x", "plain", &counted)),
        Usd::from_dollars(0.000_001)
    );
    assert_eq!(
        book.price(&query("x", "other", &counted)),
        Usd::from_dollars(99.0)
    );
}

#[test]
fn a_list_says_what_is_wrong_with_it() {
    for (text, part) in [
        ("[[price]]\nmodel = \"m\"\ninput = 1", "output"),
        (
            "[[price]]\nmodel = \"m\"\ninput = -1\noutput = 1",
            "`input` of `m`",
        ),
        (
            "[[price]]\nmodel = \"m\"\ninput = 0.0000001\noutput = 1",
            "six decimals",
        ),
        (
            "[[price]]\nmodel = \"m\"\ninput = nan\noutput = 1",
            "`input` of `m`",
        ),
        (
            "[[price]]\nmodel = \"m\"\ninput = 1\noutput = 1\ninptu = 2",
            "inptu",
        ),
        ("price = 1", "price"),
    ] {
        let error = PriceList::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn counts_that_contradict_each_other_never_make_a_negative_part() {
    let odd = usage(10, 20, 30, Some(40), 1);
    let tokens = BilledTokens::of(&odd).unwrap();
    assert_eq!(
        (tokens.uncached, tokens.cached, tokens.cache_write_5m),
        (0, 10, 0)
    );
}

#[test]
fn all_turns_of_a_compaction_are_billed() {
    let mut outer = usage(181, 0, 0, None, 8);
    outer.billed = Some(Box::new(usage(1_000_181, 0, 0, None, 91)));
    let list = PriceList::from_toml(LIST).unwrap();
    let price = list.price(&query("x", "plain", &outer)).unwrap();
    assert_eq!(price.picos(), 1_000_181 + 91 * 1_500_000);
}
