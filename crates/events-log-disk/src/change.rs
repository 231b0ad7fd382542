//! The changes that are made in a transaction.

use events_core::{Checkpoint, Entry, Record, UserId};

use crate::{
    config::DiskConfig,
    tables::{Head, Tables},
    trim,
};

/// What an append has done.
pub(crate) enum Appended {
    /// The place before the first record; they follow.
    At { previous: u64 },
    /// Nothing: the last place is another one than expected.
    Conflict { last: u64 },
}

/// Appends records, and lets some go that are over the bounds.
pub(crate) fn append(
    tables: &mut Tables<'_>,
    config: &DiskConfig,
    user: &UserId,
    records: &[Record],
    at_ms: i64,
    expected_last: Option<u64>,
) -> Result<Appended, redb::Error> {
    let number = tables.number(user.as_str())?;
    let mut head = tables.head(number)?;
    if let Some(expected) = expected_last
        && expected != head.last
    {
        return Ok(Appended::Conflict { last: head.last });
    }
    let previous = head.last;
    put(tables, config, number, &mut head, records, at_ms)?;
    trim::by_size(tables, config, number, &mut head)?;
    tables.set_head(number, head)?;
    Ok(Appended::At { previous })
}

fn put(
    tables: &mut Tables<'_>,
    config: &DiskConfig,
    number: u64,
    head: &mut Head,
    records: &[Record],
    at_ms: i64,
) -> Result<(), redb::Error> {
    let bytes = Entry::write(head.last, at_ms, records);
    tables
        .entries
        .insert((number, head.last + 1), bytes.as_slice())?;
    head.bytes += bytes.len() as u64;
    head.last += records.len() as u64;
    // A time in the future would keep them for ever, and one before the last of the user would let that go too.
    let at_ms = at_ms.min(config.clock.now_ms());
    let at = u64::try_from(at_ms / 1_000).unwrap_or(0);
    let step = config.age_step();
    head.aged = head.aged.max((at / step + 1) * step);
    tables.ages.insert((head.aged, number), head.last)?;
    Ok(())
}

/// Keeps checkpoints that are not older than what is kept, nor from before an erasure.
pub(crate) fn save(
    tables: &mut Tables<'_>,
    user: &UserId,
    parts: &[Checkpoint],
) -> Result<(), redb::Error> {
    if parts.is_empty() {
        return Ok(());
    }
    let number = tables.number(user.as_str())?;
    let erased = tables.head(number)?.erased;
    for part in parts.iter().filter(|part| part.seq >= erased) {
        let key = (number, &*part.part);
        let known = redb::ReadableTable::get(&tables.parts, key)?.map(|known| known.value().0);
        if known.is_some_and(|known| known > part.seq) {
            continue;
        }
        if part.state.is_empty() {
            tables.parts.remove(key)?;
        } else {
            tables.parts.insert(key, (part.seq, part.state.as_ref()))?;
        }
    }
    Ok(())
}

/// Erases a user's records and checkpoints and appends the marker; returns the place before it.
pub(crate) fn erase(
    tables: &mut Tables<'_>,
    config: &DiskConfig,
    user: &UserId,
    marker: &Record,
    at_ms: i64,
) -> Result<u64, redb::Error> {
    let number = tables.number(user.as_str())?;
    let mut head = tables.head(number)?;
    let all = (number, 0)..=(number, u64::MAX);
    tables.entries.retain_in(all, |_, _| false)?;
    let all = (number, "")..(number + 1, "");
    tables.parts.retain_in(all, |_, _| false)?;
    let previous = head.last;
    head.floor = previous;
    head.bytes = 0;
    head.erased = previous + 1;
    let marker = std::slice::from_ref(marker);
    put(tables, config, number, &mut head, marker, at_ms)?;
    tables.set_head(number, head)?;
    Ok(previous)
}
