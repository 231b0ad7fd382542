//! Appending: places, wholeness, exactness, and the expected last place.

use bytes::Bytes;
use events_core::{Channel, EventError, MsgKey, Record};
use tokio::task::JoinSet;

use super::samples::{self, now_ms, numbered, numbers, read_all, same, sized, user};
use super::{Engine, Kept, Miss, ensure};

/// The largest record that is tried on engines that would take any.
const LARGE: usize = 1024 * 1024;

async fn places_of(engine: &dyn Engine, sizes: &[u64]) -> Result<Vec<u64>, Miss> {
    let (log, ada) = (engine.open().await, user("places"));
    let (mut all, mut n) = (Vec::new(), 0);
    for size in sizes {
        let batch: Vec<Record> = (n..n + size).map(numbered).collect();
        n += size;
        let first = log.append(&ada, &batch, now_ms(), None).await?;
        ensure!(
            first > all.last().copied().unwrap_or(0),
            "an append got the place {first} after {all:?}"
        );
        all.extend(first..first + size);
    }
    let page = read_all(&log, &ada, 0).await?;
    let read = samples::places(&page.records);
    ensure!(read == all, "read at {read:?}, appended at {all:?}");
    let want: Vec<u64> = (0..n).collect();
    let read = numbers(&page.records);
    ensure!(read == want, "read {read:?}, appended {want:?}");
    Ok(all)
}

pub(super) async fn places(engine: &dyn Engine) -> Kept {
    let all = places_of(engine, &[1, 3, 1, 64, 2]).await?;
    if engine.open().await.is_dense() {
        let last = all.last().copied();
        ensure!(last == Some(71), "a dense log is at {last:?} after 71");
    }
    Ok(())
}

pub(super) async fn exact(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("exact"));
    let max = log.max_record_bytes().min(LARGE);
    let with_json = |json: &'static str| Record {
        json: Bytes::from_static(json.as_bytes()),
        ..numbered(5)
    };
    let records = [
        with_json("0"),
        with_json("{\"line\":\"a\u{2028}b\u{2029}c\",\"nul\":\"\\u0000\",\"half\":\"\\ud800\"}"),
        with_json(
            "{\"b\":1, \"a\" : 1.10, \"a\":2e400,  \"\u{1f469}\u{200d}\u{1f680}\":\"\u{e4}a\u{308}\"}",
        ),
        Record {
            channel: Channel::new(15),
            scope: Some("".into()),
            tag: (1 << 25) - 1,
            key: Some(MsgKey::from_bits(u128::MAX)),
            note: Bytes::from_static(&[0, 255, 10, 13, 0x80]),
            ..numbered(1)
        },
        Record {
            scope: None,
            key: Some(MsgKey::from_bits(0)),
            note: Bytes::from(vec![7; 4_000]),
            ..numbered(2)
        },
        Record {
            scope: Some("thread. *>/\\ \u{0}\u{65e5}\u{672c}".repeat(10).into()),
            key: None,
            ..numbered(3)
        },
    ];
    let mut after = 0;
    for at_ms in [0, -1, 1_763_750_000_123, i64::MAX / 1_000_000 * 1_000] {
        log.append(&ada, &records, at_ms, None).await?;
        let page = read_all(&log, &ada, after).await?;
        same(&page.records, &records, at_ms)?;
        after = page.last;
    }
    let large = [sized(max)];
    log.append(&ada, &large, 1, None).await?;
    let page = read_all(&engine.open().await, &ada, after).await?;
    same(&page.records, &large, 1)
}

pub(super) async fn tags(engine: &dyn Engine) -> Kept {
    let (one, other, ada) = (engine.open().await, engine.open().await, user("tags"));
    let records: Vec<Record> = (0..4)
        .map(|n| Record {
            tag: 0,
            ..numbered(n)
        })
        .collect();
    one.append(&ada, &records, 1, None).await?;
    let page = read_all(&one, &ada, 0).await?;
    same(&page.records, &records, 1)?;
    for (mine, theirs) in page
        .records
        .iter()
        .zip(&read_all(&other, &ada, 0).await?.records)
    {
        let (mine, theirs) = (mine.record.tag, theirs.record.tag);
        ensure!(
            mine == theirs,
            "one record has the tags {mine} and {theirs}"
        );
    }
    Ok(())
}

pub(super) async fn too_large(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("too large"));
    // Many at once may be too much for an engine; then they are refused together.
    let many: Vec<Record> = (0..64).map(|_| sized(64 * 1024)).collect();
    let before = match log.append(&ada, &many, 1, None).await {
        Ok(_) => many.len(),
        Err(EventError::TooLarge { .. }) => 0,
        Err(error) => return Err(error.into()),
    };
    let n_read = read_all(&log, &ada, 0).await?.records.len();
    ensure!(
        n_read == before,
        "{n_read} records of 4 MiB are in the log, {before} were acknowledged"
    );
    let max = log.max_record_bytes();
    if max > 64 * LARGE {
        return Err(Miss::NotThere("a largest record"));
    }
    let batch = [numbered(0), numbered(1), sized(max + 1), numbered(2)];
    match log.append(&ada, &batch, 1, None).await {
        Err(EventError::TooLarge { .. }) => {}
        other => {
            let text = format!("a record of {} bytes was answered by {other:?}", max + 1);
            return Err(Miss::Broken(text));
        }
    }
    let n_read = read_all(&log, &ada, 0).await?.records.len() - before;
    ensure!(
        n_read == 0,
        "{n_read} records of a refused append are in the log"
    );
    Ok(())
}

pub(super) async fn whole(engine: &dyn Engine) -> Kept {
    let ada = user("whole");
    let mut tasks = JoinSet::new();
    for replica in 0..3_u64 {
        let (log, ada) = (engine.open().await, ada.clone());
        for writer in 0..4 {
            let (log, ada) = (log.clone(), ada.clone());
            tasks.spawn(async move {
                let base = 100 * (4 * replica + writer);
                let batch: Vec<Record> = (base..base + 7).map(numbered).collect();
                let first = log.append(&ada, &batch, now_ms(), None).await;
                first.map(|first| (first, base))
            });
        }
    }
    let mut appends = Vec::new();
    while let Some(append) = tasks.join_next().await {
        appends.push(append.map_err(|error| Miss::Broken(error.to_string()))??);
    }
    appends.sort_unstable();
    let page = read_all(&engine.open().await, &ada, 0).await?;
    let want: Vec<(u64, u64)> = appends
        .iter()
        .flat_map(|(first, base)| (0..7).map(move |n| (first + n, base + n)))
        .collect();
    let read: Vec<(u64, u64)> = samples::places(&page.records)
        .into_iter()
        .zip(numbers(&page.records))
        .collect();
    ensure!(read == want, "read {read:?}, acknowledged {want:?}");
    Ok(())
}

pub(super) async fn expected(engine: &dyn Engine) -> Kept {
    let (log, ada) = (engine.open().await, user("expected"));
    let append = async |n: u64, expected| log.append(&ada, &[numbered(n)], 1, Some(expected)).await;
    let refused = |answer: Result<u64, EventError>, last| match answer {
        Err(EventError::Conflict { last: told }) if told == last => Ok(()),
        other => Err(Miss::Broken(format!(
            "a wrong expected place was answered by {other:?}, the last is {last}"
        ))),
    };
    refused(append(0, 7).await, 0)?;
    let first = append(1, 0).await?;
    refused(append(2, 0).await, first)?;
    let second = append(3, first).await?;
    refused(append(4, first).await, second)?;
    refused(append(5, second + 1).await, second)?;
    let third = log.append(&ada, &[numbered(6)], 1, None).await?;
    append(7, third).await?;
    let read = numbers(&read_all(&log, &ada, 0).await?.records);
    ensure!(read == [1, 3, 6, 7], "the log has {read:?}");
    Ok(())
}

pub(super) async fn one_wins(engine: &dyn Engine) -> Kept {
    let ada = user("one wins");
    let logs = [engine.open().await, engine.open().await];
    let mut last = 0;
    for round in 0..5_u64 {
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            let (log, ada) = (logs[n as usize % 2].clone(), ada.clone());
            tasks.spawn(async move {
                let records = [numbered(round), numbered(n)];
                log.append(&ada, &records, 1, Some(last)).await
            });
        }
        let (mut won, expected) = (Vec::new(), last);
        while let Some(answer) = tasks.join_next().await {
            match answer.map_err(|error| Miss::Broken(error.to_string()))? {
                Ok(first) => won.push(first),
                Err(EventError::Conflict { last }) => {
                    ensure!(last > expected, "a conflict after {expected} names {last}");
                }
                Err(error) => return Err(error.into()),
            }
        }
        ensure!(won.len() == 1, "{} of 20 appends were made", won.len());
        let page = read_all(&logs[0], &ada, expected).await?;
        let read = samples::places(&page.records);
        ensure!(
            read == [won[0], won[0] + 1],
            "one append at {} left records at {read:?}",
            won[0]
        );
        last = page.last;
    }
    Ok(())
}
