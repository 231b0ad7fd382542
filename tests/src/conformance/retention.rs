//! What is kept, and how a log says that something is not.

use std::sync::Arc;
use std::time::Duration;

use events_core::{EventError, EventLog, UserId};
use tokio::time::{Instant, interval};

use super::samples::{append_each, now_ms, numbered, numbers, places, read_all, sized, user};
use super::{Bounds, Engine, Kept, Miss, ensure};

/// How long an engine may take to let records go that are over a bound.
const PATIENCE: Duration = Duration::from_secs(40);

/// Sweeps until no more than so many records are kept.
async fn swept(log: &Arc<dyn EventLog>, user: &UserId, most: usize) -> Kept {
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = interval(Duration::from_millis(50));
    loop {
        log.sweep().await?;
        let n_kept = read_all(log, user, 0).await?.records.len();
        if n_kept <= most {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{n_kept} records are kept after {PATIENCE:?}, at most {most} should be"
        );
        ticks.tick().await;
    }
}

/// Checks that what is kept is the end of what was appended, and that pages say where it begins.
async fn is_end(log: &Arc<dyn EventLog>, user: &UserId, all: &[u64]) -> Result<usize, Miss> {
    let page = read_all(log, user, 0).await?;
    let kept = places(&page.records);
    ensure!(all.ends_with(&kept), "of {all:?} there is kept {kept:?}");
    let first = all.len() - kept.len();
    let before = first.checked_sub(1).map_or(0, |index| all[index]);
    ensure!(
        page.previous == before,
        "the first record that is kept comes after {before}, the page says {}",
        page.previous
    );
    for index in [0, first / 2, first, first + 1] {
        let Some(after) = index.checked_sub(1).and_then(|index| all.get(index)) else {
            continue;
        };
        let page = log.read(user, *after, 1).await?;
        let want = before.max(*after);
        ensure!(
            page.previous == want,
            "after {after} the page's previous place is {}, not {want}",
            page.previous
        );
    }
    Ok(kept.len())
}

pub(super) async fn events(engine: &dyn Engine) -> Kept {
    let bounds = Bounds {
        events: Some(20),
        ..Bounds::default()
    };
    let Some(log) = engine.bounded(bounds).await else {
        return Err(Miss::NotThere("a bound on the number of records"));
    };
    let (ada, eve) = (user("many"), user("few"));
    let few = append_each(&log, &eve, 0..20).await?;
    let mut all = Vec::new();
    for n in 0..10 {
        all.extend(append_each(&log, &ada, 10 * n..10 * n + 10).await?);
        let kept = is_end(&log, &ada, &all).await?;
        ensure!(
            kept >= all.len().min(20),
            "{kept} of {} are kept",
            all.len()
        );
    }
    swept(&log, &ada, 40).await?;
    let kept = is_end(&log, &ada, &all).await?;
    ensure!(kept >= 20, "{kept} records are kept, it should be 20");
    let kept = is_end(&log, &eve, &few).await?;
    ensure!(kept == 20, "{kept} of 20 records of another user are kept");
    log.append(&ada, &[numbered(7)], now_ms(), all.last().copied())
        .await?;
    Ok(())
}

pub(super) async fn bytes(engine: &dyn Engine) -> Kept {
    let bounds = Bounds {
        bytes: Some(40_000),
        ..Bounds::default()
    };
    let Some(log) = engine.bounded(bounds).await else {
        return Err(Miss::NotThere("a bound on the bytes"));
    };
    let (ada, mut all) = (user("bytes"), Vec::new());
    for _ in 0..120 {
        all.push(log.append(&ada, &[sized(1_000)], now_ms(), None).await?);
        let kept = is_end(&log, &ada, &all).await?;
        ensure!(
            kept >= all.len().min(30),
            "{kept} of {} are kept",
            all.len()
        );
    }
    swept(&log, &ada, 80).await
}

pub(super) async fn age(engine: &dyn Engine) -> Kept {
    let age = Duration::from_secs(2);
    let bounds = Bounds {
        age: Some(age),
        ..Bounds::default()
    };
    let Some(log) = engine.bounded(bounds).await else {
        return Err(Miss::NotThere("a bound on the age"));
    };
    let ada = user("age");
    let begin = Instant::now();
    let all = append_each(&log, &ada, 0..10).await?;
    log.sweep().await?;
    let kept = is_end(&log, &ada, &all).await?;
    // On a machine that stood still in between they may be old already.
    ensure!(
        kept == 10 || begin.elapsed() >= age,
        "{kept} young records are kept of 10"
    );
    swept(&log, &ada, 0).await?;
    let page = log.read(&ada, 0, 1_000).await?;
    let last = all[9];
    ensure!(
        page.records.is_empty() && page.previous == last && page.last == last,
        "all up to {last} are gone, and the page is {page:?}"
    );
    match log.append(&ada, &[numbered(10)], now_ms(), Some(0)).await {
        Err(EventError::Conflict { last: told }) if told == last => {}
        other => {
            let text = format!("an append that expects no record was answered by {other:?}");
            return Err(Miss::Broken(text));
        }
    }
    let next = log
        .append(&ada, &[numbered(11)], now_ms(), Some(last))
        .await?;
    ensure!(next > last, "{next} comes after {last}, which is gone");
    let read = numbers(&read_all(&log, &ada, last).await?.records);
    ensure!(read == [11], "the log has {read:?}");
    Ok(())
}
