//! The power goes at any moment; what was acknowledged is there afterwards.

use std::time::Duration;

use events_core::{Checkpoint, EventError, EventLog as _, Record, UserId};

use super::{config, faulty::Faulty, numbered};
use crate::DiskLog;

/// What one user was told.
#[derive(Default)]
struct Told {
    acked: u64,
    /// Of the append that was under way when the power went.
    tried: u64,
    saved: u64,
}

fn open(faulty: &Faulty, is_quick: bool) -> DiskLog {
    let mut config = config();
    config.quick_open_above = if is_quick { 0 } else { u64::MAX };
    // It stays off.
    config.reopen_after = Duration::from_secs(3_600);
    DiskLog::open_on(Box::new(faulty.clone()), config).unwrap()
}

/// Appends to three users until the power goes.
async fn append_until_dark(log: &DiskLog, users: &[UserId; 3], told: &mut [Told; 3]) {
    for round in 0.. {
        let (user, told) = (&users[round % 3], &mut told[round % 3]);
        let n_records = 1 + round as u64 % 4;
        told.tried = told.acked + n_records;
        let mut batch: Vec<Record> = (told.acked + 1..=told.tried).map(numbered).collect();
        if round % 11 == 0 {
            // Now and then the file has to grow.
            batch[0].json = vec![b'x'; 200_000].into();
        }
        match log.append(user, &batch, 1, Some(told.acked)).await {
            Ok(first) => {
                assert_eq!(first, told.acked + 1);
                told.acked = told.tried;
            }
            Err(EventError::Unavailable(_)) => {
                // Surely nothing of it is there.
                told.tried = told.acked;
                return;
            }
            Err(_) => return,
        }
        if round % 5 == 0 {
            let part = Checkpoint {
                part: "p".into(),
                seq: told.acked,
                state: vec![7; 10_000].into(),
            };
            if log.save(user, &[part]).await.is_err() {
                return;
            }
            told.saved = told.acked;
        }
    }
}

async fn check(log: &DiskLog, user: &UserId, told: &mut Told, what: &str) {
    let page = log.read(user, 0, 1 << 30).await.unwrap();
    let is_whole = page.last == told.acked || page.last == told.tried;
    assert!(
        is_whole,
        "{what}: {} was acknowledged, the last is {}",
        told.acked, page.last
    );
    assert_eq!(page.records.len() as u64, page.last, "{what}");
    for (logged, n) in page.records.iter().zip(1..) {
        assert_eq!(logged.seq, n, "{what}");
        let is_same = logged.record.json.len() == 200_000 || logged.record.json == numbered(n).json;
        assert!(is_same, "{what}: place {n} has another record");
    }
    let parts = log.load(user).await.unwrap();
    let saved = parts.first().map_or(0, |part| part.seq);
    assert!(
        saved >= told.saved,
        "{what}: {saved} is saved, it was {}",
        told.saved
    );
    told.acked = page.last;
}

/// Each cut leaves what was synced and any part of what was not; the next life goes on from there and is cut too.
#[tokio::test]
async fn nothing_that_was_acknowledged_is_lost_when_the_power_goes() {
    let n_runs: u64 = std::env::var("EVENTS_DISK_POWER_CUTS").map_or(20, |n| {
        n.parse().expect("EVENTS_DISK_POWER_CUTS is a number")
    });
    for seed in 0..n_runs {
        let mut random = fastrand::Rng::with_seed(seed);
        let users = ["ada", "eve", "bob"].map(UserId::new);
        let mut told: [Told; 3] = Default::default();
        let mut faulty = Faulty::default();
        let mut epoch = None;
        for life in 0..4 {
            let what = format!("seed {seed}, life {life}");
            let log = open(&faulty, (seed + life) % 3 == 0);
            assert_eq!(*epoch.get_or_insert(log.epoch()), log.epoch(), "{what}");
            for (user, told) in users.iter().zip(&mut told) {
                check(&log, user, told, &what).await;
            }
            faulty.cut_power_after(random.u64(0..200));
            append_until_dark(&log, &users, &mut told).await;
            drop(log);
            faulty = faulty.after_power_cut(&mut random);
        }
    }
}
