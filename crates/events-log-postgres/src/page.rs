//! Rows, read.

use std::sync::Arc;

use bytes::Bytes;
use events_core::{Channel, EventError, EventResult, Logged, MsgKey, Page, Record};
use tokio_postgres::{Row, types::FromSql};

use crate::{
    error::Unavailable,
    value::{Uuid, from_column, to_u64},
};

/// Makes a page of the rows of [`Call::Read`], the first of which has only the last place.
pub(crate) fn page(rows: &[Row], after: u64) -> EventResult<Page> {
    let Some((head, rows)) = rows.split_first() else {
        return Err(unreadable("no row"));
    };
    let last = to_u64(get(head, 0)?);
    let mut page = Page {
        previous: after,
        records: Vec::with_capacity(rows.len()),
        last,
    };
    let mut scope: Option<Arc<str>> = None;
    for row in rows {
        let logged = logged(row, &mut scope)?;
        let before = page.records.last().map_or(page.previous, |last| last.seq);
        if logged.seq != before + 1 {
            // What is between is no longer kept; so what is before is no use.
            page.records.clear();
            page.previous = logged.seq - 1;
        }
        page.records.push(logged);
    }
    if page.records.is_empty() {
        page.previous = after.max(last);
    }
    Ok(page)
}

fn logged(row: &Row, last_scope: &mut Option<Arc<str>>) -> EventResult<Logged> {
    let channel: i16 = get(row, 2)?;
    let channel = u8::try_from(channel)
        .ok()
        .and_then(Channel::from_number)
        .ok_or_else(|| unreadable("a record of an unknown channel"))?;
    let tag: i32 = get(row, 3)?;
    let key: Option<Uuid> = get(row, 4)?;
    // Neighbours mostly have the same scope.
    let scope = get::<Option<&str>>(row, 5)?.map(|text| {
        let text = from_column(text);
        match last_scope {
            Some(last) if **last == *text => Arc::clone(last),
            _ => Arc::clone(last_scope.insert(text.into())),
        }
    });
    let note: Option<&[u8]> = get(row, 6)?;
    let json: &[u8] = get(row, 7)?;
    Ok(Logged {
        seq: to_u64(get(row, 0)?),
        at_ms: get(row, 1)?,
        record: Record {
            channel,
            scope,
            name: None,
            json: Bytes::copy_from_slice(json),
            tag: u32::try_from(tag).unwrap_or(0),
            key: key.map(|key| MsgKey::from_bits(key.0)),
            note: note.map_or_else(Bytes::new, Bytes::copy_from_slice),
        },
    })
}

pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> EventResult<T> {
    row.try_get(column)
        .map_err(|error| EventError::Unavailable(Box::new(error)))
}

pub(crate) fn unreadable(what: &str) -> EventError {
    EventError::Unavailable(Box::new(Unavailable(format!(
        "PostgreSQL answered what cannot be: {what}; is the schema of another program?"
    ))))
}
