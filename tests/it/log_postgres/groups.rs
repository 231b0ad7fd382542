//! Appends of several users that go in one transaction.

use std::{io, sync::Arc, time::Duration};

use events_core::{EventError, EventLog, UserId};
use events_tests::deadline::{PATIENCE, within};
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};

use super::{config, open, record, server};

fn counter(log: &dyn EventLog, name: &str) -> f64 {
    let counters = log.counters();
    let found = counters.iter().find(|counter| counter.name == name);
    found.expect("a counter of this name").value
}

/// Appends to a user's log over and over, each behind the one before.
async fn write(log: Arc<dyn EventLog>, user: UserId, n: u64) {
    let mut last = 0;
    for at in 0..n {
        let records = [record(&at.to_string()), record("\"more\"")];
        let records = &records[..1 + at as usize % 2];
        let first = log.append(&user, records, 7, Some(last)).await.unwrap();
        assert_eq!(first, last + 1);
        last = first + records.len() as u64 - 1;
        if at % 5 == 0 {
            // Somebody who is late is told so, and has changed nothing.
            let late = log.append(&user, records, 7, Some(last - 1)).await;
            assert!(matches!(late, Err(EventError::Conflict { last: known }) if known == last));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_many_users_go_together_and_each_has_its_own_places() -> io::Result<()> {
    let Some(server) = server("appends_of_many_users_go_together").await else {
        return Ok(());
    };
    let (log, other) = (open(config(&server)).await, open(config(&server)).await);
    let users: Vec<UserId> = (0..24).map(|at| UserId::new(format!("u{at}"))).collect();
    let mut writers = JoinSet::new();
    for (at, user) in users.iter().enumerate() {
        // Two replicas, so that groups of the same rows meet.
        let log = if at % 2 == 0 { &log } else { &other };
        writers.spawn(write(Arc::clone(log), user.clone(), 40));
    }
    // One whom both write to, without a word about his last place.
    let eve = UserId::from("eve");
    for log in [&log, &other] {
        let (log, eve) = (Arc::clone(log), eve.clone());
        writers.spawn(async move {
            for _ in 0..40 {
                log.append(&eve, &[record("1")], 7, None).await.unwrap();
            }
        });
    }
    let written = async { io::Result::Ok(writers.join_all().await) };
    within("all appends", 2 * PATIENCE, written).await?;
    for user in &users {
        let page = log.read(user, 0, 1 << 20).await.unwrap();
        let places: Vec<u64> = page.records.iter().map(|logged| logged.seq).collect();
        assert_eq!(places, (1..=60).collect::<Vec<u64>>());
        let first = page
            .records
            .iter()
            .filter(|logged| logged.record.json != "\"more\"");
        let written: Vec<String> = (0..40).map(|at| at.to_string()).collect();
        assert!(first.map(|logged| &logged.record.json).eq(written.iter()));
        assert!(page.records.iter().all(|logged| logged.at_ms == 7));
    }
    assert_eq!(log.read(&eve, 0, 1 << 20).await.unwrap().records.len(), 80);
    for log in [&log, &other] {
        let grouped = counter(&**log, "events_log_postgres_grouped_appends_total");
        assert!(grouped >= 100.0, "{grouped} appends went together");
    }
    // The bytes that are kept are counted as by single appends.
    let wrong = server.psql(
        "postgres",
        "select count(*) from events.head h where h.total <> \
         (select sum(octet_length(l.body)) from events.log l where l.user_id = h.user_id)",
    );
    assert_eq!(wrong.await?, "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_transaction_of_an_application_holds_up_its_own_user_only() -> io::Result<()> {
    let Some(server) = server("a_long_transaction_holds_up_its_own_user_only").await else {
        return Ok(());
    };
    let log = open(config(&server)).await;
    let users: Vec<UserId> = (0..16).map(|at| UserId::new(format!("u{at}"))).collect();
    for user in &users {
        log.append(user, &[record("1")], 0, Some(0)).await.unwrap();
    }
    let holding = "begin; select events.events_publish('u0', null, array['system'], array['1']); \
         select pg_sleep(1); commit";
    let held = async {
        let mut ticks = interval(Duration::from_millis(10));
        let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
        while server.psql("postgres", asleep).await? != "1" {
            ticks.tick().await;
        }
        let begun_at = Instant::now();
        let mut appends = JoinSet::new();
        for user in users.clone() {
            let log = Arc::clone(&log);
            appends.spawn(async move {
                let place = log.append(&user, &[record("2")], 0, None).await.unwrap();
                (user, place, begun_at.elapsed())
            });
        }
        let done = within("the appends", PATIENCE, async {
            io::Result::Ok(appends.join_all().await)
        });
        done.await
    };
    let (published, done) = tokio::join!(server.psql("postgres", holding), held);
    published?;
    let done = done?;
    let of_held = done.iter().find(|(user, ..)| user.as_str() == "u0");
    // It waited for the commit, which has the place before.
    assert_eq!(of_held.map(|(_, place, _)| *place), Some(3));
    let waited = of_held.map(|(.., time)| *time).unwrap_or_default();
    for (user, place, time) in &done {
        if user.as_str() != "u0" {
            assert_eq!(*place, 2);
            assert!(*time < waited, "{user} waited {time:?}, u0 {waited:?}");
        }
    }
    Ok(())
}
