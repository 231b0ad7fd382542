//! One event as a stream carries it.

use std::sync::Arc;

use bytes::Bytes;

/// What a stream puts around shared JSON: `{"protocol":…,"thread":…,"event":` before it and `}` after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The protocol's name on the wire, such as `agui`. Must need no JSON escape.
    pub protocol: &'static str,
    /// The thread that the event belongs to, if the protocol does not say it inside the event.
    pub thread: Option<Arc<str>>,
}

/// An event made ready for a stream: shared data, and what surrounds it on the wire.
///
/// Cloning shares the data. The id is not part of a frame: the log gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The SSE event name; absent for protocol events, so that `onmessage` and official parsers see them.
    pub event: Option<&'static str>,
    /// The payload: one JSON value in UTF-8.
    pub data: Bytes,
    /// What is written around the payload.
    pub envelope: Option<Envelope>,
}

impl Frame {
    /// Makes a plain frame of one JSON value.
    pub fn json(data: impl Into<Bytes>) -> Self {
        Self {
            event: None,
            data: data.into(),
            envelope: None,
        }
    }

    /// Names the frame's SSE event.
    #[must_use]
    pub const fn named(mut self, event: &'static str) -> Self {
        self.event = Some(event);
        self
    }

    /// Puts an envelope around the same shared data.
    #[must_use]
    pub fn wrapped(mut self, envelope: Envelope) -> Self {
        self.envelope = Some(envelope);
        self
    }
}
