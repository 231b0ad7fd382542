//! The lives of a log: what a new process finds, and what a new log says.

use super::checkpoints::{kept, part};
use super::samples::{append_each, now_ms, numbered, numbers, places, read_all, same, user};
use super::{Engine, Kept, Miss, ensure};

pub(super) async fn reopened(engine: &dyn Engine) -> Kept {
    let (ada, eve) = (user("reopened"), user("erased"));
    let records: Vec<_> = (0..5).map(numbered).collect();
    let (epoch, first, marker) = {
        let log = engine.open().await;
        let first = log.append(&ada, &records, 5, None).await?;
        log.save(&ada, &[part("p", first, "state")]).await?;
        append_each(&log, &eve, 0..3).await?;
        let marker = log.erase(&eve, numbered(9), now_ms()).await?;
        (log.epoch(), first, marker)
    };
    let Some(log) = engine.reopen().await else {
        return Err(Miss::NotThere("data that outlive the process"));
    };
    ensure!(
        log.epoch() == epoch,
        "the log has the life {} and had {epoch}",
        log.epoch()
    );
    let page = read_all(&log, &ada, 0).await?;
    same(&page.records, &records, 5)?;
    let parts = kept(&log, &ada).await?;
    ensure!(
        parts == [part("p", first, "state")],
        "the checkpoints are {parts:?}"
    );
    let of_eve = read_all(&log, &eve, 0).await?;
    ensure!(
        numbers(&of_eve.records) == [9] && of_eve.last == marker,
        "an erased user has {of_eve:?}"
    );
    let next = log.append(&ada, &[numbered(5)], 6, Some(first + 4)).await?;
    let read = places(&read_all(&log, &ada, first + 4).await?.records);
    ensure!(
        read == [next] && next > first + 4,
        "it goes on at {next} with {read:?}"
    );
    Ok(())
}

pub(super) async fn recreated(engine: &dyn Engine) -> Kept {
    let ada = user("recreated");
    let epoch = {
        let log = engine.open().await;
        append_each(&log, &ada, 0..5).await?;
        log.epoch()
    };
    let Some(log) = engine.recreate().await else {
        return Err(Miss::NotThere("a way to make the log anew"));
    };
    ensure!(
        log.epoch() != epoch,
        "another log has the same life {epoch}"
    );
    let page = log.read(&ada, 0, 1_000).await?;
    ensure!(
        page.records.is_empty() && page.last == 0,
        "a new log has {page:?}"
    );
    let again = engine.open().await.epoch();
    ensure!(
        again == log.epoch(),
        "two replicas have the lives {} and {again}",
        log.epoch()
    );
    append_each(&log, &ada, 0..1).await?;
    Ok(())
}
