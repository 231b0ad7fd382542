//! The wrapping of gzip (RFC 1952) around deflate, read from pieces.
//!
//! flate2 reads it too, but only from a reader that blocks; a tap is pushed.

use flate2::Decompress;

use super::{Step, inflate};
use crate::GiveUp;

/// The longest header that is read, in bytes: its optional names can be of any length.
const MAX_HEADER: usize = 64 << 10;

/// The checksum and the length behind each member, in bytes. They are not checked: the client does that.
const TRAILER: usize = 8;

/// One body: members, one after another.
#[derive(Debug)]
pub(super) enum Gzip {
    Header(Vec<u8>),
    Body(Box<Decompress>),
    Trailer { n_left: usize },
}

impl Default for Gzip {
    fn default() -> Self {
        Self::Header(Vec::new())
    }
}

impl Gzip {
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, GiveUp> {
        let (n_read, n_written) = match self {
            Self::Header(held) => {
                let n_held = held.len();
                held.extend_from_slice(input);
                match header_length(held)? {
                    Some(length) => {
                        *self = Self::Body(Box::new(Decompress::new(false)));
                        (length - n_held, 0)
                    }
                    None if held.len() > MAX_HEADER => return Err(GiveUp::BadEncoding),
                    None => (input.len(), 0),
                }
            }
            Self::Body(decoder) => {
                let (step, has_ended) = inflate(decoder, input, output)?;
                if has_ended {
                    *self = Self::Trailer { n_left: TRAILER };
                }
                (step.n_read, step.n_written)
            }
            Self::Trailer { n_left } => {
                let n_read = input.len().min(*n_left);
                *n_left -= n_read;
                if *n_left == 0 {
                    *self = Self::default();
                }
                (n_read, 0)
            }
        };
        Ok(Step { n_read, n_written })
    }
}

/// The length of a header, once all of it is there.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, GiveUp> {
    const MAGIC: [u8; 3] = [0x1F, 0x8B, 8];
    let n_magic = bytes.len().min(MAGIC.len());
    if bytes.get(..n_magic) != MAGIC.get(..n_magic) {
        return Err(GiveUp::BadEncoding);
    }
    let Some(flags) = bytes.get(3).copied() else {
        return Ok(None);
    };
    let mut length = 10;
    // The extra field.
    if flags & 4 != 0 {
        let (Some(low), Some(high)) = (bytes.get(10), bytes.get(11)) else {
            return Ok(None);
        };
        length += 2 + usize::from(u16::from_le_bytes([*low, *high]));
    }
    // The file's name, then a comment, each ended by a zero.
    for flag in [8, 16] {
        if flags & flag != 0 {
            let rest = bytes.get(length..).unwrap_or_default();
            let Some(zero) = rest.iter().position(|byte| *byte == 0) else {
                return Ok(None);
            };
            length += zero + 1;
        }
    }
    // The header's own checksum.
    if flags & 2 != 0 {
        length += 2;
    }
    Ok((bytes.len() >= length).then_some(length))
}
