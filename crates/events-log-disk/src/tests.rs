//! What is special about this log; what every log must do is tested in the test crate.

mod faulty;
mod power;

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use events_core::{
    Channel, Checkpoint, EventError, EventLog as _, ManualClock, Record, Tailed, UserId,
};
use futures_util::StreamExt as _;

use self::faulty::{Faulty, Trouble};
use crate::{DiskConfig, DiskLog, DiskOpenError};

pub(crate) fn numbered(n: u64) -> Record {
    Record {
        channel: Channel::new(0),
        scope: Some("thread".into()),
        name: None,
        json: format!("{{\"n\":{n}}}").into(),
        tag: 1,
        key: None,
        note: Bytes::new(),
    }
}

pub(crate) fn config() -> DiskConfig {
    let mut config = DiskConfig::new("/nowhere");
    config.reopen_after = Duration::ZERO;
    config.max_age = Duration::from_secs(36_000 * 24 * 3_600);
    config
}

fn open(faulty: &Faulty, config: DiskConfig) -> DiskLog {
    DiskLog::open_on(Box::new(faulty.clone()), config).unwrap()
}

/// Polls a call once: after that it is in the queue, or refused.
fn poll_once<T>(call: &mut std::pin::Pin<Box<impl Future<Output = T>>>) -> Poll<T> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

async fn n_kept(log: &DiskLog, user: &UserId) -> usize {
    log.read(user, 0, 1 << 30).await.unwrap().records.len()
}

fn counter(log: &DiskLog, name: &str) -> f64 {
    let counters = log.counters();
    let counter = counters.iter().find(|counter| counter.name == name);
    counter.unwrap().value
}

async fn next(tail: &mut events_core::Tail) -> Tailed {
    let next = tokio::time::timeout(Duration::from_secs(20), tail.next());
    next.await
        .expect("a tail says something")
        .expect("a tail goes on")
}

/// The file fails in every way; what was acknowledged is read all the while, and it goes on when the trouble is over.
#[tokio::test]
async fn reads_go_on_while_the_file_fails_and_appends_when_it_does_not() {
    for trouble in [Trouble::Growing, Trouble::Writing, Trouble::Syncing] {
        let (faulty, ada) = (Faulty::default(), UserId::new("ada"));
        let log = open(&faulty, config());
        let mut tail = log.tail();
        assert!(matches!(next(&mut tail).await, Tailed::Up));
        assert!(matches!(next(&mut tail).await, Tailed::Started));
        let mut last = 0;
        for n in 0..20 {
            last = log
                .append(&ada, &[numbered(n)], 1, Some(last))
                .await
                .unwrap();
            assert!(matches!(next(&mut tail).await, Tailed::Appended { .. }));
        }
        let part = Checkpoint {
            part: "p".into(),
            seq: last,
            state: Bytes::from_static(b"state"),
        };
        log.save(&ada, &[part]).await.unwrap();
        faulty.set_trouble(Some(trouble));
        // What has no room to grow may have some within the file: so records are large.
        let large = Record {
            json: vec![b'x'; 3 << 20].into(),
            ..numbered(20)
        };
        let mut n_unknown = 0;
        for _ in 0..3 {
            let error = log
                .append(&ada, std::slice::from_ref(&large), 1, None)
                .await
                .unwrap_err();
            match error {
                EventError::Unavailable(why) => {
                    let why = why.to_string();
                    assert!(why.contains("on purpose"), "{trouble:?}: {why}");
                }
                EventError::Timeout => n_unknown += 1,
                other => panic!("{trouble:?}: {other:?}"),
            }
            assert_eq!(n_kept(&log, &ada).await, 20, "{trouble:?}");
            assert_eq!(log.load(&ada).await.unwrap().len(), 1);
        }
        assert_eq!(n_unknown, 0, "{trouble:?}");
        assert!(
            matches!(next(&mut tail).await, Tailed::Down(_)),
            "{trouble:?}"
        );
        let mut late = log.tail();
        assert!(
            matches!(next(&mut late).await, Tailed::Down(_)),
            "{trouble:?}"
        );
        faulty.set_trouble(None);
        let at = log
            .append(&ada, &[numbered(21)], 1, Some(last))
            .await
            .unwrap();
        assert_eq!(at, last + 1, "{trouble:?}");
        assert!(matches!(next(&mut tail).await, Tailed::Up), "{trouble:?}");
        assert!(
            matches!(next(&mut tail).await, Tailed::Appended { .. }),
            "{trouble:?}"
        );
        let epoch = log.epoch();
        drop(log);
        let log = open(&faulty, config());
        assert_eq!(
            (log.epoch(), n_kept(&log, &ada).await),
            (epoch, 21),
            "{trouble:?}"
        );
    }
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_refuses_before_it_is() {
    let (faulty, ada) = (Faulty::default(), UserId::new("ada"));
    let log = open(&faulty, config());
    log.append(&ada, &[numbered(0)], 1, None).await.unwrap();
    faulty.set_room(4 << 20);
    let error = log.append(&ada, &[numbered(1)], 1, None).await.unwrap_err();
    let EventError::Unavailable(why) = error else {
        panic!("{error:?}");
    };
    assert!(why.to_string().contains("4194304 bytes are left"), "{why}");
    // What makes room still works.
    log.erase(&ada, numbered(2), 1).await.unwrap();
    log.sweep().await.unwrap();
    faulty.set_room(1 << 30);
    let at = log.append(&ada, &[numbered(3)], 1, None).await.unwrap();
    assert_eq!((at, n_kept(&log, &ada).await), (3, 2));
}

#[tokio::test]
async fn a_read_that_fails_once_is_made_again() {
    let (faulty, ada) = (Faulty::default(), UserId::new("ada"));
    let mut small = config();
    small.cache_bytes = 0;
    let log = open(&faulty, small);
    for n in 0..50 {
        log.append(&ada, &[numbered(n)], 1, None).await.unwrap();
    }
    for n_reads in 0..6 {
        faulty.fail_read(n_reads);
        assert_eq!(n_kept(&log, &ada).await, 50, "{n_reads}");
    }
    // It is opened anew for writing.
    log.append(&ada, &[numbered(50)], 1, Some(50))
        .await
        .unwrap();
    assert_eq!(n_kept(&log, &ada).await, 51);
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let (faulty, ada) = (Faulty::default(), UserId::new("ada"));
    let mut few = config();
    few.max_waiting = 4;
    few.max_waiting_bytes = 1 << 20;
    few.deadline = Duration::from_secs(20);
    let log = open(&faulty, few);
    let pause = faulty.pause();
    let mut waiting = Vec::new();
    let mut n_refused = 0;
    for n in 0..12 {
        let mut append = Box::pin({
            let (log, ada) = (log.clone(), ada.clone());
            async move { log.append(&ada, &[numbered(n)], 1, None).await }
        });
        match poll_once(&mut append) {
            Poll::Ready(Err(EventError::Overloaded(what))) => {
                assert_eq!(what, "appends that wait for the disk");
                n_refused += 1;
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => waiting.push(append),
        }
    }
    assert!((4..=5).contains(&waiting.len()), "{} wait", waiting.len());
    let large = Record {
        json: vec![b'x'; 1 << 20].into(),
        ..numbered(1)
    };
    let error = log
        .append(&ada, std::slice::from_ref(&large), 1, None)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            EventError::Overloaded("bytes that wait for the disk")
        ),
        "{error:?}"
    );
    drop(pause);
    let n_waiting = waiting.len();
    for append in waiting {
        append.await.unwrap();
    }
    assert_eq!(n_kept(&log, &ada).await, n_waiting);
    // Alone, it is taken however large.
    log.append(&ada, &[large], 1, None).await.unwrap();
    assert_eq!(
        counter(&log, "events_log_disk_refused_total"),
        f64::from(n_refused + 1)
    );
    assert_eq!(counter(&log, "events_log_disk_waiting_bytes"), 0.0);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_appended() {
    let (faulty, ada) = (Faulty::default(), UserId::new("ada"));
    let log = open(&faulty, config());
    let pause = faulty.pause();
    let mut first = Box::pin(log.append(&ada, std::slice::from_ref(&FIRST), 1, None));
    assert!(poll_once(&mut first).is_pending());
    faulty.until_paused();
    {
        let records = [numbered(2)];
        let mut second = Box::pin(log.append(&ada, &records, 1, None));
        assert!(poll_once(&mut second).is_pending());
    }
    drop(pause);
    first.await.unwrap();
    log.append(&ada, &[numbered(3)], 1, Some(1)).await.unwrap();
    assert_eq!(n_kept(&log, &ada).await, 2);
}

static FIRST: Record = Record {
    channel: Channel::new(0),
    scope: None,
    name: None,
    json: Bytes::from_static(b"1"),
    tag: 1,
    key: None,
    note: Bytes::new(),
};

#[tokio::test]
async fn appends_that_wait_share_a_transaction() {
    let (faulty, ada) = (Faulty::default(), UserId::new("ada"));
    let log = open(&faulty, config());
    let pause = faulty.pause();
    let mut waiting = Vec::new();
    for n in 0..100 {
        let (log, ada) = (log.clone(), ada.clone());
        let mut append = Box::pin(async move { log.append(&ada, &[numbered(n)], 1, None).await });
        assert!(poll_once(&mut append).is_pending());
        waiting.push(append);
    }
    drop(pause);
    for (append, n) in waiting.into_iter().zip(1..) {
        assert_eq!(append.await.unwrap(), n);
    }
    let n_commits = counter(&log, "events_log_disk_commits_total");
    assert!(n_commits <= 3.0, "{n_commits} transactions for 100 appends");
    assert_eq!(counter(&log, "events_log_disk_appends_total"), 100.0);
}

#[tokio::test]
async fn records_go_by_the_age_they_were_appended_with() {
    let (faulty, ada, eve) = (Faulty::default(), UserId::new("ada"), UserId::new("eve"));
    let clock = Arc::new(ManualClock::new(1_000_000_000));
    let mut aging = config();
    aging.max_age = Duration::from_secs(640);
    aging.clock = clock.clone();
    let log = open(&faulty, aging);
    let append = async |user: &UserId, at_ms| log.append(user, &[numbered(0)], at_ms, None).await;
    append(&ada, 999_700_000).await.unwrap();
    append(&ada, 1_000_000_000).await.unwrap();
    // A time to come is no way to stay for ever.
    append(&eve, i64::MAX).await.unwrap();
    log.sweep().await.unwrap();
    assert_eq!((n_kept(&log, &ada).await, n_kept(&log, &eve).await), (2, 1));
    clock.advance(339_000);
    log.sweep().await.unwrap();
    assert_eq!(n_kept(&log, &ada).await, 2);
    clock.advance(12_000);
    log.sweep().await.unwrap();
    let page = log.read(&ada, 0, 1_000).await.unwrap();
    assert_eq!((page.previous, page.records.len(), page.last), (1, 1, 2));
    clock.advance(300_000);
    log.sweep().await.unwrap();
    assert_eq!((n_kept(&log, &ada).await, n_kept(&log, &eve).await), (0, 0));
    let n_trimmed = counter(&log, "events_log_disk_trimmed_total");
    assert!(n_trimmed >= 3.0, "{n_trimmed}");
    assert_eq!(append(&ada, 1_000_700_000).await.unwrap(), 3);
}

#[tokio::test]
async fn a_sweep_lets_many_go() {
    let (faulty, ada) = (Faulty::default(), UserId::new("ada"));
    let clock = Arc::new(ManualClock::new(1_000_000_000));
    let mut aging = config();
    aging.max_age = Duration::from_secs(1);
    aging.clock = clock.clone();
    aging.max_events = 1_000_000;
    let log = open(&faulty, aging);
    let mut appends = Vec::new();
    for n in 0..3_000 {
        appends.push(
            log.append(&ada, std::slice::from_ref(&FIRST), 1_000_000_000, Some(n))
                .await,
        );
    }
    assert!(appends.iter().all(Result::is_ok));
    clock.advance(5_000);
    log.sweep().await.unwrap();
    let page = log.read(&ada, 7, 1).await.unwrap();
    assert_eq!(
        (page.previous, page.last, page.records.len()),
        (3_000, 3_000, 0)
    );
}

#[test]
fn values_out_of_bounds_are_named() {
    let mut wrong = config();
    wrong.max_age = Duration::ZERO;
    let error = DiskLog::open(wrong).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the disk log cannot be opened with this configuration: history.age must be 1 second to 100 years"
    );
}

#[test]
fn what_is_no_log_is_not_opened_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.redb");
    let text = "a letter to somebody\n".repeat(1_000);
    std::fs::write(&file, &text).unwrap();
    let error = DiskLog::open(DiskConfig::new(folder.path())).unwrap_err();
    assert!(matches!(error, DiskOpenError::Damaged { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let error = DiskLog::open(DiskConfig::new(folder.path())).unwrap_err();
    assert!(matches!(error, DiskOpenError::Path { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("events.redb cannot be made or opened"),
        "{error}"
    );
}

#[test]
fn a_file_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(DiskLog::open(DiskConfig::new(folder.path())).unwrap());
    let database = redb::Database::open(folder.path().join("events.redb")).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(crate::tables::META)
        .unwrap()
        .insert(crate::tables::FORMAT_KEY, 2)
        .unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = DiskLog::open(DiskConfig::new(folder.path())).unwrap_err();
    assert!(
        matches!(error, DiskOpenError::Format { found: 2, .. }),
        "{error:?}"
    );
}
