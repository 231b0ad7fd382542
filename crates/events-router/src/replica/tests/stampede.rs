//! Everybody comes back at once, and the log is asked for a few histories at a time.

use std::sync::atomic::Ordering;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stampede_reads_a_few_histories_at_a_time_and_each_of_them_once() {
    let log = FaultyLog::new(MemoryLog::new(1_000));
    log.set(Fault::SlowReads);
    let config = RouterConfig {
        catch_ups: 3,
        ..RouterConfig::default()
    };
    let (router, replica) = EventRouter::on_log(config, Arc::new(log.clone()));
    let mut work = JoinSet::new();
    work.spawn(replica.run());
    let mut opening = JoinSet::new();
    // Ten connections of each of 200 users.
    for number in 0..2_000 {
        let router = router.clone();
        opening.spawn(async move {
            let user = UserId::new(format!("user-{}", number % 200));
            within(router.open_user(&user, None)).await
        });
    }
    let mut open = Vec::new();
    while let Some(opened) = opening.join_next().await {
        open.push(opened.unwrap().expect("all are let in"));
    }
    assert_eq!(open.len(), 2_000);
    let [_, most, all] = log.reading();
    assert_eq!(most.load(Ordering::Relaxed), 3);
    assert_eq!(all.load(Ordering::Relaxed), 200);
}
