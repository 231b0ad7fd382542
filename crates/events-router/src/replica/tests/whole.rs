//! A user's state is the same wherever and whenever it is read.

use std::time::Duration;

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
