//! Reads an event stream by the rules of the HTML standard, from chunks that are cut anywhere.

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc, time::Duration};

use memchr::memchr;

use crate::lines::{Cut, Cutter, LineEnd};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// `data:` and the one space that may follow: with this much of a line it is known where its value begins.
const DATA_HEAD: &[u8] = b"data: ";

/// What a [`Decoder`] holds and returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderOptions {
    /// The cap of one block, in bytes: its data and name so far plus the line being read. Default: 16 MiB.
    pub max_event_bytes: usize,
    /// Whether comments are returned; otherwise they are skipped without being copied. Default: `false`.
    pub comments: bool,
    /// Whether [`Decoder::finish`] returns an event that lacks its blank line, which the standard discards and
    /// AG-UI clients take. Default: `false`.
    pub unterminated: bool,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self {
            max_event_bytes: 16 << 20,
            comments: false,
            unterminated: false,
        }
    }
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The event's name; `message` if it has none.
    pub event: Cow<'static, str>,
    /// The payload, its lines joined by LF.
    pub data: String,
    /// The id that this very event has; `Some("")` takes the reader's cursor away.
    pub id: Option<Arc<str>>,
    /// The cursor after this event, which may be an earlier event's.
    pub last_event_id: Option<Arc<str>>,
}

/// What a decoder finds in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// An event.
    Event(SseEvent),
    /// A comment line, without its colon and one space after it. Returned at the end of its line.
    Comment(String),
    /// The server's wish how long to wait before reconnecting. Returned at the end of its line.
    Retry(Duration),
    /// A block over the cap was skipped. Reading goes on behind it. Its id, if read before the cap was reached,
    /// counts: a reader that reconnects is not sent the same block again.
    Oversized {
        /// The length of the block, a line break counted as one byte.
        bytes: u64,
    },
}

/// What is known about the line being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Too little of it has come; it is held in the line buffer.
    Unknown,
    /// A data field: its value goes straight to the data buffer.
    Data,
    /// A comment that nobody wants.
    Ignored,
    /// Another line; it is held in the line buffer.
    Other,
}

/// An incremental decoder of one stream: bytes in, [`Item`]s out.
///
/// Data is copied once, from the chunk into the string that the event hands out. Invalid UTF-8 is replaced by
/// U+FFFD as the standard's decoder does it, and so as [`String::from_utf8_lossy`] on the whole stream would.
///
/// One deliberate difference to the letter of the standard, and the one that browsers have too: the last event id
/// survives [`Decoder::finish`], so an event without an id does not take away the cursor of the stream before.
///
/// ```
/// use events_sse::{Decoder, DecoderOptions, Item};
///
/// let mut decoder = Decoder::new(DecoderOptions::default());
/// let mut names = Vec::new();
/// for chunk in ["event: gr", "eeting\r", "\ndata: hel", "lo\n\n: bye\n\n"] {
///     for item in decoder.feed(chunk.as_bytes()) {
///         if let Item::Event(event) = item {
///             names.push(format!("{} {}", event.event, event.data));
///         }
///     }
/// }
/// assert_eq!(names, ["greeting hello"]);
/// ```
#[derive(Debug)]
pub struct Decoder {
    options: DecoderOptions,
    cutter: Cutter,
    /// How much of the byte order mark has been seen; `None` once the stream has begun.
    byte_order_mark: Option<usize>,
    kind: Kind,
    line: Vec<u8>,
    /// Bytes of the line being read so far, wherever they are.
    n_line: usize,
    /// Bytes of the block's finished lines that are held.
    n_held: usize,
    /// Bytes of the block, held or not.
    n_block: u64,
    is_skipping: bool,
    event: String,
    /// The data buffer of the standard: each data line ends with LF.
    data: Vec<u8>,
    id: Option<Arc<str>>,
    last_event_id: Option<Arc<str>>,
}

impl Decoder {
    /// Makes a decoder at the beginning of a stream.
    #[must_use]
    pub const fn new(options: DecoderOptions) -> Self {
        Self {
            options,
            cutter: Cutter::new(LineEnd::Any),
            byte_order_mark: Some(0),
            kind: Kind::Unknown,
            line: Vec::new(),
            n_line: 0,
            n_held: 0,
            n_block: 0,
            is_skipping: false,
            event: String::new(),
            data: Vec::new(),
            id: None,
            last_event_id: None,
        }
    }

    /// Reads from the front of `input` up to the end of the next item, and returns it.
    ///
    /// What has been read is taken off `input`. `None` means that all of it was read and more is needed.
    pub fn decode(&mut self, input: &mut &[u8]) -> Option<Item> {
        self.take_byte_order_mark(input);
        loop {
            match self.cutter.cut(input) {
                Cut::Nothing => return None,
                Cut::Part(part) => self.append(part),
                Cut::End(part) => {
                    if let Some(item) = self.end_line(part) {
                        return Some(item);
                    }
                }
            }
        }
    }

    /// Returns the items of one chunk. What the iterator has not reached when it is dropped is lost.
    pub fn feed<'d>(&'d mut self, mut chunk: &'d [u8]) -> impl Iterator<Item = Item> + 'd {
        std::iter::from_fn(move || self.decode(&mut chunk))
    }

    /// Returns the cursor after the items that were returned so far, for `Last-Event-ID`.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// Sets the cursor, as if an earlier stream had given it; an empty one is none.
    pub fn set_last_event_id(&mut self, id: &str) {
        self.last_event_id = (!id.is_empty()).then(|| Arc::from(id));
    }

    /// Ends the stream. The decoder is then at the beginning of the next one, with the cursor that it has.
    ///
    /// Returns the last event if it lacks its blank line and [`DecoderOptions::unterminated`] is set. A last data
    /// line without its line end counts; another last line does not, since half an id would be a wrong cursor.
    pub fn finish(&mut self) -> Option<Item> {
        let is_data = self.kind == Kind::Data || self.line.starts_with(b"data");
        if is_data && self.n_line > 0 && !self.is_skipping {
            // Not a comment and not a retry, so it yields nothing.
            let _none = self.end_line(&[]);
        }
        let item = if self.options.unterminated {
            self.end_block()
        } else {
            None
        };
        let last_event_id = self.last_event_id.take();
        *self = Self {
            last_event_id,
            ..Self::new(self.options)
        };
        item
    }

    fn take_byte_order_mark(&mut self, input: &mut &[u8]) {
        while let Some(n_seen) = self.byte_order_mark
            && let Some((first, rest)) = input.split_first()
        {
            if BYTE_ORDER_MARK.get(n_seen) == Some(first) {
                *input = rest;
                self.byte_order_mark = Some(n_seen + 1);
            } else {
                self.byte_order_mark = None;
                if n_seen < BYTE_ORDER_MARK.len() {
                    self.append(&BYTE_ORDER_MARK[..n_seen]);
                }
            }
        }
    }

    /// Takes a part of a line whose end has not come yet.
    fn append(&mut self, mut part: &[u8]) {
        self.count(part.len());
        if self.is_skipping {
            return;
        }
        if self.kind == Kind::Unknown {
            let n_missing = DATA_HEAD.len().saturating_sub(self.line.len());
            let (head, rest) = part.split_at(n_missing.min(part.len()));
            self.line.extend_from_slice(head);
            part = rest;
            self.find_kind();
        }
        match self.kind {
            Kind::Data => self.data.extend_from_slice(part),
            Kind::Unknown | Kind::Other => self.line.extend_from_slice(part),
            Kind::Ignored => {}
        }
    }

    fn find_kind(&mut self) {
        if self.line.first() == Some(&b':') && !self.options.comments {
            self.kind = Kind::Ignored;
            self.line.clear();
        } else if self.line.len() == DATA_HEAD.len() {
            if let Some(value) = self.line.strip_prefix(b"data:") {
                self.kind = Kind::Data;
                self.data
                    .extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
                self.line.clear();
            } else {
                self.kind = Kind::Other;
            }
        }
    }

    /// Counts bytes of the current line, and begins to skip if the block has become too large.
    ///
    /// Only whole lines and the length of the current one count, so it does not matter where the input is cut.
    fn count(&mut self, n_bytes: usize) {
        self.n_line = self.n_line.saturating_add(n_bytes);
        self.n_block = self.n_block.saturating_add(n_bytes as u64);
        if self.n_held.saturating_add(self.n_line) > self.options.max_event_bytes {
            self.is_skipping = true;
            self.line = Vec::new();
            self.data = Vec::new();
        }
    }

    /// Takes the rest of a line, whose end was just seen.
    fn end_line(&mut self, rest: &[u8]) -> Option<Item> {
        let is_in_one_piece = self.n_line == 0;
        if is_in_one_piece && rest.is_empty() {
            return self.end_block();
        }
        let mut item = None;
        if is_in_one_piece {
            self.count(rest.len());
            if !self.is_skipping {
                item = self.take_line(rest);
            }
        } else {
            self.append(rest);
            if self.kind == Kind::Data && !self.is_skipping {
                self.data.push(b'\n');
            } else {
                let mut line = std::mem::take(&mut self.line);
                item = self.take_line(&line);
                line.clear();
                self.line = line;
            }
        }
        self.kind = Kind::Unknown;
        self.n_line = 0;
        self.n_block = self.n_block.saturating_add(1);
        self.n_held = self.event.len() + self.data.len();
        item
    }

    /// Takes a whole line; an empty one, as skipping and ignored comments leave it, says nothing.
    fn take_line(&mut self, line: &[u8]) -> Option<Item> {
        let (name, value) = match memchr(b':', line) {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                // One byte more than the value, so that its LF does not make the buffer grow again.
                self.data.reserve(value.len() + 1);
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
                None
            }
            b"event" => {
                self.event.clear();
                self.event.push_str(&String::from_utf8_lossy(value));
                None
            }
            b"id" => {
                if memchr(0, value).is_none() {
                    self.id = Some(Arc::from(String::from_utf8_lossy(value)));
                }
                None
            }
            b"retry" => milliseconds(value).map(|wait| Item::Retry(Duration::from_millis(wait))),
            b"" if self.options.comments && !line.is_empty() => {
                Some(Item::Comment(String::from_utf8_lossy(value).into_owned()))
            }
            _ => None,
        }
    }

    fn end_block(&mut self) -> Option<Item> {
        let is_skipping = std::mem::take(&mut self.is_skipping);
        let bytes = std::mem::take(&mut self.n_block);
        self.n_held = 0;
        // The id counts also if there is no event to return.
        let id = self.id.take();
        if let Some(id) = &id {
            self.last_event_id = (!id.is_empty()).then(|| Arc::clone(id));
        }
        let event = std::mem::take(&mut self.event);
        if is_skipping {
            return Some(Item::Oversized { bytes });
        }
        self.data.pop()?;
        let data = into_text(std::mem::take(&mut self.data));
        let event = if event.is_empty() {
            Cow::Borrowed("message")
        } else {
            Cow::Owned(event)
        };
        Some(Item::Event(SseEvent {
            event,
            data,
            id,
            last_event_id: self.last_event_id.clone(),
        }))
    }
}

/// Makes text of bytes, without a copy if they are valid UTF-8.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Reads ASCII digits, and nothing but them; a number that does not fit is the largest one.
fn milliseconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}
