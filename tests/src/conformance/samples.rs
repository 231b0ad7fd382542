//! Users and records for the tests, and reading them back.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use events_core::{Channel, EventLog, Logged, MsgKey, Page, Record, UserId};

use super::{Kept, Miss, ensure};

/// A user of whom no log has heard.
pub(super) fn user(name: &str) -> UserId {
    UserId::from(format!("{name} {:016x}", fastrand::u64(..)))
}

/// A small record that tells its number.
pub(super) fn numbered(n: u64) -> Record {
    Record {
        channel: Channel::new(u8::try_from(n % 4).unwrap_or(0)),
        scope: Some(format!("scope-{}", n % 3).into()),
        name: None,
        json: Bytes::from(format!("{{\"n\":{n}}}")),
        tag: 1 + u32::try_from(n % 1_000_000).unwrap_or(0),
        key: Some(MsgKey::from_bits(u128::from(n) << 64 | 7)),
        note: Bytes::new(),
    }
}

/// A record with JSON of so many bytes, at least 2.
pub(super) fn sized(len: usize) -> Record {
    let mut json = vec![b'x'; len];
    if let [first, .., last] = json.as_mut_slice() {
        (*first, *last) = (b'"', b'"');
    }
    Record {
        scope: None,
        json: json.into(),
        key: None,
        ..numbered(len as u64)
    }
}

/// The time, in milliseconds since the Unix epoch.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Appends numbered records one by one and returns their places.
pub(super) async fn append_each(
    log: &Arc<dyn EventLog>,
    user: &UserId,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<u64>, Miss> {
    let mut places = Vec::new();
    for n in numbers {
        places.push(log.append(user, &[numbered(n)], now_ms(), None).await?);
    }
    Ok(places)
}

/// Reads all that is kept after a place, page by page, as one page.
pub(super) async fn read_all(
    log: &Arc<dyn EventLog>,
    user: &UserId,
    after: u64,
) -> Result<Page, Miss> {
    let mut all = log.read(user, after, 64 * 1024).await?;
    ensure!(
        all.previous >= after,
        "a page after {after} has the previous place {}",
        all.previous
    );
    loop {
        let mut end = all.previous;
        for logged in &all.records {
            ensure!(logged.seq > end, "place {} comes after {end}", logged.seq);
            end = logged.seq;
        }
        if end >= all.last {
            ensure!(
                end == all.last || all.last < after,
                "the last place is {}, and there is a record at {end}",
                all.last
            );
            return Ok(all);
        }
        let next = log.read(user, end, 64 * 1024).await?;
        ensure!(
            !next.records.is_empty(),
            "an empty page after {end}, before the last place {}",
            next.last
        );
        ensure!(
            next.previous == end,
            "the page after {end} has the previous place {}",
            next.previous
        );
        all.records.extend(next.records);
        all.last = next.last;
    }
}

/// The places of records.
pub(super) fn places(records: &[Logged]) -> Vec<u64> {
    records.iter().map(|logged| logged.seq).collect()
}

/// The numbers that [`numbered`] records tell.
pub(super) fn numbers(records: &[Logged]) -> Vec<u64> {
    let number = |logged: &Logged| {
        let text = str::from_utf8(&logged.record.json).ok()?;
        text.strip_prefix("{\"n\":")?
            .strip_suffix('}')?
            .parse()
            .ok()
    };
    records
        .iter()
        .map(|logged| number(logged).unwrap_or(u64::MAX))
        .collect()
}

/// Compares what was read with what was appended, field by field.
pub(super) fn same(read: &[Logged], appended: &[Record], at_ms: i64) -> Kept {
    ensure!(
        read.len() == appended.len(),
        "{} records are read, {} were appended",
        read.len(),
        appended.len()
    );
    for (logged, record) in read.iter().zip(appended) {
        let got = &logged.record;
        let at = logged.seq;
        ensure!(
            logged.at_ms == at_ms,
            "record {at} is of {} instead of {at_ms}",
            logged.at_ms
        );
        ensure!(
            got.channel == record.channel,
            "record {at} has another channel"
        );
        ensure!(
            got.scope == record.scope,
            "record {at} has the scope {:?} instead of {:?}",
            got.scope,
            record.scope
        );
        ensure!(got.tag != 0, "record {at} has no tag");
        ensure!(
            record.tag == 0 || got.tag == record.tag,
            "record {at} has another tag"
        );
        ensure!(got.key == record.key, "record {at} has another key");
        ensure!(got.note == record.note, "record {at} has another note");
        ensure!(
            got.json == record.json,
            "record {at} has other JSON, of {} bytes instead of {}",
            got.json.len(),
            record.json.len()
        );
    }
    Ok(())
}
