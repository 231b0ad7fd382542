//! A user's state is the same wherever and whenever it is read.

use std::time::Duration;

use events_core::Record;
use events_models::SystemEventBuilder;

use super::*;
use crate::ThreadState;

#[tokio::test(start_paused = true)]
async fn a_run_whose_beginning_the_log_has_forgotten_is_told_whole() {
    let (log, mut replicas) = (MemoryLog::new(700), Replicas::new());
    let one = replicas.add(log.clone());
    begin(&one, "t", "r").await;
    let mut text = String::new();
    for index in 0..10_000 {
        let word = format!("{index} ");
        text.push_str(&word);
        publish(&one, in_thread("t", delta("r", &word))).await;
    }
    let other = replicas.add(log);
    let told = prelude(&other, "t").await;
    assert!(told.concat().contains(text.trim_end()));
    assert_eq!(told, prelude(&one, "t").await);
    let stats = one.replica_stats().unwrap();
    assert!((20..40).contains(&stats.saves), "{stats:?}");
    // And it goes on there.
    publish(&other, in_thread("t", Make::text_message_end("r-m"))).await;
    publish(&other, in_thread("t", Make::run_finished("t", "r", None))).await;
    assert_eq!(prelude(&one, "t").await, prelude(&other, "t").await);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_needed_is_let_go_and_read_again() {
    let (log, mut replicas) = (MemoryLog::new(10), Replicas::new());
    let one = replicas.add(log);
    let user_count = || one.replica_stats().unwrap().users;
    begin(&one, "t", "r").await;
    let contexts = SystemEventBuilder::context_created("t".into(), "A name");
    one.publish(&ada(), contexts).await.unwrap();
    for index in 0..30 {
        publish(&one, in_thread("t", delta("r", &index.to_string()))).await;
    }
    let told = prelude(&one, "t").await;
    let screen = follow(&one, None).await;
    // Who is connected stays, and who was just now.
    for _ in 0..3 {
        replicas.pass(Duration::from_secs(40), &[&one]).await;
        assert_eq!(user_count(), 1);
    }
    drop(screen);
    replicas.pass(Duration::from_secs(40), &[&one]).await;
    assert_eq!(user_count(), 1);
    replicas.pass(Duration::from_secs(40), &[&one]).await;
    assert_eq!((user_count(), one.store().users()), (0, 0));
    assert_eq!(one.order_stats().users, 0);
    assert_eq!(prelude(&one, "t").await, told);
    assert_eq!(one.contexts_of(&ada())[0].name, "A name");
    assert_eq!(one.replica_stats().unwrap().loads, 2);
}

#[tokio::test(start_paused = true)]
async fn an_erased_user_is_gone_on_every_replica_and_his_streams_go_on() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let (one, other) = (replicas.add(log.clone()), replicas.add(log.clone()));
    let cursor = follow(&other, None).await.primed().to_string();
    begin(&one, "t", "r").await;
    let mut screen = follow(&other, None).await;
    within(one.erase_user(&ada())).await.unwrap();
    assert!(prelude(&one, "t").await.is_empty());
    begin(&one, "u", "s").await;
    let told = read(&mut screen, 2).await;
    assert!(told[0].1.contains("RUN_STARTED"));
    for router in [&one, &other] {
        assert!(prelude(router, "t").await.is_empty());
        assert_eq!(router.threads_of(&ada()).len(), 1);
    }
    let third = replicas.add(log);
    assert!(prelude(&third, "t").await.is_empty());
    assert_eq!(prelude(&third, "u").await, prelude(&one, "u").await);
    assert!(follow(&third, Some(&cursor)).await.missed().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_silent_run_is_ended_once_whoever_looks_first() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let (one, other) = (replicas.add(log.clone()), replicas.add(log));
    let timeout = Duration::from_secs(10);
    let start = in_thread("t", Make::run_started("t", "r", None)).with_run_timeout(timeout);
    publish(&one, start).await;
    let mut screen = follow(&other, None).await;
    publish(&one, in_thread("t", Make::step_started("work"))).await;
    replicas.pass(Duration::from_secs(9), &[&one, &other]).await;
    assert_eq!(other.active_runs(), 1);
    replicas.pass(Duration::from_secs(2), &[&one, &other]).await;
    let told = read(&mut screen, 2).await;
    assert!(told[1].1.contains("run_timeout"), "{told:?}");
    let ended: u64 = [&one, &other]
        .iter()
        .map(|router| router.runs_timed_out())
        .sum();
    assert_eq!(ended, 1);
    let threads = other.threads_of(&ada());
    assert_eq!(threads[0].status, ThreadState::Failed);
    let late = try_publish(&other, vec![in_thread("t", Make::step_started("late"))]).await;
    assert!(format!("{late:?}").contains("TimedOut"), "{late:?}");
}

/// What a program appends to the log past every hub, such as an application by SQL.
async fn append_foreign(log: &MemoryLog, event: AgUiEvent) {
    let record = Record {
        channel: crate::routes::AGUI,
        scope: Some("t".into()),
        name: None,
        json: events_sse::ToSse::to_frame(&event).unwrap().data,
        tag: 1,
        key: None,
        note: bytes::Bytes::new(),
    };
    log.append(&ada(), &[record], 0, None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_before_a_checkpoint_is_told_by_nobody_who_comes_later() {
    let (log, mut replicas) = (MemoryLog::new(1_000), Replicas::new());
    let one = replicas.add(log.clone());
    let cursor = follow(&one, None).await.primed().to_string();
    begin(&one, "t", "r").await;
    for text in ["refused", "refused too"] {
        append_foreign(&log, delta("nobody", text)).await;
    }
    publish(&one, in_thread("t", delta("r", "taken"))).await;
    append_foreign(&log, delta("nobody", "refused at last")).await;
    publish(&one, in_thread("t", Make::text_message_end("r-m"))).await;
    // A run's end is saved.
    publish(&one, in_thread("t", Make::run_finished("t", "r", None))).await;
    replicas.pass(Duration::from_secs(1), &[&one]).await;
    assert!(one.replica_stats().unwrap().saves > 0);
    let told = read(&mut follow(&one, Some(&cursor)).await, 5).await;
    assert!(!format!("{told:?}").contains("refused"), "{told:?}");
    // Replicas that come later, the second with a checkpoint of the first of them.
    for run in ["s", "u"] {
        let late = replicas.add(log.clone());
        let mut screen = follow(&late, Some(&cursor)).await;
        assert_eq!(read(&mut screen, 5).await[..5], told);
        assert_eq!(late.replica_stats().unwrap().refused, 3);
        begin(&late, "t", run).await;
        publish(
            &late,
            in_thread("t", Make::text_message_end(format!("{run}-m"))),
        )
        .await;
        publish(&late, in_thread("t", Make::run_finished("t", run, None))).await;
        replicas.pass(Duration::from_secs(1), &[&late]).await;
        assert!(late.replica_stats().unwrap().saves > 0);
    }
}
