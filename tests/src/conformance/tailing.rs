//! What tails say, and live events.

use std::time::Duration;

use events_core::{EventLog, Record, UserId};
use std::sync::Arc;
use tokio::task::JoinSet;

use super::follower::{Follower, SOON};
use super::samples::{append_each, now_ms, numbered, numbers, places, read_all, user};
use super::{Engine, Kept, Miss, ensure};

/// Appends to several users at once, from every log given, in batches of 1 to 4 records.
async fn flood(logs: &[Arc<dyn EventLog>], users: &[UserId], n_appends: u64) -> Kept {
    let mut tasks = JoinSet::new();
    for (log, writer) in logs.iter().zip(0_u64..) {
        for (user, of_user) in users.iter().cloned().zip(0_u64..) {
            let log = log.clone();
            tasks.spawn(async move {
                for n in 0..n_appends {
                    let base = 1_000 * (10 * writer + of_user) + 10 * n;
                    let batch: Vec<Record> = (base..=base + n % 4).map(numbered).collect();
                    log.append(&user, &batch, now_ms(), None).await?;
                }
                Ok::<_, events_core::EventError>(())
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| Miss::Broken(error.to_string()))??;
    }
    Ok(())
}

/// Waits until a follower has a user's whole log, and compares it with what is read.
async fn has_all(follower: &mut Follower, log: &Arc<dyn EventLog>, user: &UserId) -> Kept {
    let page = read_all(log, user, 0).await?;
    follower.until_at(user, page.last).await?;
    let (heard, read) = (follower.records(user), &page.records);
    ensure!(
        places(heard) == places(read) && numbers(heard) == numbers(read),
        "a replica has heard of {user} {:?}, the log has {:?}",
        numbers(heard),
        numbers(read)
    );
    for (heard, read) in heard.iter().zip(read) {
        let is_same = format!("{heard:?}") == format!("{read:?}");
        ensure!(is_same, "a tail and a read differ: {heard:?}, {read:?}");
    }
    Ok(())
}

pub(super) async fn everything(engine: &dyn Engine) -> Kept {
    let logs = [
        engine.open().await,
        engine.open().await,
        engine.open().await,
    ];
    let users = ["one", "two", "three", "four"].map(user);
    let all: Vec<&UserId> = users.iter().collect();
    append_each(&logs[0], &users[0], 900_000..900_005).await?;
    let mut followers = Vec::new();
    for log in &logs {
        followers.push(Follower::start(log.clone(), &all).await?);
    }
    flood(&logs, &users, 12).await?;
    for user in &users {
        for (follower, log) in followers.iter_mut().zip(&logs) {
            has_all(follower, log, user).await?;
        }
    }
    Ok(())
}

pub(super) async fn two(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("two"));
    let mut one = Follower::start(log.clone(), &[&ada]).await?;
    append_each(&log, &ada, 0..10).await?;
    let mut other = Follower::start(log.clone(), &[&ada]).await?;
    append_each(&log, &ada, 10..20).await?;
    has_all(&mut one, &log, &ada).await?;
    has_all(&mut other, &log, &ada).await
}

pub(super) async fn anew(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("anew"));
    let mut stays = Follower::start(log.clone(), &[&ada]).await?;
    for round in 0..5 {
        let mut goes = Follower::start(log.clone(), &[&ada]).await?;
        append_each(&log, &ada, 10 * round..10 * round + 5).await?;
        has_all(&mut goes, &log, &ada).await?;
        drop(goes);
        append_each(&log, &ada, 10 * round + 5..10 * round + 10).await?;
    }
    has_all(&mut stays, &log, &ada).await
}

pub(super) async fn passed(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("passed"));
    let mut follower = Follower::start(other.clone(), &[&ada]).await?;
    append_each(&one, &ada, 0..2).await?;
    follower
        .until("the appends", SOON, |follower| {
            follower.records(&ada).len() == 2
        })
        .await?;
    let record = Record {
        note: vec![1, 2, 0, 255].into(),
        ..numbered(5)
    };
    one.pass_by(&ada, &record).await?;
    if engine.has_replicas() {
        // It may be lost when a replica does not hear it; one that listens hears it in time.
        let limit = Duration::from_secs(10);
        follower
            .until("a live event", limit, |follower| {
                !follower.passed.is_empty()
            })
            .await?;
        let (whom, got) = &follower.passed[0];
        ensure!(
            *whom == ada
                && got.json == record.json
                && got.channel == record.channel
                && got.scope == record.scope
                && got.note == record.note
                && got.key == record.key,
            "another live event arrived: {got:?}"
        );
    }
    let place = one.append(&ada, &[numbered(6)], now_ms(), None).await?;
    follower.until_at(&ada, place).await?;
    let read = numbers(&read_all(&other, &ada, 0).await?.records);
    ensure!(read == [0, 1, 6], "a live event is in the log: {read:?}");
    ensure!(follower.passed.len() <= 1, "a live event came twice");
    Ok(())
}
