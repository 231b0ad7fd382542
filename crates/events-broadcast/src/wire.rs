//! Blocks of a stream as they go out: encoded once, shared by all connections that read the same events.

use bytes::{Buf as _, Bytes};
use events_core::{EventId, Frame};
use events_sse::{ClosingReason, encode_around, encode_frame};
use smallvec::SmallVec;

use crate::Missed;

/// The longest size line of a chunk, in bytes: 16 hexadecimal digits, CR, LF.
const SIZE_LINE: usize = 18;
/// What a block needs beside its JSON, an envelope included but no thread's name, in bytes.
const AROUND: usize = 96;
const CRLF: &[u8; 2] = b"\r\n";

/// Consecutive SSE blocks, encoded once and shared by all connections that read the same range.
///
/// Cloning shares the bytes. The payload of a large event is the log's own: its bytes count against the bound of all
/// logs until the last holder has let go of them.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The size line, the blocks and CRLF; of a large event what comes before its payload.
    first: Bytes,
    n_size_line: u8,
    /// The payload of a large event, and what comes after it with the CRLF.
    rest: Option<[Bytes; 2]>,
}

/// What a subscription hands out next, in bytes.
#[derive(Debug)]
#[must_use = "a gap and an end are said here"]
pub enum NextWire {
    /// Events.
    Events(Wire),
    /// Something was lost; the subscription goes on after it.
    Missed(Missed),
    /// The connection has lost its slot and gets nothing more.
    Closed(ClosingReason),
}

impl Wire {
    /// Returns the blocks framed as one HTTP/1.1 chunk (RFC 9112, 7.1): size line, blocks, CRLF. One piece, or three
    /// for a large event.
    #[must_use]
    pub fn into_chunk(self) -> SmallVec<[Bytes; 3]> {
        let mut pieces = SmallVec::new();
        pieces.push(self.first);
        pieces.extend(self.rest.into_iter().flatten());
        pieces
    }

    /// Returns the blocks alone, for a body that somebody else frames.
    #[must_use]
    pub fn into_blocks(self) -> SmallVec<[Bytes; 3]> {
        let n_size_line = usize::from(self.n_size_line);
        let mut pieces = self.into_chunk();
        if let Some(first) = pieces.first_mut() {
            first.advance(n_size_line);
        }
        if let Some(last) = pieces.last_mut() {
            last.truncate(last.len() - CRLF.len());
        }
        pieces
    }

    /// Counts the bytes that it holds beside the payload of a large event.
    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.first.len() + self.rest.as_ref().map_or(0, |[_, tail]| tail.len())
    }

    /// Encodes frames with `n_bytes` of JSON.
    pub(crate) fn encode(
        frames: impl Iterator<Item = (Option<EventId>, Frame)>,
        n_frames: usize,
        n_bytes: usize,
    ) -> Self {
        let mut out = Vec::with_capacity(SIZE_LINE + n_bytes + n_frames * AROUND + CRLF.len());
        out.resize(SIZE_LINE, 0);
        for (id, frame) in frames {
            encode_frame(id, &frame, &mut out);
        }
        let n_blocks = out.len() - SIZE_LINE;
        out.extend_from_slice(CRLF);
        Self::framed(out, n_blocks, None)
    }

    /// Encodes an event whose payload is not copied, unless it has line breaks.
    pub(crate) fn encode_large(id: Option<EventId>, frame: Frame) -> Self {
        let (mut head, mut tail) = (Vec::with_capacity(2 * AROUND), Vec::with_capacity(5));
        head.resize(SIZE_LINE, 0);
        if !encode_around(id, &frame, &mut head, &mut tail) {
            let n_bytes = frame.data.len();
            return Self::encode(std::iter::once((id, frame)), 1, n_bytes);
        }
        let n_blocks = head.len() - SIZE_LINE + frame.data.len() + tail.len();
        tail.extend_from_slice(CRLF);
        Self::framed(head, n_blocks, Some([frame.data, tail.into()]))
    }

    /// Writes the size into the place that was left for it.
    fn framed(mut out: Vec<u8>, n_blocks: usize, rest: Option<[Bytes; 2]>) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut at = SIZE_LINE - CRLF.len();
        out[at..SIZE_LINE].copy_from_slice(CRLF);
        let mut left = n_blocks;
        while at == SIZE_LINE - CRLF.len() || left > 0 {
            at -= 1;
            out[at] = DIGITS[left % 16];
            left /= 16;
        }
        let mut first = Bytes::from(out);
        first.advance(at);
        Self {
            first,
            n_size_line: u8::try_from(SIZE_LINE - at).unwrap_or(0),
            rest,
        }
    }
}
