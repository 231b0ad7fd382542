//! Silent runs, idle threads, and what folds may take.

use super::*;
use crate::{ThreadNext, ThreadState};

/// In milliseconds.
const MINUTE: i64 = 60_000;

const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

fn clocked(config: RouterConfig) -> (EventRouter, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(1_000_000));
    let router = EventRouter::new(RouterConfig {
        clock: Arc::clone(&clock) as _,
        ..config
    });
    (router, clock)
}

fn start(router: &EventRouter, thread: &str, run: &str) {
    let event = AgUiEventBuilder::run_started(thread, run, None);
    router
        .publish_now(&ada(), &mut [in_thread(thread, event)])
        .expect("legal");
}

fn step(router: &EventRouter, thread: &str, name: &str) -> Result<crate::Published, PublishError> {
    router.publish_now(
        &ada(),
        &mut [in_thread(thread, AgUiEventBuilder::step_started(name))],
    )
}

fn state_of(router: &EventRouter, thread: &str) -> Option<ThreadState> {
    router
        .snapshot_thread(&ada(), &ThreadId::new(thread))
        .map(|snapshot| snapshot.status)
}

#[test]
fn a_silent_run_is_ended_once_by_the_sweep() {
    let (router, clock) = clocked(RouterConfig::default());
    let mut screen = router
        .agui()
        .connect(&ada(), Attach::now())
        .expect("a slot");
    start(&router, "t", "r");
    clock.advance(14 * MINUTE);
    router.sweep();
    step(&router, "t", "alive").expect("not silent for fifteen minutes");
    clock.advance(14 * MINUTE);
    router.sweep();
    assert_eq!(state_of(&router, "t"), Some(ThreadState::Running));
    clock.advance(MINUTE);
    router.sweep();
    router.sweep();
    assert_eq!(
        types(&mut screen),
        ["RUN_STARTED", "STEP_STARTED", "RUN_ERROR"]
    );
    assert_eq!(state_of(&router, "t"), Some(ThreadState::Failed));
    assert_eq!(router.active_runs(), 0);
}

#[test]
fn a_late_event_of_a_silent_run_ends_it_and_is_refused_with_the_reason() {
    let (router, clock) = clocked(RouterConfig::default());
    let mut screen = router
        .agui()
        .connect(&ada(), Attach::now())
        .expect("a slot");
    start(&router, "t", "r");
    clock.advance(15 * MINUTE);
    let (_, refusal) = refusal(step(&router, "t", "late"));
    assert!(matches!(refusal, Refusal::TimedOut { .. }), "{refusal:?}");
    assert!(
        refusal.to_string().contains("no event for 15m"),
        "{refusal}"
    );
    assert_eq!(types(&mut screen), ["RUN_STARTED", "RUN_ERROR"]);
    start(&router, "t", "r2");
    step(&router, "t", "again").expect("a new run is not late");
}

#[test]
fn a_run_may_say_how_long_it_is_silent() {
    let (router, clock) = clocked(RouterConfig::default());
    let event = AgUiEventBuilder::run_started("slow", "r", None);
    let item = in_thread("slow", event).with_run_timeout(minutes(60));
    router.publish_now(&ada(), &mut [item]).expect("legal");
    let event = AgUiEventBuilder::run_started("quick", "r", None);
    let item = in_thread("quick", event).with_run_timeout(minutes(1));
    router.publish_now(&ada(), &mut [item]).expect("legal");
    clock.advance(MINUTE);
    router.sweep();
    assert_eq!(state_of(&router, "quick"), Some(ThreadState::Failed));
    clock.advance(58 * MINUTE);
    router.sweep();
    assert_eq!(state_of(&router, "slow"), Some(ThreadState::Running));
    clock.advance(MINUTE);
    router.sweep();
    assert_eq!(state_of(&router, "slow"), Some(ThreadState::Failed));
}

#[test]
fn finished_threads_are_forgotten_and_their_bytes_with_them() {
    let (router, clock) = clocked(RouterConfig::default());
    start(&router, "t", "r");
    let event = AgUiEventBuilder::run_finished("t", "r", None);
    router
        .publish_now(&ada(), &mut [in_thread("t", event)])
        .expect("legal");
    assert!(router.fold_bytes() > 0);
    clock.advance(30 * MINUTE);
    start(&router, "u", "r");
    clock.advance(29 * MINUTE);
    router.sweep();
    assert!(state_of(&router, "t").is_some());
    clock.advance(2 * MINUTE);
    router.sweep();
    assert_eq!(state_of(&router, "t"), None);
    clock.advance(120 * MINUTE);
    router.sweep();
    router.sweep();
    assert_eq!(router.fold_bytes(), 0);
}

fn say(router: &EventRouter, user: &UserId, thread: &str, n_bytes: usize) {
    let events = [
        AgUiEventBuilder::run_started(thread, "r", None),
        AgUiEventBuilder::text_message_start("m", MessageRole::Assistant),
        AgUiEventBuilder::text_message_content("m", "x".repeat(n_bytes)),
        AgUiEventBuilder::text_message_end("m"),
        AgUiEventBuilder::run_finished(thread, "r", None),
    ];
    for event in events {
        router
            .publish_now(user, &mut [in_thread(thread, event)])
            .expect("legal");
    }
}

#[test]
fn the_oldest_finished_threads_give_way_when_folds_take_too_much() {
    let total = 200_000;
    let (router, clock) = clocked(RouterConfig {
        fold_total_bytes: total,
        ..RouterConfig::default()
    });
    for n in 0..100 {
        clock.advance(1_000);
        say(
            &router,
            &UserId::new(format!("user-{}", n % 10)),
            &format!("t{n}"),
            10_000,
        );
        assert!(
            router.fold_bytes() <= total + 11_000,
            "{}",
            router.fold_bytes()
        );
    }
    assert!(router.folds_shed() > 0);
    let last = router.snapshot_thread(&UserId::new("user-9"), &ThreadId::new("t99"));
    assert!(last.is_some_and(|snapshot| !snapshot.is_too_large));
}

#[test]
fn an_active_fold_is_given_up_when_nothing_else_is_left_and_its_thread_goes_on() {
    let (router, _clock) = clocked(RouterConfig {
        fold_total_bytes: 50_000,
        ..RouterConfig::default()
    });
    start(&router, "t", "r");
    let mut attached = router.subscribe(&ada()).thread("t").expect("a slot");
    let open = AgUiEventBuilder::text_message_start("m", MessageRole::Assistant);
    router
        .publish_now(&ada(), &mut [in_thread("t", open)])
        .expect("legal");
    for _ in 0..10 {
        let delta = AgUiEventBuilder::text_message_content("m", "x".repeat(10_000));
        router
            .publish_now(&ada(), &mut [in_thread("t", delta)])
            .expect("legal");
    }
    assert!(router.fold_bytes() <= 50_000 && router.folds_shed() > 0);
    let mut context = Context::from_waker(Waker::noop());
    let mut batch = Batch::default();
    assert!(attached.poll_next(&mut context, &mut batch).is_ready());
    let mut late = router.subscribe(&ada()).thread("t").expect("a slot");
    assert!(late.poll_next(&mut context, &mut batch).is_ready());
    assert_too_large(&batch);
    // For it the run is over; the next one is not.
    let rest = [
        AgUiEventBuilder::text_message_content("m", "x"),
        AgUiEventBuilder::text_message_end("m"),
        AgUiEventBuilder::run_finished("t", "r", None),
        AgUiEventBuilder::run_started("t", "r2", None),
    ];
    for event in rest {
        router
            .publish_now(&ada(), &mut [in_thread("t", event)])
            .expect("legal");
    }
    assert!(late.poll_next(&mut context, &mut batch).is_ready());
    assert_eq!(
        batch.events.len(),
        1,
        "RUN_STARTED only: {:?}",
        batch.events
    );
    let mut n_left = 0;
    while let Poll::Ready(ThreadNext::Events) = attached.poll_next(&mut context, &mut batch) {
        n_left += batch.events.len();
    }
    assert!(n_left >= 4, "who was there goes on: {n_left}");
}

fn assert_too_large(batch: &Batch) {
    let last = batch
        .events
        .last()
        .map(|(_, frame)| String::from_utf8_lossy(&frame.data).into_owned());
    assert!(last.is_some_and(|json| json.contains("thread_too_large")));
}

#[test]
fn without_folds_a_joiner_is_told_so_and_everybody_else_goes_on() {
    let (router, _clock) = clocked(RouterConfig {
        fold_bytes: 0,
        ..RouterConfig::default()
    });
    let mut early = router.subscribe(&ada()).thread("t").expect("a slot");
    say(&router, &ada(), "t", 100);
    start(&router, "t", "r2");
    let mut context = Context::from_waker(Waker::noop());
    let mut batch = Batch::default();
    assert!(early.poll_next(&mut context, &mut batch).is_ready());
    assert_eq!(batch.events.len(), 6);
    let mut late = router.subscribe(&ada()).thread("t").expect("a slot");
    assert!(late.poll_next(&mut context, &mut batch).is_ready());
    assert_too_large(&batch);
}
