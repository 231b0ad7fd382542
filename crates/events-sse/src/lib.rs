//! Writes events as Server-Sent Events, and reads Server-Sent Events and NDJSON back, byte by byte if need be.
//!
//! ```
//! use bytes::Bytes;
//! use events_core::{Epoch, EventId, Frame};
//! use events_sse::{Decoder, DecoderOptions, Item, encode_frame};
//!
//! let id = EventId::new(Epoch::from_bits(1), 7, 0);
//! let frame = Frame::json(Bytes::from_static(br#"{"type":"RUN_STARTED"}"#));
//! let mut wire = Vec::new();
//! encode_frame(Some(id), &frame, &mut wire);
//! assert_eq!(wire, b"id: 00000001.7.0\ndata: {\"type\":\"RUN_STARTED\"}\n\n");
//!
//! let mut decoder = Decoder::new(DecoderOptions::default());
//! let mut rest = &wire[..];
//! let Some(Item::Event(event)) = decoder.decode(&mut rest) else {
//!     panic!("the frame is complete");
//! };
//! assert_eq!(event.data, r#"{"type":"RUN_STARTED"}"#);
//! assert_eq!(decoder.last_event_id(), Some("00000001.7.0"));
//! ```
//!
//! # What this crate does not do
//!
//! It opens no connection, keeps no user, starts no timer and knows no protocol: it turns frames into bytes and
//! bytes into items. When to write a heartbeat, where to reconnect and what a JSON payload means is decided
//! elsewhere. axum is used for one type only: the `Event` that [`ToSse::to_sse`] returns.
//!
//! # Invariants
//!
//! 1. What one call of an encoder writes is whole blocks: it ends with a blank line, so that any two calls may
//!    follow each other.
//! 2. The only line break that is written is LF.
//! 3. No payload, event name, id or comment can end its field: nothing that a caller passes becomes a field of
//!    its own.
//! 4. What is decoded does not depend on where the input was cut.
//! 5. A decoder holds at most its cap plus one id and one event name, and looks at each byte a bounded number of
//!    times.
//! 6. A decoder's last event id never runs ahead of the items that it has returned.
//! 7. No input makes a decoder or an encoder panic.

mod control;
mod decode;
mod encode;
mod heartbeat;
mod lines;
mod models;
mod ndjson;
mod to_sse;

pub use control::{Closing, ClosingReason, Control, DecodeControlError, Gap, GapReason};
pub use decode::{Decoder, DecoderOptions, Item, SseEvent};
pub use encode::{
    encode_around, encode_around_member, encode_comment, encode_frame, encode_id_only,
    encode_member, encode_named, encode_retry,
};
pub use heartbeat::{
    HEARTBEAT_EVENT, HEARTBEAT_INTERVAL, HEARTBEAT_JSON, encode_heartbeat_comment,
    encode_heartbeat_event,
};
pub use ndjson::{NdjsonDecoder, NdjsonItem};
pub use to_sse::ToSse;

/// The media type of a Server-Sent Events response.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// The media type of a body of one JSON value per line.
pub const NDJSON_CONTENT_TYPE: &str = "application/x-ndjson";
