//! Alerts by a clock that the test sets.

use super::*;

const MINUTE: i64 = 60_000;

fn usd(dollars: f64) -> Usd {
    Usd::from_dollars(dollars).unwrap()
}

fn limits() -> AlertLimits {
    AlertLimits {
        stream_cost: Some(usd(1.0)),
        hourly_cost: Some(usd(10.0)),
        error_percent: Some(20),
        error_window: Duration::from_secs(300),
        error_requests: 5,
    }
}

fn end(alerts: &mut Alerts, cost: Option<f64>, has_failed: bool, now_ms: i64) -> Vec<String> {
    tell(&alerts.ended(&"r".into(), cost.map(usd), has_failed, now_ms))
}

fn tell(alerts: &[StreamAlert]) -> Vec<String> {
    let word = |alert: &StreamAlert| if alert.is_raised { "raised" } else { "cleared" };
    alerts
        .iter()
        .map(|alert| format!("{} {}: {}", alert.kind.as_str(), word(alert), alert.message))
        .collect()
}

#[test]
fn the_hourly_cost_is_raised_once_and_cleared_once_when_time_passes() {
    let mut alerts = Alerts::new(AlertLimits {
        stream_cost: None,
        ..limits()
    });
    assert_eq!(end(&mut alerts, Some(6.0), false, 0), [""; 0]);
    assert_eq!(
        end(&mut alerts, Some(4.0), false, 30 * MINUTE),
        [""; 0],
        "as much as is allowed"
    );
    assert_eq!(
        end(&mut alerts, Some(0.5), false, 31 * MINUTE),
        ["hourly_cost raised: $10.50 in the last hour, the limit is $10.00"]
    );
    assert_eq!(
        end(&mut alerts, Some(0.5), false, 32 * MINUTE),
        [""; 0],
        "once"
    );
    assert_eq!(alerts.active(32 * MINUTE, Duration::ZERO).len(), 1);
    assert_eq!(tell(&alerts.tick(59 * MINUTE)), [""; 0]);
    assert_eq!(
        tell(&alerts.tick(60 * MINUTE)),
        ["hourly_cost cleared: $5.00 in the last hour, the limit is $10.00"]
    );
    assert_eq!(tell(&alerts.tick(61 * MINUTE)), [""; 0]);
    assert!(alerts.active(61 * MINUTE, Duration::ZERO).is_empty());
    assert_eq!(alerts.state()[1], (AlertKind::HourlyCost, 1, false));
}

#[test]
fn a_value_that_swings_around_its_bound_does_not_flap() {
    let mut alerts = Alerts::new(AlertLimits {
        stream_cost: None,
        ..limits()
    });
    assert_eq!(end(&mut alerts, Some(1.0), false, 0), [""; 0]);
    assert_eq!(end(&mut alerts, Some(9.5), false, 10 * MINUTE).len(), 1);
    // 9.5 is below the bound, but not well below.
    assert_eq!(tell(&alerts.tick(60 * MINUTE)), [""; 0]);
    assert_eq!(end(&mut alerts, Some(1.0), false, 61 * MINUTE), [""; 0]);
    assert_eq!(tell(&alerts.tick(70 * MINUTE)).len(), 1);
}

#[test]
fn the_error_rate_needs_enough_requests_and_is_cleared_well_below() {
    let mut alerts = Alerts::new(limits());
    for _ in 0..4 {
        assert_eq!(end(&mut alerts, None, true, 0), [""; 0], "too few to say");
    }
    assert_eq!(
        end(&mut alerts, None, false, 0),
        ["error_rate raised: 4 of 5 requests failed in the last 5 min, the limit is 20 %"]
    );
    // 4 of 20 is the bound itself, 4 of 25 is eight tenths of it.
    for n_ended in 6..=25 {
        assert_eq!(end(&mut alerts, None, false, MINUTE), [""; 0], "{n_ended}");
    }
    assert_eq!(
        end(&mut alerts, None, false, MINUTE),
        ["error_rate cleared: 4 of 26 requests failed in the last 5 min, the limit is 20 %"]
    );
    assert_eq!(alerts.state()[2], (AlertKind::ErrorRate, 1, false));
}

#[test]
fn an_error_rate_without_further_requests_clears_itself() {
    let mut alerts = Alerts::new(limits());
    for _ in 0..5 {
        let _told = end(&mut alerts, None, true, 0);
    }
    assert_eq!(tell(&alerts.tick(4 * MINUTE)), [""; 0]);
    assert_eq!(
        tell(&alerts.tick(5 * MINUTE)),
        ["error_rate cleared: 0 of 0 requests failed in the last 5 min, the limit is 20 %"]
    );
}

#[test]
fn a_dear_request_is_told_by_its_id_and_listed_for_a_while() {
    let mut alerts = Alerts::new(limits());
    assert_eq!(end(&mut alerts, Some(1.0), false, 0), [""; 0]);
    let told = alerts.ended(&"dear".into(), Some(usd(1.5)), false, 5);
    assert_eq!(told[0].request_id, Some("dear".into()));
    assert_eq!(told[0].message, "the request cost $1.50, more than $1.00");
    assert_eq!(alerts.active(5, Duration::from_secs(1)), told);
    assert!(alerts.active(1_006, Duration::from_secs(1)).is_empty());
    for _ in 0..100 {
        let _told = end(&mut alerts, Some(1.1), false, 6);
    }
    let n_listed = alerts.active(6, Duration::from_secs(1)).len();
    assert!(n_listed <= MAX_STREAM_ALERTS + 1, "{n_listed}");
}

#[test]
fn nothing_is_watched_unless_it_is_asked_for_and_a_clock_that_jumps_does_no_harm() {
    let mut alerts = Alerts::new(AlertLimits::default());
    for now_ms in [0, i64::MAX, i64::MIN, -1] {
        assert_eq!(end(&mut alerts, Some(1e6), true, now_ms), [""; 0]);
    }
    let mut alerts = Alerts::new(limits());
    assert_eq!(end(&mut alerts, Some(0.9), false, 100 * MINUTE), [""; 0]);
    for _ in 0..11 {
        let _told = end(&mut alerts, Some(0.9), false, 0);
    }
    assert_eq!(
        alerts.active(0, Duration::ZERO).len(),
        1,
        "the clock was set back"
    );
}
