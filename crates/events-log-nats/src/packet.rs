//! The body of a message: whose records they are, which append they belong to, and the records.

use bytes::{Buf as _, BufMut as _, Bytes};
use events_core::{Entry, EntryError, Record, UserId};

use crate::place::{MAX_RECORDS, end_of};

/// The form that is written; another one is refused.
const VERSION: u8 = 1;
/// The message goes on with the append of the message before it.
const IS_CONTINUED: u8 = 1;
/// Version, flags, id of the append, messages after this one, records from here on, length of the user's id.
const HEAD_BYTES: usize = 1 + 1 + 16 + 2 + 4 + 2;

/// Where a message stands in its append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    /// The same in all messages of one append, and in no other.
    pub(crate) append_id: u128,
    /// Whether messages of this append come before.
    pub(crate) is_continued: bool,
    /// How many messages of this append come after.
    pub(crate) n_parts_left: u16,
    /// How many records this message and those after it have.
    pub(crate) n_records_from_here: usize,
}

/// One message, read.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) user: UserId,
    pub(crate) part: Part,
    /// With the place before it, and places of its records.
    pub(crate) entry: Entry,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum PacketError {
    #[error("it is cut")]
    Cut,
    #[error("it has another version")]
    Version,
    #[error("its user is no text")]
    User,
    #[error("its counts cannot be")]
    Counts,
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// Counts the bytes that [`write`] adds to those of the entry.
pub(crate) const fn head_len(user: &str) -> usize {
    HEAD_BYTES + user.len()
}

/// Writes a message. A user's id of more than 65,535 bytes is refused before this.
pub(crate) fn write(
    user: &UserId,
    part: Part,
    previous: u64,
    at_ms: i64,
    records: &[Record],
) -> Bytes {
    let user = user.as_str();
    let entry = Entry::write(previous, at_ms, records);
    let mut out = Vec::with_capacity(head_len(user) + entry.len());
    out.put_u8(VERSION);
    out.put_u8(if part.is_continued { IS_CONTINUED } else { 0 });
    out.put_u128(part.append_id);
    out.put_u16(part.n_parts_left);
    out.put_u32(u32::try_from(part.n_records_from_here).unwrap_or(u32::MAX));
    out.put_u16(u16::try_from(user.len()).unwrap_or(u16::MAX));
    out.put_slice(user.as_bytes());
    out.put_slice(&entry);
    out.into()
}

/// Reads a message that has this sequence in the stream.
pub(crate) fn read(sequence: u64, mut bytes: Bytes) -> Result<Packet, PacketError> {
    if bytes.len() < HEAD_BYTES {
        return Err(PacketError::Cut);
    }
    if bytes.get_u8() != VERSION {
        return Err(PacketError::Version);
    }
    let flags = bytes.get_u8();
    let part = Part {
        is_continued: flags & IS_CONTINUED != 0,
        append_id: bytes.get_u128(),
        n_parts_left: bytes.get_u16(),
        n_records_from_here: bytes.get_u32() as usize,
    };
    let user_len = usize::from(bytes.get_u16());
    if bytes.len() < user_len {
        return Err(PacketError::Cut);
    }
    let user = bytes.split_to(user_len);
    let user = str::from_utf8(&user).map_err(|_not_text| PacketError::User)?;
    if part.n_records_from_here > MAX_RECORDS || sequence >= 1 << 47 {
        return Err(PacketError::Counts);
    }
    let end = end_of(sequence + u64::from(part.n_parts_left));
    let first = end + 1 - part.n_records_from_here as u64;
    let mut entry = Entry::read(first, bytes)?;
    let is_last = part.n_parts_left == 0;
    let n_left = part.n_records_from_here.checked_sub(entry.records.len());
    if n_left.is_none_or(|n_left| is_last != (n_left == 0)) || entry.records.is_empty() {
        return Err(PacketError::Counts);
    }
    if part.is_continued {
        entry.previous = first - 1;
    }
    Ok(Packet {
        user: user.into(),
        part,
        entry,
    })
}

/// Puts the messages of appends together, so that an append is seen whole.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    open: Option<Packet>,
}

impl Assembly {
    /// Takes the next message, and gives back the append that it completes. Of an append whose first messages are no
    /// longer kept, the rest is given.
    pub(crate) fn push(&mut self, packet: Packet) -> Option<Packet> {
        let whole = match self.open.take() {
            Some(mut open) if open.part.append_id == packet.part.append_id => {
                open.part.n_parts_left = packet.part.n_parts_left;
                open.entry.records.extend(packet.entry.records);
                open
            }
            // What was open is never completed: the stream holds an append whole or not at all.
            _ => packet,
        };
        if whole.part.n_parts_left == 0 {
            return Some(whole);
        }
        self.open = Some(whole);
        None
    }
}
