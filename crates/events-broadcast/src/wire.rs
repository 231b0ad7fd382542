//! Blocks of a stream as they go out: encoded once, shared by all connections that read the same events.

use bytes::Bytes;
use events_core::{EventId, Frame};
use events_sse::{ClosingReason, encode_around, encode_frame};
use smallvec::SmallVec;

use crate::Missed;

/// What a block needs beside its JSON, an envelope included but no thread's name, in bytes.
const AROUND: usize = 96;

/// Consecutive SSE blocks, encoded once and shared by all connections that read the same range.
///
/// Cloning shares the bytes. The payload of a large event is the log's own: its bytes count against the bound of all
/// logs until the last holder has let go of them.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The blocks; of a large event what comes before its payload.
    first: Bytes,
    /// The payload of a large event, and what comes after it.
    rest: Option<[Bytes; 2]>,
    n_events: usize,
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
    /// Returns the blocks: one piece, or three for a large event.
    #[must_use]
    pub fn into_blocks(self) -> SmallVec<[Bytes; 3]> {
        let mut pieces = SmallVec::new();
        pieces.push(self.first);
        pieces.extend(self.rest.into_iter().flatten());
        pieces
    }

    /// Counts the events in the blocks.
    #[must_use]
    pub const fn n_events(&self) -> usize {
        self.n_events
    }

    /// Returns the blocks, and of a large event what comes before its payload, and then the payload and what follows.
    #[must_use]
    pub fn into_first_and_rest(self) -> (Bytes, Option<[Bytes; 2]>) {
        (self.first, self.rest)
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
        let mut out = Vec::with_capacity(n_bytes + n_frames * AROUND);
        for (id, frame) in frames {
            encode_frame(id, &frame, &mut out);
        }
        Self {
            first: out.into(),
            rest: None,
            n_events: n_frames,
        }
    }

    /// Encodes an event whose payload is not copied, unless it has line breaks.
    pub(crate) fn encode_large(id: Option<EventId>, frame: Frame) -> Self {
        let (mut head, mut tail) = (Vec::with_capacity(2 * AROUND), Vec::with_capacity(4));
        if !encode_around(id, &frame, &mut head, &mut tail) {
            let n_bytes = frame.data.len();
            return Self::encode(std::iter::once((id, frame)), 1, n_bytes);
        }
        Self {
            first: head.into(),
            rest: Some([frame.data, tail.into()]),
            n_events: 1,
        }
    }
}
