//! Letting records go that are over the bounds.

use redb::{ReadableTable, ReadableTableMetadata as _};

use crate::{
    config::DiskConfig,
    tables::{Head, Tables},
};

/// The most entries that one append lets go: more than it adds, so that what is over the bounds gets less.
const WITH_APPEND: usize = 8;

/// The most entries that one transaction of a sweep lets go.
const WITH_SWEEP: usize = 10_000;

/// Lets the oldest entries of a user go while what remains is as much as the bounds on number and bytes say.
pub(crate) fn by_size(
    tables: &mut Tables<'_>,
    config: &DiskConfig,
    number: u64,
    head: &mut Head,
) -> Result<(), redb::Error> {
    for _ in 0..WITH_APPEND {
        if head.records() <= config.max_events && head.bytes <= config.max_bytes {
            break;
        }
        let (end, bytes) = first(tables, number, head)?;
        let is_over = head.last - end >= config.max_events
            || head.bytes.saturating_sub(bytes) >= config.max_bytes;
        if !is_over {
            break;
        }
        remove_first(tables, number, head, end, bytes)?;
    }
    Ok(())
}

/// Lets entries go that are too old, oldest first, up to the bound of one transaction. Returns how many there were.
pub(crate) fn by_age(
    tables: &mut Tables<'_>,
    config: &DiskConfig,
    now_ms: i64,
) -> Result<usize, redb::Error> {
    let age_ms = i64::try_from(config.max_age.as_millis()).unwrap_or(i64::MAX);
    let Ok(until) = u64::try_from(now_ms.saturating_sub(age_ms) / 1_000) else {
        return Ok(0);
    };
    let mut n_gone = 0;
    while n_gone < WITH_SWEEP {
        let Some((second, number, last)) = oldest(tables)? else {
            break;
        };
        if second > until {
            break;
        }
        let mut head = tables.head(number)?;
        while n_gone < WITH_SWEEP && head.floor < last {
            let (end, bytes) = first(tables, number, &head)?;
            remove_first(tables, number, &mut head, end, bytes)?;
            n_gone += 1;
        }
        let is_done = head.floor >= last;
        tables.set_head(number, head)?;
        if is_done {
            tables.ages.remove((second, number))?;
            // A row without entries is work too: they went by size before.
            n_gone += 1;
        }
    }
    Ok(n_gone)
}

fn oldest(tables: &Tables<'_>) -> Result<Option<(u64, u64, u64)>, redb::Error> {
    if tables.ages.is_empty()? {
        return Ok(None);
    }
    let row = tables.ages.first()?;
    Ok(row.map(|(key, last)| {
        let (second, number) = key.value();
        (second, number, last.value())
    }))
}

/// The place of the last record of a user's first entry, and its bytes.
fn first(tables: &Tables<'_>, number: u64, head: &Head) -> Result<(u64, u64), redb::Error> {
    let mut entries = tables
        .entries
        .range((number, head.floor + 1)..=(number, head.last))?;
    let bytes = match entries.next().transpose()? {
        Some((_, entry)) => entry.value().len() as u64,
        None => 0,
    };
    let end = match entries.next().transpose()? {
        Some((next, _)) => next.value().1 - 1,
        None => head.last,
    };
    Ok((end, bytes))
}

fn remove_first(
    tables: &mut Tables<'_>,
    number: u64,
    head: &mut Head,
    end: u64,
    bytes: u64,
) -> Result<(), redb::Error> {
    tables.entries.remove((number, head.floor + 1))?;
    head.floor = end;
    head.bytes = head.bytes.saturating_sub(bytes);
    Ok(())
}
