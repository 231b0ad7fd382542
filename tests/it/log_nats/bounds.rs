//! Appends larger than a message, and users of whom nothing is kept any more.

use std::time::Duration;

use events_core::{EventError, EventLog as _, Tailed};

use super::engine::{Away, Nats, open};
use super::samples::{numbers, read_all, record, sized, started, until, user};

#[tokio::test(flavor = "multi_thread")]
async fn an_append_larger_than_a_message_is_one_append() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let (log, ada) = (open(nats.config()).await, user("ada"));
    let mut tail = started(&log).await;
    let last = log.append(&ada, &[record(0)], 1, Some(0)).await.unwrap();
    let many: Vec<_> = (1..=9).map(|_| sized(500_000)).collect();
    let first = log.append(&ada, &many, 7, Some(last)).await.unwrap();
    let next = log
        .append(&ada, &[record(1)], 1, Some(first + 8))
        .await
        .unwrap();
    assert!(next > first + 8);
    let mut sizes = Vec::new();
    until(&mut tail, "three appends", |tailed| {
        if let Tailed::Appended {
            previous, records, ..
        } = tailed
        {
            sizes.push((previous, records.len()));
        }
        (sizes.len() == 3).then_some(())
    })
    .await;
    assert_eq!(sizes, [(0, 1), (last, 9), (first + 8, 1)]);
    // Also from the middle, and page by page.
    for after in first - 1..first + 9 {
        let page = log.read(&ada, after, 1 << 24).await.unwrap();
        assert_eq!(page.previous, after);
        assert_eq!(
            page.records[0].seq,
            if after == first + 8 { next } else { after + 1 }
        );
    }
    assert_eq!(read_all(&log, &ada).await.records.len(), 11);
    let stale = log.append(&ada, &many, 1, Some(last)).await;
    assert!(
        matches!(stale, Err(EventError::Conflict { last }) if last == next),
        "{stale:?}"
    );
    let too_many: Vec<_> = (0..80).map(|_| sized(500_000)).collect();
    let refused = log.append(&ada, &too_many, 1, Some(next)).await;
    assert!(
        matches!(refused, Err(EventError::TooLarge { .. })),
        "{refused:?}"
    );
    assert_eq!(read_all(&log, &ada).await.records.len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_whom_nothing_is_kept_goes_on_where_he_was() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let mut config = nats.config();
    config.idle_age = Duration::from_secs(1);
    config.age = Duration::from_secs(1);
    let log = open(config.clone()).await;
    let (ada, eve) = (user("ada"), user("eve"));
    let mut tail = started(&log).await;
    let last = log
        .append(&ada, &[record(0), record(1)], 1, Some(0))
        .await
        .unwrap()
        + 1;
    until(&mut tail, "ada", |tailed| {
        matches!(tailed, Tailed::Appended { .. }).then_some(())
    })
    .await;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..100 {
        ticks.tick().await;
        if log.read(&ada, 0, 100).await.unwrap().last == 0 {
            break;
        }
    }
    // Who asks from the beginning finds nobody; who knows the place is at the end.
    assert_eq!(log.read(&ada, 0, 100).await.unwrap().last, 0);
    let page = log.read(&ada, last, 100).await.unwrap();
    assert_eq!((page.previous, page.last), (last, last));
    let stale = log
        .append(&ada, &[record(9)], 1, Some(last + (1 << 30)))
        .await;
    assert!(
        matches!(stale, Err(EventError::Conflict { .. })),
        "{stale:?}"
    );
    let next = log.append(&ada, &[record(2)], 1, Some(last)).await.unwrap();
    let previous = until(&mut tail, "ada again", |tailed| match tailed {
        Tailed::Appended { previous, .. } => Some(previous),
        _ => None,
    })
    .await;
    assert_eq!(previous, last);
    assert!(next > last);
    // A replica that was not there when others' records came and went does not know what there was.
    drop(tail);
    let late = open(config).await;
    for n in 0..3 {
        log.append(&eve, &[record(n)], 1, None).await.unwrap();
    }
    for _ in 0..100 {
        ticks.tick().await;
        if log.read(&eve, 0, 100).await.unwrap().last == 0 {
            break;
        }
    }
    let page = late.read(&ada, next, 100).await.unwrap();
    assert!(
        page.previous > next && page.records.is_empty() && page.last == page.previous,
        "{page:?}"
    );
    let refused = late.append(&ada, &[record(3)], 1, Some(next)).await;
    let Err(EventError::Conflict { last: floor }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(floor, page.last);
    let again = late
        .append(&ada, &[record(3)], 1, Some(floor))
        .await
        .unwrap();
    assert!(again > floor);
    assert_eq!(
        numbers(&late.read(&ada, floor, 100).await.unwrap().records),
        [3]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn old_records_leave_the_server_and_the_last_place_stays() {
    let Some(nats) = Nats::start("log_nats", 1, Away::Killed).await else {
        return;
    };
    let mut config = nats.config();
    config.age = Duration::from_secs(1);
    let (log, ada) = (open(config).await, user("ada"));
    let mut last = 0;
    for n in 0..20 {
        last = log.append(&ada, &[record(n)], 1, Some(last)).await.unwrap();
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let n_kept = async || {
        let info = nats.servers.ask(0, "$JS.API.STREAM.INFO.EVENTS", "").await;
        let info: serde_json::Value = serde_json::from_str(&info.unwrap()).unwrap();
        info["state"]["messages"].as_u64().unwrap()
    };
    let mut n_messages = n_kept().await;
    assert_eq!(n_messages, 20);
    for _ in 0..100 {
        ticks.tick().await;
        log.sweep().await.unwrap();
        n_messages = n_kept().await;
        if n_messages == 1 {
            break;
        }
    }
    assert_eq!(n_messages, 1, "old records are still there");
    let page = log.read(&ada, 0, 100).await.unwrap();
    assert_eq!((page.previous, page.last), (last, last));
    log.append(&ada, &[record(20)], 1, Some(last))
        .await
        .unwrap();
    assert_eq!(
        numbers(&log.read(&ada, last, 100).await.unwrap().records),
        [20]
    );
}
