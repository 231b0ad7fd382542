//! Writes blocks of a stream to a byte buffer that the caller owns.
//!
//! All functions append. None fails: what cannot stand on the wire is replaced or left out, as each says.

#[cfg(test)]
mod tests;

use events_core::{Envelope, EventId, Frame};
use memchr::{memchr2, memchr3};

/// What a block needs beside its payload, in bytes: id, name, envelope and field names.
const HEAD_BYTES: usize = 128;

/// Appends one event: `id:` if there is an id, `event:` if the frame is named, its payload, a blank line.
///
/// Each CR, LF or CRLF of the payload is one line break: the payload then takes several `data:` lines, and a
/// reader sees the breaks as LF. All other bytes, also NUL, U+2028 and invalid UTF-8, are written as they are.
/// An empty name is left out; CR and LF in a name are written as spaces.
///
/// An envelope is written around the payload without copying or parsing it.
///
/// ```
/// use std::sync::Arc;
/// use events_core::{Envelope, Frame};
///
/// let envelope = Envelope { protocol: "agui", thread: Some(Arc::from("t")) };
/// let frame = Frame::json(&br#"{"a":1}"#[..]).named("x").wrapped(envelope);
/// let mut out = Vec::new();
/// events_sse::encode_frame(None, &frame, &mut out);
/// assert_eq!(out, b"event: x\ndata: {\"protocol\":\"agui\",\"thread\":\"t\",\"event\":{\"a\":1}}\n\n");
/// ```
pub fn encode_frame(id: Option<EventId>, frame: &Frame, out: &mut Vec<u8>) {
    out.reserve(frame.data.len() + HEAD_BYTES);
    write_fields(id, frame, out);
    write_payload(frame, out, b"\ndata: ");
    out.extend_from_slice(b"\n\n");
}

/// Appends what [`encode_frame`] writes before the payload to `head`, and what it writes after it to `tail`, so that a
/// large payload can be sent without being copied; returns whether it did.
///
/// It does not, and appends nothing, if the payload has line breaks: then there is more between the two.
///
/// ```
/// use events_core::Frame;
///
/// let frame = Frame::json("{}");
/// let (mut head, mut tail) = (Vec::new(), Vec::new());
/// assert!(events_sse::encode_around(None, &frame, &mut head, &mut tail));
/// assert_eq!((&head[..], &tail[..]), (&b"data: "[..], &b"\n\n"[..]));
/// ```
pub fn encode_around(
    id: Option<EventId>,
    frame: &Frame,
    head: &mut Vec<u8>,
    tail: &mut Vec<u8>,
) -> bool {
    if memchr2(b'\r', b'\n', &frame.data).is_some() {
        return false;
    }
    write_fields(id, frame, head);
    if let Some(envelope) = &frame.envelope {
        write_envelope_head(envelope, head);
        tail.push(b'}');
    }
    tail.extend_from_slice(b"\n\n");
    true
}

/// Appends one event whose payload is the last member of an object: `before` is the object up to that member's value,
/// and a brace ends it.
///
/// So a reader of JSON-RPC gets its own id around JSON that all readers share. CR and LF in `before` are not treated.
///
/// ```
/// let mut out = Vec::new();
/// events_sse::encode_member(None, br#"{"id":7,"result":"#, b"{}", &mut out);
/// assert_eq!(out, b"data: {\"id\":7,\"result\":{}}\n\n");
/// ```
pub fn encode_member(id: Option<EventId>, before: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    write_member_head(id, before, out);
    write_broken(payload, out, b"\ndata: ");
    out.extend_from_slice(b"}\n\n");
}

/// Appends what [`encode_member`] writes before the payload to `head`, and what it writes after it to `tail`; returns
/// whether it did, as [`encode_around`].
///
/// ```
/// let (mut head, mut tail) = (Vec::new(), Vec::new());
/// assert!(events_sse::encode_around_member(None, br#"{"a":"#, b"1", &mut head, &mut tail));
/// assert_eq!((&head[..], &tail[..]), (&b"data: {\"a\":"[..], &b"}\n\n"[..]));
/// ```
pub fn encode_around_member(
    id: Option<EventId>,
    before: &[u8],
    payload: &[u8],
    head: &mut Vec<u8>,
    tail: &mut Vec<u8>,
) -> bool {
    if memchr2(b'\r', b'\n', payload).is_some() {
        return false;
    }
    write_member_head(id, before, head);
    tail.extend_from_slice(b"}\n\n");
    true
}

fn write_member_head(id: Option<EventId>, before: &[u8], out: &mut Vec<u8>) {
    if let Some(id) = id {
        write_id(id, out);
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(before);
}

/// Appends everything of a frame up to its payload.
fn write_fields(id: Option<EventId>, frame: &Frame, out: &mut Vec<u8>) {
    if let Some(id) = id {
        write_id(id, out);
    }
    if let Some(event) = frame.event {
        write_event_name(event, out);
    }
    out.extend_from_slice(b"data: ");
}

/// Appends one event with a name and, perhaps, an id that is not an [`EventId`].
///
/// The name and the payload are treated as in [`encode_frame`]. An id that holds CR, LF or NUL is left out,
/// because a reader would ignore it or take it for another cursor: it then keeps the cursor that it has.
pub fn encode_named(event: &str, id: Option<&str>, data: &[u8], out: &mut Vec<u8>) {
    out.reserve(data.len() + HEAD_BYTES);
    if let Some(id) = id
        && memchr3(b'\r', b'\n', 0, id.as_bytes()).is_none()
    {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    write_event_name(event, out);
    out.extend_from_slice(b"data: ");
    write_broken(data, out, b"\ndata: ");
    out.extend_from_slice(b"\n\n");
}

/// Appends a block that gives the reader a cursor and no event.
///
/// By the standard an `id:` field only sets a buffer. The blank line then makes it the last event id first, and
/// only after that finds that there is no data to dispatch: so the reader sends this id when it reconnects.
pub fn encode_id_only(id: EventId, out: &mut Vec<u8>) {
    write_id(id, out);
    out.push(b'\n');
}

/// Appends a comment, which readers ignore; each line of `text` becomes a comment line of its own.
pub fn encode_comment(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b": ");
    write_broken(text.as_bytes(), out, b"\n: ");
    out.extend_from_slice(b"\n\n");
}

/// Appends the time that a reader waits before it reconnects, in milliseconds.
pub fn encode_retry(milliseconds: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"retry: ");
    out.extend_from_slice(milliseconds.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Appends a frame's payload with its envelope; `line_break` stands for each CR, LF or CRLF of the payload.
pub(crate) fn write_payload(frame: &Frame, out: &mut Vec<u8>, line_break: &[u8]) {
    if let Some(envelope) = &frame.envelope {
        write_envelope_head(envelope, out);
    }
    write_broken(&frame.data, out, line_break);
    if frame.envelope.is_some() {
        out.push(b'}');
    }
}

/// Appends `text` with CR and LF as spaces.
pub(crate) fn write_one_line(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    if memchr2(b'\r', b'\n', text.as_bytes()).is_some() {
        for byte in &mut out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
}

fn write_id(id: EventId, out: &mut Vec<u8>) {
    out.extend_from_slice(b"id: ");
    id.write_to(out);
    out.push(b'\n');
}

fn write_event_name(event: &str, out: &mut Vec<u8>) {
    if !event.is_empty() {
        out.extend_from_slice(b"event: ");
        write_one_line(event, out);
        out.push(b'\n');
    }
}

fn write_envelope_head(envelope: &Envelope, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"protocol\":");
    write_json_string(envelope.protocol, out);
    if let Some(thread) = &envelope.thread {
        out.extend_from_slice(b",\"thread\":");
        write_json_string(thread, out);
    }
    out.extend_from_slice(b",\"event\":");
}

/// Appends a JSON string. One pass and one copy if nothing needs an escape, which is the common case.
fn write_json_string(text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    let is_plain = !text
        .bytes()
        .any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else if serde_json::to_writer(&mut *out, text).is_err() {
        // A string always has a JSON form and a vector takes all bytes; still, no half string may stay.
        out.truncate(start);
        out.extend_from_slice(b"\"\"");
    }
}

/// Appends `bytes`, with `line_break` for each CR, LF or CRLF. One search and one copy if there is none.
fn write_broken(mut bytes: &[u8], out: &mut Vec<u8>, line_break: &[u8]) {
    while let Some(at) = memchr2(b'\r', b'\n', bytes) {
        out.extend_from_slice(&bytes[..at]);
        out.extend_from_slice(line_break);
        let is_pair = bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
        bytes = &bytes[at + 1 + usize::from(is_pair)..];
    }
    out.extend_from_slice(bytes);
}
