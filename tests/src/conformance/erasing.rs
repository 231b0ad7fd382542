//! Erasing a user.

use super::checkpoints::{kept, part};
use super::follower::Follower;
use super::samples::{append_each, now_ms, numbered, numbers, places, read_all, user};
use super::{Engine, Kept, ensure};

pub(super) async fn records(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("erased"));
    let at = append_each(&one, &ada, 0..30).await?;
    let last = at[29];
    one.save(&ada, &[part("p", at[5], "p"), part("q", last, "q")])
        .await?;
    let marker = one.erase(&ada, numbered(100), 77).await?;
    ensure!(
        marker > last,
        "the marker is at {marker}, the last record was at {last}"
    );
    for log in [&one, &other] {
        let page = read_all(log, &ada, 0).await?;
        ensure!(
            numbers(&page.records) == [100] && places(&page.records) == [marker],
            "after an erasure the log has {:?}",
            numbers(&page.records)
        );
        ensure!(page.records[0].at_ms == 77, "the marker has another time");
        ensure!(
            page.previous >= last && page.previous < marker,
            "the place before the marker at {marker} is {}, the last record was at {last}",
            page.previous
        );
        ensure!(page.last == marker, "the last place is {}", page.last);
        let middle = log.read(&ada, at[10], 1_000).await?;
        ensure!(
            numbers(&middle.records) == [100] && middle.previous >= last,
            "a read from the middle has {middle:?}"
        );
        let parts = kept(log, &ada).await?;
        ensure!(parts.is_empty(), "after an erasure there is {parts:?}");
    }
    let next = other
        .append(&ada, &[numbered(101)], now_ms(), Some(marker))
        .await?;
    other.save(&ada, &[part("p", next, "new")]).await?;
    ensure!(next > marker, "{next} comes after {marker}");
    let parts = kept(&one, &ada).await?;
    ensure!(
        parts == [part("p", next, "new")],
        "the checkpoints are {parts:?}"
    );
    Ok(())
}

pub(super) async fn late(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("late"));
    let at = append_each(&one, &ada, 0..10).await?;
    let marker = one.erase(&ada, numbered(100), now_ms()).await?;
    // A replica that has not heard of it yet.
    other
        .save(
            &ada,
            &[part("p", at[9], "erased"), part("q", at[2], "erased")],
        )
        .await?;
    let parts = kept(&one, &ada).await?;
    ensure!(parts.is_empty(), "what was erased has come back: {parts:?}");
    other.save(&ada, &[part("p", marker, "new")]).await?;
    let parts = kept(&one, &ada).await?;
    ensure!(
        parts == [part("p", marker, "new")],
        "the checkpoints are {parts:?}"
    );
    Ok(())
}

pub(super) async fn told(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("told"));
    let mut followers = [
        Follower::start(one.clone(), &[&ada]).await?,
        Follower::start(other.clone(), &[&ada]).await?,
    ];
    append_each(&one, &ada, 0..3).await?;
    for follower in &mut followers {
        let last = read_all(&one, &ada, 0).await?.last;
        follower.until_at(&ada, last).await?;
    }
    let marker = other.erase(&ada, numbered(100), now_ms()).await?;
    let next = one
        .append(&ada, &[numbered(101)], now_ms(), Some(marker))
        .await?;
    for follower in &mut followers {
        follower.until_at(&ada, next).await?;
        let heard = numbers(follower.records(&ada));
        ensure!(
            heard == [0, 1, 2, 100, 101],
            "a replica has heard {heard:?}"
        );
    }
    Ok(())
}

pub(super) async fn others(engine: &dyn Engine) -> Kept {
    let log = engine.open().await;
    let base = user("others");
    // A name that begins with another one must not go with it.
    let longer = format!("{base}.x").into();
    let (ada, others) = (base, [longer, user("others")]);
    for user in others.iter().chain([&ada]) {
        let at = append_each(&log, user, 0..3).await?;
        log.save(user, &[part("p", at[2], "p")]).await?;
    }
    log.erase(&ada, numbered(100), now_ms()).await?;
    for user in &others {
        let page = read_all(&log, user, 0).await?;
        let parts = kept(&log, user).await?;
        ensure!(
            numbers(&page.records) == [0, 1, 2] && parts.len() == 1,
            "of {user} there is {:?} and {parts:?}",
            numbers(&page.records)
        );
    }
    Ok(())
}

pub(super) async fn unknown(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("nobody"));
    let first = log.erase(&ada, numbered(1), now_ms()).await?;
    ensure!(first > 0, "the marker of a new user is at {first}");
    let second = log.erase(&ada, numbered(2), now_ms()).await?;
    ensure!(
        second > first,
        "the second marker is at {second}, the first at {first}"
    );
    let page = read_all(&log, &ada, 0).await?;
    ensure!(
        numbers(&page.records) == [2] && page.last == second,
        "after two erasures there is {page:?}"
    );
    let next = append_each(&log, &ada, 3..4).await?;
    ensure!(next[0] > second, "{next:?} comes after {second}");
    Ok(())
}
