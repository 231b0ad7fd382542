//! The id of an event, which is also a client's cursor.

use std::{fmt, str::FromStr};

/// Base32 with the extended hexadecimal alphabet of RFC 4648 section 7, in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
const EPOCH_CHARS: usize = 8;
const TAG_CHARS: usize = 5;

/// Names one life of a log: 40 bits, 8 characters. Sequences of different epochs do not compare.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(u64);

impl Epoch {
    const MASK: u64 = (1 << 40) - 1;

    /// Makes an epoch of the low 40 bits of `bits`.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::MASK)
    }

    /// Makes a random epoch, for logs that die with their process.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_bits(fastrand::u64(..))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; EPOCH_CHARS];
        write_base32(self.0, &mut text);
        f.write_str(ascii(&text))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

/// 25 bits drawn from an event's message id: they tell whether a number still names the same event.
pub type Tag = u32;

/// The id of one event of one user: `<epoch>.<seq>.<tag>`.
///
/// It is the SSE `id:` of the event, and so the cursor that a client sends back as `Last-Event-ID`.
/// Clients treat it as opaque. It is valid on every stream of its user, and on no other user's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EventId {
    /// The life of the log that gave the id.
    pub epoch: Epoch,
    /// The place in the user's log: strictly increasing, 0 for "before the first".
    pub seq: u64,
    /// 25 bits that tell two events of the same number apart.
    pub tag: Tag,
}

impl EventId {
    /// The longest text of an id, in bytes: 8 + 1 + 20 + 1 + 5.
    pub const MAX_LEN: usize = EPOCH_CHARS + 1 + 20 + 1 + TAG_CHARS;

    const TAG_MASK: Tag = (1 << 25) - 1;

    /// Makes an id; only the low 25 bits of `tag` count.
    #[must_use]
    pub const fn new(epoch: Epoch, seq: u64, tag: Tag) -> Self {
        Self {
            epoch,
            seq,
            tag: tag & Self::TAG_MASK,
        }
    }

    /// Returns the tag, or a random one for 0, which means that there is none.
    #[must_use]
    pub fn tag_or_random(tag: Tag) -> Tag {
        match tag & Self::TAG_MASK {
            0 => fastrand::u32(1..=Self::TAG_MASK),
            tag => tag,
        }
    }

    /// Returns the cursor of a client that has seen nothing yet: `<epoch>.0.0`.
    #[must_use]
    pub const fn before_first(epoch: Epoch) -> Self {
        Self {
            epoch,
            seq: 0,
            tag: 0,
        }
    }

    /// Appends the id's text to `out`, without a formatter: this is on the way of every frame.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let mut epoch = [0; EPOCH_CHARS];
        write_base32(self.epoch.0, &mut epoch);
        out.extend_from_slice(&epoch);
        out.push(b'.');
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = self.seq;
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
        out.push(b'.');
        if self.tag == 0 {
            out.push(b'0');
        } else {
            let mut tag = [0; TAG_CHARS];
            write_base32(u64::from(self.tag), &mut tag);
            out.extend_from_slice(&tag);
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(Self::MAX_LEN);
        self.write_to(&mut text);
        f.write_str(ascii(&text))
    }
}

/// The text is not an event id; a server answers such a cursor with a gap, never with an error status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an event id: expected <epoch>.<seq>.<tag>")]
pub struct ParseEventIdError;

impl FromStr for EventId {
    type Err = ParseEventIdError;

    /// Parses exactly what [`EventId`] prints; anything else is refused.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let (Some(epoch), Some(seq), Some(tag), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseEventIdError);
        };
        let well_formed_seq = !seq.is_empty()
            && seq.len() <= 20
            && seq.bytes().all(|digit| digit.is_ascii_digit())
            && (seq == "0" || !seq.starts_with('0'));
        let well_formed_tag = tag == "0" || (tag.len() == TAG_CHARS && tag != "00000");
        if epoch.len() != EPOCH_CHARS || !well_formed_seq || !well_formed_tag {
            return Err(ParseEventIdError);
        }
        let tag = u32::try_from(read_base32(tag)?).map_err(|_too_large| ParseEventIdError)?;
        let seq = seq.parse().map_err(|_too_large| ParseEventIdError)?;
        Ok(Self {
            epoch: Epoch(read_base32(epoch)?),
            seq,
            tag,
        })
    }
}

/// Fills `out` with the lowest bits, five for each character.
pub(crate) fn write_base32(mut bits: u64, out: &mut [u8]) {
    for place in out.iter_mut().rev() {
        *place = ALPHABET[(bits & 31) as usize];
        bits >>= 5;
    }
}

fn read_base32(text: &str) -> Result<u64, ParseEventIdError> {
    text.bytes().try_fold(0, |bits, character| {
        let value = match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'v' => character - b'a' + 10,
            _ => return Err(ParseEventIdError),
        };
        Ok(bits << 5 | u64::from(value))
    })
}

pub(crate) fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_cursor_ends_in_two_zeros() {
        let epoch = Epoch::from_bits(31);
        assert_eq!(EventId::before_first(epoch).to_string(), "0000000v.0.0");
    }

    #[test]
    fn foreign_cursors_are_refused() {
        for text in [
            "",
            ".",
            "..",
            "0000000v.0",
            "0000000v.0.0.0",
            "0000000V.0.0",
            "0000000v.-1.0",
            "0000000v.+1.0",
            "0000000v.01.0",
            "0000000v.1.00000",
            "0000000v.1.w0000",
            "0000000v.99999999999999999999.0",
            "0000000v.1. ",
            "000000v.1.0",
            "0000000v.\u{661}.0",
            "42",
            "💥",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(ParseEventIdError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_parses_back_to_itself_within_forty_bytes(epoch: u64, seq: u64, tag: u32) {
            let id = EventId::new(Epoch::from_bits(epoch), seq, tag);
            let text = id.to_string();
            prop_assert!(text.len() <= 40);
            prop_assert_eq!(text.parse::<EventId>(), Ok(id));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,50}") {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
