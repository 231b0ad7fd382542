//! The engine is away for a while.

use std::{sync::Arc, time::Duration};

use events_core::{EventError, EventLog, EventResult, MsgKey, Record, UserId};
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};

use super::follower::{Follower, SOON};
use super::samples::{append_each, now_ms, numbered, numbers, read_all, user};
use super::{Engine, Kept, Miss, Outage, ensure};

/// How long a call may take when the engine does not answer.
const ANSWER: Duration = Duration::from_secs(5);

fn outage_of(engine: &dyn Engine) -> Result<&dyn Outage, Miss> {
    engine
        .outage()
        .ok_or(Miss::NotThere("an engine that can be away"))
}

/// Waits until the log answers again.
async fn is_back(log: &Arc<dyn EventLog>, user: &UserId) -> Kept {
    let deadline = Instant::now() + SOON;
    let mut ticks = interval(Duration::from_millis(50));
    while log.read(user, 0, 1).await.is_err() {
        ensure!(
            Instant::now() < deadline,
            "no answer {SOON:?} after the outage"
        );
        ticks.tick().await;
    }
    Ok(())
}

/// Makes a call that has to answer in time, and to fail because the engine is away.
async fn fails<T>(what: &str, call: impl Future<Output = EventResult<T>>) -> Kept {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(Err(EventError::Unavailable(_) | EventError::Timeout)) => Ok(()),
        Ok(Err(error)) => Err(Miss::Broken(format!("{what} fails as {error:?}"))),
        Ok(Ok(_)) => Err(Miss::Broken(format!("{what} succeeds without the engine"))),
        Err(_) => Err(Miss::Broken(format!(
            "{what} has no answer within {ANSWER:?}"
        ))),
    }
}

async fn all_fail(log: &Arc<dyn EventLog>, ada: &UserId) -> Kept {
    for n in 10..13 {
        fails("append", log.append(ada, &[numbered(n)], 1, None)).await?;
    }
    fails(
        "save",
        log.save(ada, &[super::checkpoints::part("p", 1, "p")]),
    )
    .await?;
    fails("erase", log.erase(ada, numbered(50), 1)).await?;
    // A log may know some answers by itself; but not later.
    for call in ["read", "load", "sweep"] {
        let answer = async {
            match call {
                "read" => drop(log.read(ada, 0, 1_000).await),
                "load" => drop(log.load(ada).await),
                _ => drop(log.sweep().await),
            }
        };
        let is_in_time = tokio::time::timeout(ANSWER, answer).await.is_ok();
        ensure!(is_in_time, "{call} has no answer within {ANSWER:?}");
    }
    Ok(())
}

pub(super) async fn answers(engine: &dyn Engine) -> Kept {
    let outage = outage_of(engine)?;
    let (log, ada) = (engine.open().await, user("away"));
    append_each(&log, &ada, 0..3).await?;
    outage.begin().await;
    let seen = all_fail(&log, &ada).await;
    outage.end().await;
    seen?;
    is_back(&log, &ada).await?;
    // An answer that was lost may stand for an erasure that was made, or for an append; but not for half of one.
    append_each(&log, &ada, 3..4).await?;
    let read = numbers(&read_all(&log, &ada, 0).await?.records);
    ensure!(
        read.starts_with(&[0, 1, 2]) || read.first() == Some(&50),
        "after the outage the log has {read:?}"
    );
    Ok(())
}

pub(super) async fn told(engine: &dyn Engine) -> Kept {
    let outage = outage_of(engine)?;
    let (one, other, ada) = (engine.open().await, engine.open().await, user("told"));
    append_each(&one, &ada, 0..3).await?;
    let mut follower = Follower::start(other.clone(), &[&ada]).await?;
    outage.begin().await;
    // Who begins to listen now hears of it too.
    let mut late = Follower::begin(one.clone(), &[&ada]);
    let mut seen = follower
        .until("Down", SOON, |follower| follower.is_down)
        .await;
    if seen.is_ok() {
        seen = late
            .until("Down from the beginning", SOON, |late| late.is_down)
            .await;
    }
    outage.end().await;
    seen?;
    let has_begun = |follower: &Follower| !follower.is_down && follower.is_started;
    follower.until("Up", SOON, has_begun).await?;
    late.until("Up and Started", SOON, has_begun).await?;
    is_back(&one, &ada).await?;
    let place = append_each(&one, &ada, 3..4).await?[0];
    for follower in [&mut follower, &mut late] {
        follower.until_at(&ada, place).await?;
        let heard = numbers(follower.records(&ada));
        ensure!(heard == [0, 1, 2, 3], "a replica has heard {heard:?}");
    }
    Ok(())
}

/// Publishes as the router does: one append in flight, with the expected place, until it is known to be in the log.
async fn publish(log: &Arc<dyn EventLog>, user: &UserId, n: u64, last: &mut u64) -> Kept {
    let key = MsgKey::from_bits(u128::from(n) + 1);
    let record = Record {
        key: Some(key),
        ..numbered(n)
    };
    let deadline = Instant::now() + 2 * SOON;
    let mut ticks = interval(Duration::from_millis(20));
    loop {
        ensure!(
            Instant::now() < deadline,
            "record {n} finds no way into the log"
        );
        let append = log.append(user, std::slice::from_ref(&record), now_ms(), Some(*last));
        match tokio::time::timeout(2 * ANSWER, append).await {
            Ok(Ok(place)) => {
                *last = place;
                return Ok(());
            }
            Ok(Err(EventError::Unavailable(_) | EventError::Overloaded(_))) => {}
            // It may be in the log, also later than this: whoever appends next finds the conflict.
            Ok(Err(EventError::Timeout | EventError::Conflict { .. })) | Err(_) => {
                if let Ok(page) = read_all(log, user, *last).await {
                    *last = page.last;
                    if page
                        .records
                        .iter()
                        .any(|logged| logged.record.key == Some(key))
                    {
                        return Ok(());
                    }
                }
            }
            Ok(Err(error)) => return Err(error.into()),
        }
        ticks.tick().await;
    }
}

pub(super) async fn nothing_lost(engine: &dyn Engine) -> Kept {
    let outage = outage_of(engine)?;
    let logs = [engine.open().await, engine.open().await];
    let users = ["one", "two", "three"].map(user);
    let all: Vec<&UserId> = users.iter().collect();
    let mut followers = Vec::new();
    for log in &logs {
        followers.push(Follower::start(log.clone(), &all).await?);
    }
    let mut tasks = JoinSet::new();
    let n_records = 60;
    for (user, index) in users.iter().cloned().zip(0_usize..) {
        let log = logs[index % 2].clone();
        tasks.spawn(async move {
            let (mut last, mut ticks) = (0, interval(Duration::from_millis(10)));
            for n in 0..n_records {
                publish(&log, &user, n, &mut last).await?;
                ticks.tick().await;
            }
            Ok::<(), Miss>(())
        });
    }
    let mut ticks = interval(Duration::from_millis(200));
    ticks.tick().await;
    for _ in 0..2 {
        ticks.tick().await;
        outage.begin().await;
        ticks.tick().await;
        ticks.tick().await;
        outage.end().await;
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| Miss::Broken(error.to_string()))??;
    }
    // Who had nothing to write at the end may still be finding the engine again.
    for log in &logs {
        is_back(log, &users[0]).await?;
    }
    let want: Vec<u64> = (0..n_records).collect();
    for user in &users {
        let page = read_all(&logs[0], user, 0).await?;
        let read = numbers(&page.records);
        ensure!(read == want, "after two outages the log has {read:?}");
        for follower in &mut followers {
            follower.until_at(user, page.last).await?;
            let heard = numbers(follower.records(user));
            ensure!(heard == want, "a replica has heard {heard:?}");
        }
    }
    Ok(())
}
