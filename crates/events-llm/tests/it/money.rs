//! What recorded answers cost, against what the providers themselves say.
#![cfg(feature = "genai-prices")]

use std::sync::Arc;

use events_llm::{PriceBook, PriceList, RequestInfo, Tap, TuiStreamEvent, Usd};

use crate::{
    fixtures,
    proxy::{Script, Watched, drain, head, terminal},
};

fn cost(name: &str, vendor: Option<&str>, own: Option<PriceList>) -> Option<Usd> {
    let fixture = fixtures::one(name);
    let mut watched = Watched::new();
    let prices = Arc::new(PriceBook::with_defaults(own));
    watched.tap = Tap::new(Arc::clone(watched.tap.broadcaster()), prices);
    let mut request = RequestInfo::new("r").with_provider(Some(fixture.provider));
    request.vendor = vendor.map(str::to_owned);
    let exchange = watched.tap.begin(request);
    drain(&mut exchange.tap_body(&head(&fixture), Script::of([&fixture.body[..]])));
    match terminal(&watched.events()) {
        TuiStreamEvent::Completed { cost_usd, .. } | TuiStreamEvent::Error { cost_usd, .. } => {
            *cost_usd
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn cache_writes_cost_what_a_reckoning_by_hand_says() {
    // 3×3 + 337×3.75 + 9362×6 + 7×15 dollars per million tokens.
    let cost = cost("anthropic/prompt_cache_write_1h_and_5m.sse", None, None);
    assert_eq!(cost, Some(Usd::from_picos(57_549_750_000)));
}

#[test]
fn reasoning_that_the_count_leaves_out_is_paid_for() {
    // The provider's own `cost_in_usd_ticks`: 1,497,500 × 10⁻¹⁰ dollars.
    let cost = cost(
        "openai-chat/xai_reasoning_tool_call.sse",
        Some("x-ai"),
        None,
    );
    assert_eq!(cost, Some(Usd::from_picos(149_750_000)));
}

#[test]
fn a_model_without_a_price_has_no_cost() {
    assert_eq!(cost("ollama/text_basic.ndjson", None, None), None);
    assert_eq!(cost("openai-chat/llamacpp_timings.sse", None, None), None);
    assert_eq!(
        cost("openai-chat/basic_no_usage.sse", None, None),
        None,
        "no count, no cost"
    );
}

#[test]
fn the_users_own_list_wins() {
    let own = "[[price]]\nmodel = \"claude-*\"\ninput = 1\noutput = 2\n";
    let own = PriceList::from_toml(own).unwrap();
    let cost = cost("anthropic/text_basic.sse", None, Some(own));
    assert_eq!(cost, Some(Usd::from_picos(15_000_000 + 21 * 2_000_000)));
}
