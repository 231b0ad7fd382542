//! Records, column by column, as statements take them.

use std::borrow::Cow;

use bytes::Bytes;
use events_core::{EventId, MsgKey, Record};

use crate::{
    group::Waiting,
    value::{Uuid, to_column},
};

/// The columns of records of one or more appends.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    /// By append: how many records, and of how many bytes.
    pub(crate) counts: Vec<i64>,
    pub(crate) bytes: Vec<i64>,
    /// By record: the number of its append and its number in it, from 1; the bytes of the append up to here.
    pub(crate) owners: Vec<i64>,
    pub(crate) ats: Vec<i64>,
    pub(crate) sums: Vec<i64>,
    pub(crate) channels: Vec<i16>,
    pub(crate) tags: Vec<i32>,
    pub(crate) keys: Vec<Option<Uuid>>,
    pub(crate) scopes: Vec<Option<Cow<'a, str>>>,
    pub(crate) notes: Vec<Option<&'a [u8]>>,
    pub(crate) bodies: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    /// Writes the records of a group.
    pub(crate) fn of(group: &'a [Waiting]) -> Self {
        let mut columns = Self::default();
        for append in group {
            columns.push(&append.records);
        }
        columns
    }

    /// Writes the records of one more append.
    pub(crate) fn push(&mut self, records: &'a [Record]) {
        let owner = number(self.counts.len() + 1);
        let mut sum = 0;
        for (at, record) in records.iter().enumerate() {
            sum += number(record.json.len());
            self.owners.push(owner);
            self.ats.push(number(at + 1));
            self.sums.push(sum);
            self.channels.push(i16::from(record.channel.number()));
            self.tags.push(tag(record.tag));
            self.keys.push(key(record.key));
            self.scopes.push(record.scope.as_deref().map(to_column));
            self.notes.push(note(&record.note));
            self.bodies.push(&record.json);
        }
        self.counts.push(number(records.len()));
        self.bytes.push(sum);
    }
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// An id's tag: 25 bits, never 0.
pub(crate) fn tag(tag: u32) -> i32 {
    i32::try_from(EventId::tag_or_random(tag)).unwrap_or(1)
}

/// A message's key.
pub(crate) fn key(key: Option<MsgKey>) -> Option<Uuid> {
    key.map(|key| Uuid(key.bits()))
}

/// A note; most records have none.
pub(crate) fn note(note: &Bytes) -> Option<&[u8]> {
    (!note.is_empty()).then_some(&**note)
}
