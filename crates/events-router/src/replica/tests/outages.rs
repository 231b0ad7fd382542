//! Answers that are lost, logs that are gone.

use events_core::EventError;
use tokio::time::Instant;

use super::*;
use crate::LogHealth;

#[tokio::test(start_paused = true)]
async fn an_append_whose_answer_is_lost_is_found_and_not_repeated() {
    for (fault, n_appends) in [
        (Fault::AnswerLost, 0),
        (Fault::AnswerLate, 0),
        (Fault::AppendLost, 1),
    ] {
        let log = FaultyLog::new(MemoryLog::new(1_000));
        let mut replicas = Replicas::new();
        let one = replicas.add(log.clone());
        begin(&one, "t", "r").await;
        let before = one.replica_stats().unwrap().appends;
        log.set(fault);
        let published = publish(&one, in_thread("t", delta("r", "once"))).await;
        assert_eq!(
            (published.ids.len(), published.duplicates),
            (1, 0),
            "{fault:?}"
        );
        let stats = one.replica_stats().unwrap();
        assert_eq!((stats.unknown, stats.appends - before), (1, n_appends));
        let mut late = follow(&replicas.add(log), None).await;
        assert_eq!(published.ids[0], late.primed());
        publish(&one, in_thread("t", delta("r", "next"))).await;
        assert_eq!(read(&mut late, 1).await.len(), 1);
        let lane = one.inner.lanes.find(&ada()).unwrap();
        assert_eq!(lane.lock().unanswered.len(), 0);
        let text = prelude(&one, "t").await.concat();
        assert_eq!(text.matches("once").count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn while_answers_are_lost_only_the_last_publish_is_remembered() {
    let log = FaultyLog::new(MemoryLog::new(1_000));
    let mut replicas = Replicas::new();
    let one = replicas.add(log.clone());
    begin(&one, "t", "r").await;
    for _ in 0..10 {
        log.set(Fault::AnswerLate);
        publish(&one, in_thread("t", delta("r", "text"))).await;
        let lane = one.inner.lanes.find(&ada()).unwrap();
        assert_eq!(lane.lock().unanswered.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_log_is_gone_publishers_are_told_in_time_and_streams_wait() {
    let log = FaultyLog::new(MemoryLog::new(1_000));
    let mut replicas = Replicas::new();
    let one = replicas.add(log.clone());
    begin(&one, "t", "r").await;
    let mut screen = follow(&one, None).await;
    for fault in [Fault::Down, Fault::Silent] {
        log.set(fault);
        let began = Instant::now();
        let failed = try_publish(&one, vec![in_thread("t", delta("r", "lost"))]).await;
        let is_right = match &failed {
            Err(PublishError::Log(error)) if fault == Fault::Down => {
                matches!(error, EventError::Unavailable(_))
            }
            Err(PublishError::Log(error)) => matches!(error, EventError::Timeout),
            _ => false,
        };
        assert!(is_right, "{fault:?}: {failed:?}");
        assert!(began.elapsed() <= Duration::from_millis(2_100));
        let unread = UserId::new("grace");
        if fault == Fault::Down {
            let opened = within(one.open_user(&unread, None)).await;
            assert!(matches!(opened, Err(EventError::Unavailable(_))));
        }
        log.set(Fault::None);
        publish(&one, in_thread("t", delta("r", "found"))).await;
        let told = read(&mut screen, 1).await;
        assert!(told[0].1.contains("found"));
        let _open = within(one.open_user(&unread, None)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_deaf_replica_has_not_heard_it_reads_when_it_hears_again() {
    let log = MemoryLog::new(600);
    let faulty = FaultyLog::new(log.clone());
    let mut replicas = Replicas::new();
    let (one, deaf) = (replicas.add(log), replicas.add(faulty.clone()));
    begin(&one, "t", "r").await;
    for (n_events, is_lost) in [(10, false), (2_000, true)] {
        let mut screen = follow(&deaf, None).await;
        faulty.set(Fault::Deaf);
        for index in 0..n_events {
            publish(&one, in_thread("t", delta("r", &index.to_string()))).await;
        }
        faulty.set(Fault::None);
        let mut batch = Batch::default();
        let next = within(screen.next(&mut batch)).await;
        if is_lost {
            // The log keeps 600: what this reader has not seen is gone for everybody.
            assert!(matches!(next, Next::Missed(_)), "{next:?}");
        } else {
            assert_eq!((next, batch.events.len()), (Next::Events, n_events));
        }
        assert_eq!(prelude(&deaf, "t").await, prelude(&one, "t").await);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_work_behind_it_a_router_answers_at_once() {
    let log = Arc::new(MemoryLog::new(10));
    let (router, replica) = EventRouter::on_log(RouterConfig::default(), log);
    assert!(matches!(router.log_health(), LogHealth::Starting));
    drop(replica);
    let failed = try_publish(
        &router,
        vec![in_thread("t", Make::run_started("t", "r", None))],
    )
    .await;
    assert!(matches!(
        failed,
        Err(PublishError::Log(EventError::Unavailable(_)))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_user_who_publishes_too_fast_for_the_log_is_refused_and_nobody_else() {
    let log = FaultyLog::new(MemoryLog::new(10));
    let mut replicas = Replicas::new();
    let one = replicas.add(log.clone());
    begin(&one, "t", "r").await;
    log.set(Fault::Silent);
    let mut publishes = JoinSet::new();
    for index in 0..300 {
        let one = one.clone();
        publishes.spawn(async move {
            try_publish(&one, vec![in_thread("t", delta("r", &index.to_string()))]).await
        });
    }
    let outcomes = within(publishes.join_all()).await;
    let is_full = |outcome: &&Result<Published, PublishError>| {
        matches!(outcome, Err(PublishError::Log(EventError::Overloaded(_))))
    };
    let n_refused = outcomes.iter().filter(is_full).count();
    assert!((40..=44).contains(&n_refused), "{n_refused}");
    assert_eq!(one.replica_stats().unwrap().lanes_full, n_refused as u64);
    log.set(Fault::None);
    publish(&one, in_thread("t", delta("r", "after"))).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_behind_the_log_is_counted_until_he_has_caught_up() {
    let log = MemoryLog::new(600);
    let faulty = FaultyLog::new(log.clone());
    let mut replicas = Replicas::new();
    let (one, late) = (replicas.add(log), replicas.add(faulty.clone()));
    let n_behind = || late.replica_stats().unwrap().users_behind;
    let mut screen = follow(&late, None).await;
    assert_eq!(n_behind(), 0);
    faulty.set(Fault::Deaf);
    begin(&one, "t", "r").await;
    // It hears that there is news, and cannot read them.
    faulty.set(Fault::Down);
    replicas.pass(Duration::ZERO, &[]).await;
    assert_eq!(n_behind(), 1);
    faulty.set(Fault::None);
    assert_eq!(read(&mut screen, 2).await.len(), 2);
    assert_eq!(n_behind(), 0);
}
