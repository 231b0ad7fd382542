//! What a screen is told, early, late and slow.

use std::sync::atomic::{AtomicI64, Ordering};

use events_core::Clock;
use events_models::{AlertKind, TuiStreamEventBuilder as Make, Usd};
use futures_util::{FutureExt as _, StreamExt as _};

use super::*;
use crate::{AlertLimits, RegistryLimits};

#[derive(Debug, Default)]
struct MadeClock(AtomicI64);

impl Clock for MadeClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn broadcaster(capacity: usize, clock: &Arc<MadeClock>) -> Arc<StreamEventBroadcaster> {
    let limits = AlertLimits {
        hourly_cost: Usd::from_dollars(1.0),
        ..AlertLimits::default()
    };
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let made = StreamEventBroadcaster::with_limits(capacity, RegistryLimits::default(), clock);
    Arc::new(made.with_alerts(limits))
}

fn next(feed: &mut StreamFeed) -> Option<StreamFeedFrame> {
    feed.next().now_or_never().flatten()
}

fn active(feed: &mut StreamFeed) -> ActiveStreams {
    match next(feed) {
        Some(StreamFeedFrame::Active(active)) => active,
        other => panic!("{other:?} is not active"),
    }
}

#[test]
fn a_late_screen_knows_what_an_early_one_was_told() {
    let clock = Arc::new(MadeClock::default());
    let broadcaster = broadcaster(64, &clock);
    let mut early = broadcaster.feed();
    let empty = active(&mut early);
    assert!(empty.streams.is_empty() && empty.models.is_empty());
    broadcaster.send(Make::started("r", "m", None));
    clock.0.store(7, Ordering::Relaxed);
    broadcaster.send(Make::completed(
        "r",
        Some(10),
        Some(2),
        Usd::from_dollars(1.5),
    ));
    let told = std::iter::from_fn(|| next(&mut early)).collect::<Vec<_>>();
    let alerts = |frame: &&StreamFeedFrame| matches!(frame, StreamFeedFrame::Alert(_));
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told.iter().filter(alerts).count(), 1);
    let late = active(&mut broadcaster.feed());
    assert_eq!((late.since, late.at), (0, 7));
    assert_eq!((late.totals.started, late.totals.completed), (1, 1));
    assert_eq!(late.totals.cost_usd, Usd::from_dollars(1.5).unwrap());
    assert_eq!(late.models[0].model, "m");
    assert_eq!(late.models[0].totals, late.totals);
    assert_eq!(late.alerts[0].kind, AlertKind::HourlyCost);
    assert_eq!(late.streams[0].output_tokens, Some(2));
}

#[test]
fn an_alert_is_cleared_by_the_sweep_when_its_time_has_passed() {
    let clock = Arc::new(MadeClock::default());
    let broadcaster = broadcaster(64, &clock);
    broadcaster.send(Make::completed("r", None, None, Usd::from_dollars(2.0)));
    let mut feed = broadcaster.feed();
    assert_eq!(active(&mut feed).alerts.len(), 1);
    broadcaster.sweep();
    assert_eq!(next(&mut feed), None);
    clock.0.store(3_600_000, Ordering::Relaxed);
    broadcaster.sweep();
    let Some(StreamFeedFrame::Alert(alert)) = next(&mut feed) else {
        panic!("no alert");
    };
    assert!(!alert.is_raised);
    assert!(broadcaster.active().alerts.is_empty());
}

#[test]
fn a_slow_screen_gets_everything_anew_and_is_told_how_much_it_lost() {
    let clock = Arc::new(MadeClock::default());
    let broadcaster = broadcaster(4, &clock);
    let mut feed = broadcaster.feed();
    assert_eq!(active(&mut feed).lost, 0);
    broadcaster.send(Make::started("r", "m", None));
    for text in ["a", "b", "c", "d", "e"] {
        broadcaster.send(Make::text_delta("r", text));
    }
    let anew = active(&mut feed);
    assert_eq!((anew.lost, anew.streams[0].text.as_str()), (2, "abcde"));
    assert_eq!(broadcaster.lagged(), 2);
    assert_eq!(next(&mut feed), None, "nothing comes twice");
    broadcaster.send(Make::text_delta("r", "f"));
    assert!(matches!(next(&mut feed), Some(StreamFeedFrame::Event(_))));
}
