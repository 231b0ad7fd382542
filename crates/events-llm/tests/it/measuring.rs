//! What passes is measured and added up, without a screen that watches.

use std::{sync::Arc, time::Duration};

use events_llm::{
    AlertLimits, NoPrices, PriceBook, PriceList, RequestInfo, StreamEventBroadcaster, Tap,
};
use events_models::{AlertKind, StreamFeedFrame, Usd};
use futures_util::{FutureExt as _, StreamExt as _};

use crate::{
    fixtures::{self, Fixture},
    proxy::{Script, drain, head},
};

fn pass(tap: &Tap, fixture: &Fixture) {
    let mut request = RequestInfo::new(fixture.name.as_str()).with_provider(Some(fixture.provider));
    request.model = Some("some-model".to_owned());
    let exchange = tap.begin(request);
    let _frames = drain(&mut exchange.tap_body(&head(fixture), Script::of([&*fixture.body])));
}

#[test]
fn the_sums_are_those_of_the_recorded_answers() {
    let broadcaster = Arc::new(StreamEventBroadcaster::default());
    let tap = Tap::new(Arc::clone(&broadcaster), Arc::new(NoPrices));
    let fixtures = fixtures::all();
    for fixture in &fixtures {
        pass(&tap, fixture);
    }
    let n_reported = |name: &str| -> u64 {
        let counts = fixtures.iter().filter_map(|fixture| {
            let expected = &fixture.expected;
            let whole = expected.get("if_tail_flushed").unwrap_or(expected);
            whole.get(name).unwrap_or(&expected[name]).as_u64()
        });
        counts.sum()
    };
    let active = broadcaster.active();
    assert_eq!(active.totals.started, fixtures.len() as u64);
    assert_eq!(
        active.totals.completed + active.totals.failed,
        active.totals.started
    );
    assert_eq!(active.totals.input_tokens, n_reported("input_tokens"));
    let of_models: u64 = active.models.iter().map(|m| m.totals.output_tokens).sum();
    assert_eq!(of_models, active.totals.output_tokens);
    let mut page = String::new();
    tap.write_metrics(&mut page);
    for name in [
        "gen_ai_client_token_usage_bucket{",
        "gen_ai_client_operation_duration_seconds_bucket{",
        "gen_ai_server_time_to_first_token_seconds_bucket{",
        "gen_ai_server_time_per_output_token_seconds_bucket{",
        "events_llm_requests_total{",
        "events_llm_unpriced_total ",
        "events_llm_give_ups_total{",
        "events_llm_tap_chunk_seconds_count ",
        "events_llm_active 0",
    ] {
        assert!(page.contains(name), "{name} is not in\n{page}");
    }
}

#[test]
fn a_dear_answer_raises_its_alerts_in_the_feed() {
    let limits = AlertLimits {
        stream_cost: Usd::from_dollars(0.000_001),
        hourly_cost: Usd::from_dollars(0.000_001),
        error_window: Duration::from_secs(60),
        ..AlertLimits::default()
    };
    let broadcaster = Arc::new(StreamEventBroadcaster::default().with_alerts(limits));
    let prices =
        PriceList::from_toml("[[price]]\nmodel = \"*\"\ninput = 1000\noutput = 1000\n").unwrap();
    let prices = Arc::new(PriceBook::new(vec![Arc::new(prices)]));
    let tap = Tap::new(Arc::clone(&broadcaster), prices);
    let mut feed = broadcaster.feed();
    let fixtures = fixtures::all();
    let priced = fixtures.iter().find(|fixture| {
        let usage = &fixture.expected;
        usage["input_tokens"].as_u64() > Some(0) && usage["output_tokens"].as_u64() > Some(0)
    });
    pass(&tap, priced.expect("a fixture with tokens"));
    let mut kinds = Vec::new();
    while let Some(Some(frame)) = feed.next().now_or_never() {
        if let StreamFeedFrame::Alert(alert) = frame {
            assert!(alert.is_raised);
            kinds.push(alert.kind);
        }
    }
    assert_eq!(kinds, [AlertKind::StreamCost, AlertKind::HourlyCost]);
    assert!(broadcaster.active().totals.cost_usd > Usd::ZERO);
}
