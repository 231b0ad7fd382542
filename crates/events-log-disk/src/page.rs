//! Reading.

use bytes::Bytes;
use events_core::{Checkpoint, Entry, EntryError, Page, UserId};
use redb::ReadTransaction;

use crate::tables::{ENTRIES, HEADS, Head, PARTS, USERS};

/// Why something is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("the file of the log cannot be read: {0}")]
    File(#[from] redb::Error),
    #[error("the log is damaged at place {seq}: {source}")]
    Entry { seq: u64, source: EntryError },
}

fn number_of(txn: &ReadTransaction, user: &UserId) -> Result<Option<u64>, redb::Error> {
    let number = txn.open_table(USERS)?.get(user.as_str())?;
    Ok(number.map(|number| number.value()))
}

/// Reads what is kept after a place, about so many bytes, at least one append.
pub(crate) fn read(
    txn: &ReadTransaction,
    user: &UserId,
    after: u64,
    max_bytes: usize,
) -> Result<Page, ReadError> {
    let Some(number) = number_of(txn, user)? else {
        return Ok(Page {
            previous: after,
            ..Page::default()
        });
    };
    let heads = txn.open_table(HEADS).map_err(redb::Error::from)?;
    let head = heads.get(number).map_err(redb::Error::from)?;
    let head = head.map_or_else(Head::default, |row| Head::of_row(row.value()));
    let mut page = Page {
        previous: after.max(head.floor),
        records: Vec::new(),
        last: head.last,
    };
    if page.previous >= head.last {
        return Ok(page);
    }
    let entries = txn.open_table(ENTRIES).map_err(redb::Error::from)?;
    // The place may be within an entry, which then begins before it.
    let before = (number, 0)..=(number, page.previous + 1);
    let mut before = entries.range(before).map_err(redb::Error::from)?;
    let first = before.next_back().transpose().map_err(redb::Error::from)?;
    let first = first.map_or((number, page.previous + 1), |(key, _)| key.value());
    let mut bytes = 0;
    for entry in entries
        .range(first..=(number, u64::MAX))
        .map_err(redb::Error::from)?
    {
        let (key, value) = entry.map_err(redb::Error::from)?;
        let seq = key.value().1;
        let value = value.value();
        bytes += value.len();
        if bytes > max_bytes && !page.records.is_empty() {
            break;
        }
        let entry = Entry::read(seq, Bytes::copy_from_slice(value));
        let entry = entry.map_err(|source| ReadError::Entry { seq, source })?;
        let is_after = entry
            .records
            .into_iter()
            .filter(|logged| logged.seq > page.previous);
        page.records.extend(is_after);
    }
    Ok(page)
}

/// Reads a user's checkpoints.
pub(crate) fn load(txn: &ReadTransaction, user: &UserId) -> Result<Vec<Checkpoint>, ReadError> {
    let Some(number) = number_of(txn, user)? else {
        return Ok(Vec::new());
    };
    let parts = txn.open_table(PARTS).map_err(redb::Error::from)?;
    let mut found = Vec::new();
    let range = parts.range((number, "")..(number + 1, ""));
    for part in range.map_err(redb::Error::from)? {
        let (key, value) = part.map_err(redb::Error::from)?;
        let (seq, state) = value.value();
        found.push(Checkpoint {
            part: key.value().1.into(),
            seq,
            state: Bytes::copy_from_slice(state),
        });
    }
    Ok(found)
}
