//! How records that were appended at once are kept as one run of bytes, by engines that keep bytes.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};

use crate::{Channel, EventId, Logged, MsgKey, Record};

/// The form that is written. Another one is refused, so that an old replica never guesses.
const VERSION: u8 = 1;
const HAS_SCOPE: u8 = 1;
const HAS_KEY: u8 = 2;
/// Version, previous place, time, number of records.
const HEAD_BYTES: usize = 1 + 8 + 8 + 4;
/// Channel, flags, tag, length of the note, length of the JSON.
const RECORD_BYTES: usize = 1 + 1 + 4 + 4 + 4;

/// Records that were appended at once.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The place of the user's record before these.
    pub previous: u64,
    /// The records, in order.
    pub records: Vec<Logged>,
}

/// The bytes are not an entry, or one of a form that this version does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a log entry that this version can read: {0}")]
pub struct EntryError(&'static str);

impl Entry {
    /// Counts the bytes that [`Entry::write`] makes.
    #[must_use]
    pub fn written_len(records: &[Record]) -> usize {
        let of_record = |record: &Record| {
            RECORD_BYTES
                + record.scope.as_ref().map_or(0, |scope| 4 + scope.len())
                + record.key.map_or(0, |_| 16)
                + record.note.len()
                + record.json.len()
        };
        HEAD_BYTES + records.iter().map(of_record).sum::<usize>()
    }

    /// Writes records as they are kept. Names of SSE events are not: what is kept is protocol events. A record
    /// without a tag gets a random one.
    #[must_use]
    pub fn write(previous: u64, at_ms: i64, records: &[Record]) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::written_len(records));
        out.put_u8(VERSION);
        out.put_u64(previous);
        out.put_i64(at_ms);
        out.put_u32(len_u32(records.len()));
        for record in records {
            let scope = record.scope.as_deref().map(str::as_bytes);
            let flags = scope.map_or(0, |_| HAS_SCOPE) | record.key.map_or(0, |_| HAS_KEY);
            out.put_u8(record.channel.number());
            out.put_u8(flags);
            out.put_u32(EventId::tag_or_random(record.tag));
            if let Some(scope) = scope {
                put_bytes(&mut out, scope);
            }
            if let Some(key) = record.key {
                out.put_u128(key.bits());
            }
            put_bytes(&mut out, &record.note);
            put_bytes(&mut out, &record.json);
        }
        out
    }

    /// Reads what [`Entry::write`] made. The first record gets the place `first`, the others follow by one each. JSON
    /// and notes are slices of `bytes`, not copies.
    ///
    /// # Errors
    ///
    /// The bytes are something else, are cut, or of another version.
    pub fn read(first: u64, mut bytes: Bytes) -> Result<Self, EntryError> {
        let is_short = |bytes: &Bytes, n: usize| bytes.len() < n;
        if is_short(&bytes, HEAD_BYTES) {
            return Err(EntryError("it is cut"));
        }
        if bytes.get_u8() != VERSION {
            return Err(EntryError("another version"));
        }
        let previous = bytes.get_u64();
        let at_ms = bytes.get_i64();
        let n_records = bytes.get_u32() as usize;
        if bytes.len() / RECORD_BYTES < n_records {
            return Err(EntryError("it is cut"));
        }
        let mut records = Vec::with_capacity(n_records);
        let mut scopes = Scopes::default();
        for seq in (first..).take(n_records) {
            if is_short(&bytes, RECORD_BYTES) {
                return Err(EntryError("it is cut"));
            }
            let channel = Channel::from_number(bytes.get_u8()).ok_or(EntryError("no channel"))?;
            let flags = bytes.get_u8();
            let tag = bytes.get_u32();
            let scope = if flags & HAS_SCOPE == 0 {
                None
            } else {
                Some(scopes.share(&take_bytes(&mut bytes)?)?)
            };
            let key = if flags & HAS_KEY == 0 {
                None
            } else if is_short(&bytes, 16) {
                return Err(EntryError("it is cut"));
            } else {
                Some(MsgKey::from_bits(bytes.get_u128()))
            };
            let note = take_bytes(&mut bytes)?;
            let json = take_bytes(&mut bytes)?;
            let record = Record {
                channel,
                scope,
                name: None,
                json,
                tag,
                key,
                note,
            };
            records.push(Logged { seq, at_ms, record });
        }
        if !bytes.is_empty() {
            return Err(EntryError("there is more than it says"));
        }
        Ok(Self { previous, records })
    }
}

/// Neighbours mostly have the same scope.
#[derive(Default)]
struct Scopes(Option<Arc<str>>);

impl Scopes {
    fn share(&mut self, scope: &[u8]) -> Result<Arc<str>, EntryError> {
        if let Some(last) = self.0.as_ref().filter(|last| last.as_bytes() == scope) {
            return Ok(Arc::clone(last));
        }
        let text = str::from_utf8(scope).map_err(|_not_text| EntryError("a scope is no text"))?;
        Ok(Arc::clone(self.0.insert(text.into())))
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(len_u32(bytes.len()));
    out.extend_from_slice(bytes);
}

fn take_bytes(bytes: &mut Bytes) -> Result<Bytes, EntryError> {
    if bytes.len() < 4 {
        return Err(EntryError("it is cut"));
    }
    let len = bytes.get_u32() as usize;
    if bytes.len() < len {
        return Err(EntryError("it is cut"));
    }
    Ok(bytes.split_to(len))
}

/// Lengths are far below 4 GiB: an event is bounded by some MiB.
fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> impl Strategy<Value = Record> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
        (
            0_u8..16,
            proptest::option::of("[a-c]{0,3}"),
            1_u32..1 << 25,
            proptest::option::of(any::<u128>()),
            bytes(),
            bytes(),
        )
            .prop_map(|(channel, scope, tag, key, note, json)| Record {
                channel: Channel::new(channel),
                scope: scope.map(Arc::from),
                name: None,
                json: json.into(),
                tag,
                key: key.map(MsgKey::from_bits),
                note: note.into(),
            })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            records in proptest::collection::vec(record(), 0..6),
            previous: u64,
            at_ms: i64,
            first in 1..u64::MAX / 2,
        ) {
            let bytes = Entry::write(previous, at_ms, &records);
            prop_assert_eq!(bytes.len(), Entry::written_len(&records));
            let entry = Entry::read(first, bytes.into()).unwrap();
            prop_assert_eq!(entry.previous, previous);
            prop_assert_eq!(entry.records.len(), records.len());
            for ((logged, record), seq) in entry.records.iter().zip(&records).zip(first..) {
                prop_assert_eq!(logged.seq, seq);
                prop_assert_eq!(logged.at_ms, at_ms);
                prop_assert_eq!(format!("{:?}", logged.record), format!("{record:?}"));
            }
        }

        #[test]
        fn what_is_cut_or_changed_is_an_error_and_no_panic(
            records in proptest::collection::vec(record(), 0..4),
            cut in 0_usize..200,
            at in 0_usize..200,
            flip: u8,
        ) {
            let mut bytes = Entry::write(1, 2, &records);
            let len = bytes.len();
            let short = Bytes::copy_from_slice(&bytes[..cut.min(len - 1)]);
            prop_assert!(Entry::read(1, short).is_err());
            bytes[at % len] ^= flip;
            let _ = Entry::read(1, bytes.into());
        }
    }
}
