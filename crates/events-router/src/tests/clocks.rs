//! A clock that jumps changes no order and no id.

use events_models::AgUiEventBuilder as Make;

use std::sync::atomic::{AtomicI64, Ordering};

use events_core::Clock;

use super::*;

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn an_hour_back_or_forward_changes_no_order_and_loses_nothing() {
    let clock = Arc::new(ManualClock::new(1_782_302_400_000));
    let router = EventRouter::new(RouterConfig {
        clock: clock.clone(),
        ..RouterConfig::default()
    });
    let mut screen = router.agui().connect(&ada(), Attach::now()).unwrap();
    let publish = async |event| {
        let published = router
            .publish_batch(&ada(), vec![in_thread("t", event)])
            .await;
        published.unwrap().ids[0]
    };
    let mut ids = vec![publish(Make::run_started("t", "r", None)).await];
    ids.push(publish(Make::text_message_start("m", MessageRole::Assistant)).await);
    // Back and forth, and in the end an hour behind where it began.
    for (index, by_ms) in [0, -HOUR_MS, HOUR_MS, -HOUR_MS, HOUR_MS, -HOUR_MS]
        .into_iter()
        .enumerate()
    {
        clock.advance(by_ms);
        ids.push(publish(Make::text_message_content("m", format!("{index};"))).await);
        if by_ms <= 0 {
            // By an old clock nobody has been silent, and nothing is old.
            router.sweep();
        }
    }
    let seqs: Vec<u64> = ids.iter().map(|id| id.seq).collect();
    assert!(seqs.is_sorted_by(|one, next| one < next), "{seqs:?}");
    let told = read(&mut screen);
    assert_eq!(told.len(), ids.len(), "{told:?}");
    let retold = router
        .retell_thread(&ada(), &ThreadId::new("t"))
        .unwrap()
        .events;
    let retold: String = retold
        .iter()
        .map(|json| String::from_utf8_lossy(json).into_owned())
        .collect();
    assert!(retold.contains("0;1;2;3;4;5;"), "{retold}");
    assert_eq!(router.runs_timed_out(), 0);
    // A cursor of before the jumps is good after them.
    let cursor = ids[1].to_string();
    let mut late = router
        .agui()
        .connect(&ada(), Attach::from_cursor(Some(&cursor)))
        .unwrap();
    assert_eq!(read(&mut late).len(), ids.len() - 2);
}

#[tokio::test]
async fn a_run_that_is_silent_by_a_clock_that_jumped_ahead_ends_once_and_the_next_is_legal() {
    let clock = Arc::new(ManualClock::new(1_782_302_400_000));
    let router = EventRouter::new(RouterConfig {
        clock: clock.clone(),
        ..RouterConfig::default()
    });
    let publish = async |event| {
        router
            .publish_batch(&ada(), vec![in_thread("t", event)])
            .await
    };
    publish(Make::run_started("t", "r", None)).await.unwrap();
    clock.advance(HOUR_MS);
    router.sweep();
    clock.advance(-HOUR_MS);
    router.sweep();
    router.sweep();
    assert_eq!(router.runs_timed_out(), 1);
    publish(Make::run_started("t", "r2", None)).await.unwrap();
    router.sweep();
    assert_eq!(router.runs_timed_out(), 1);
}

/// A clock whose date can be set, which is not that time passes.
#[derive(Debug)]
struct Settable {
    date_ms: AtomicI64,
    elapsed_ms: AtomicI64,
}

impl Settable {
    fn pass(&self, by_ms: i64) {
        self.set(by_ms);
        self.elapsed_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    fn set(&self, by_ms: i64) {
        self.date_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for Settable {
    fn now_ms(&self) -> i64 {
        self.date_ms.load(Ordering::Relaxed)
    }

    fn elapsed_ms(&self) -> i64 {
        self.elapsed_ms.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn no_run_is_silent_because_the_clock_was_set() {
    for by_ms in [HOUR_MS, 24 * HOUR_MS, -HOUR_MS] {
        let clock = Arc::new(Settable {
            date_ms: AtomicI64::new(1_782_302_400_000),
            elapsed_ms: AtomicI64::new(5),
        });
        let router = EventRouter::new(RouterConfig {
            clock: clock.clone(),
            ..RouterConfig::default()
        });
        let publish = async |thread: &str, event| {
            let item = in_thread(thread, event);
            router.publish_batch(&ada(), vec![item]).await
        };
        for thread in ["t", "u"] {
            let started = Make::run_started(thread, "r", None);
            publish(thread, started).await.unwrap();
        }
        clock.pass(10 * 60_000);
        router.sweep();
        clock.set(by_ms);
        // Whether an event or the sweep comes first.
        let step = |name: &str| Make::step_started(name.to_owned());
        publish("t", step("a")).await.unwrap();
        router.sweep();
        assert_eq!(router.runs_timed_out(), 0, "{by_ms}");
        // The other run has all of its time again, and no more.
        clock.pass(14 * 60_000);
        publish("t", step("b")).await.unwrap();
        router.sweep();
        assert_eq!(router.runs_timed_out(), 0, "{by_ms}");
        clock.pass(2 * 60_000 + by_ms.min(0).abs());
        router.sweep();
        assert!(router.runs_timed_out() >= 1, "{by_ms}");
    }
}
