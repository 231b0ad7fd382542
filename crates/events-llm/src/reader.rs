//! Reads an answer as its bytes pass by.

use std::fmt;

use events_sse::{Decoder, DecoderOptions, Item, NdjsonDecoder, NdjsonItem, SseEvent};

use crate::{
    Extraction, Framing, GiveUp, Provider, StreamFailure,
    formats::{Format, MAX_BLOCKS, failure_of},
    json::{Json, SplitValue, Splitter},
};

/// How many bytes may pass before it must be clear how a body is framed.
const MAX_PREFIX: usize = 1_024;

/// Bounds of a [`StreamReader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderLimits {
    /// The largest event that is read, in bytes; a larger one is passed over. Default: 4 MiB, since the last event
    /// of a Responses stream repeats the whole answer. A body that is not streamed is one event.
    pub max_event_bytes: usize,
}

impl Default for ReaderLimits {
    fn default() -> Self {
        Self {
            max_event_bytes: 4 << 20,
        }
    }
}

/// What a reader has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReaderCounts {
    /// Events.
    pub events: u64,
    /// Events that were not JSON, the last one of a cut stream among them.
    pub bad_json: u64,
    /// Events over the limit.
    pub oversized: u64,
}

/// Reads one answer: bytes in, cut anywhere, [`Extraction`]s out.
///
/// What comes out does not depend on where the bytes were cut. No input makes it fail: what it does not
/// understand it passes over. It keeps no text; what it holds is one event, and a few bytes for each open block.
///
/// A body is read as what it is, even if its content type says otherwise: an error as plain JSON under the content
/// type of a stream is found.
///
/// ```
/// use events_llm::{Extraction, Framing, Provider, ReaderLimits, StreamReader};
///
/// let mut reader = StreamReader::new(Some(Provider::OpenAiChat), Framing::Sse, ReaderLimits::default());
/// let mut text = String::new();
/// for bytes in [&br#"data: {"choices":[{"index":0,"delta":{"con"#[..], b"tent\":\"Hello\"}}]}\n\n"] {
///     reader.feed(bytes, &mut |extraction| {
///         if let Extraction::Text { delta, .. } = extraction {
///             text.push_str(&delta);
///         }
///     });
/// }
/// assert_eq!(text, "Hello");
/// ```
pub struct StreamReader {
    format: Option<Format>,
    input: Input,
    limits: ReaderLimits,
    counts: ReaderCounts,
    found: Vec<Extraction>,
    has_given_up: bool,
}

/// How the body is framed, once that is clear.
enum Input {
    /// Nothing has come but blanks and a byte order mark, which are held.
    Unclear {
        declared: Framing,
        prefix: Vec<u8>,
    },
    Sse(Box<Decoder>),
    Ndjson(NdjsonDecoder),
    Json(Splitter),
}

impl StreamReader {
    /// Makes a reader of one answer. Without a provider the first event tells it.
    #[must_use]
    pub fn new(provider: Option<Provider>, framing: Framing, limits: ReaderLimits) -> Self {
        Self {
            format: provider.map(Format::new),
            input: Input::Unclear {
                declared: framing,
                prefix: Vec::new(),
            },
            limits,
            counts: ReaderCounts::default(),
            found: Vec::new(),
            has_given_up: false,
        }
    }

    /// Reads the next bytes and hands what they say to `sink`, in order.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Extraction)) {
        if self.has_given_up {
            return;
        }
        if let Input::Unclear { declared, prefix } = &mut self.input {
            let n_blank = bytes.iter().take_while(|byte| is_blank(**byte)).count();
            let Some(first) = bytes.get(n_blank) else {
                if prefix.len() + n_blank <= MAX_PREFIX {
                    prefix.extend_from_slice(bytes);
                }
                return;
            };
            let framing = framing_of(*declared, *first);
            let prefix = std::mem::take(prefix);
            self.input = Input::new(framing, self.limits.max_event_bytes);
            self.read(&prefix, sink);
        }
        self.read(bytes, sink);
    }

    /// Ends the answer: reads a last event that lacks its line end.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Extraction)) {
        if self.has_given_up {
            return;
        }
        let placeholder = Input::new(Framing::Json, 0);
        match std::mem::replace(&mut self.input, placeholder) {
            Input::Unclear { .. } => {}
            Input::Sse(mut decoder) => {
                if let Some(item) = decoder.finish() {
                    self.item(item, sink);
                }
            }
            Input::Ndjson(mut decoder) => {
                if let Some(NdjsonItem::Line { bytes, .. }) = decoder.finish() {
                    self.json_bytes(bytes, sink);
                }
            }
            Input::Json(splitter) => {
                if splitter.is_inside() {
                    self.counts.bad_json += 1;
                }
            }
        }
    }

    /// Returns what was seen so far.
    #[must_use]
    pub const fn counts(&self) -> ReaderCounts {
        self.counts
    }

    fn read(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Extraction)) {
        let mut rest = bytes;
        // The input is taken out while it lends an event, and put back.
        let placeholder = Input::Json(Splitter::new(0));
        let mut input = std::mem::replace(&mut self.input, placeholder);
        while !self.has_given_up {
            match &mut input {
                Input::Sse(decoder) => match decoder.decode(&mut rest) {
                    Some(item) => self.item(item, sink),
                    None => break,
                },
                Input::Ndjson(decoder) => match decoder.decode(&mut rest) {
                    Some(NdjsonItem::Line { bytes, .. }) => self.json_bytes(bytes, sink),
                    Some(NdjsonItem::TooLong { bytes, .. }) => self.oversized(bytes, sink),
                    Some(_) => {}
                    None => break,
                },
                Input::Json(splitter) => match splitter.split(&mut rest) {
                    Some(SplitValue::Whole(bytes)) => self.json_bytes(bytes, sink),
                    Some(SplitValue::TooLong { bytes }) => self.oversized(bytes, sink),
                    None => break,
                },
                Input::Unclear { .. } => break,
            }
        }
        self.input = input;
    }

    fn item(&mut self, item: Item, sink: &mut dyn FnMut(Extraction)) {
        match item {
            Item::Event(event) => self.sse_event(&event, sink),
            Item::Oversized { bytes } => self.oversized(bytes, sink),
            _ => {}
        }
    }

    fn sse_event(&mut self, event: &SseEvent, sink: &mut dyn FnMut(Extraction)) {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.counts.events += 1;
            match &mut self.format {
                Some(format) => format.done(&mut self.found),
                None => self.found.push(Extraction::Ended),
            }
            self.hand_over(sink);
        } else if event.event == "error" && !data.starts_with('{') && !data.is_empty() {
            self.counts.events += 1;
            let error = Json::parse(data).unwrap_or(Json::Text(data.into()));
            sink(Extraction::Failed(failure_of(&error)));
        } else if !data.is_empty() {
            self.json(data, event.event == "error", sink);
        }
    }

    fn json_bytes(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Extraction)) {
        let text = String::from_utf8_lossy(bytes);
        self.json(&text, false, sink);
    }

    fn json(&mut self, text: &str, is_named_error: bool, sink: &mut dyn FnMut(Extraction)) {
        self.counts.events += 1;
        let Some(json) = Json::parse(text) else {
            self.counts.bad_json += 1;
            return;
        };
        // Gemini's errors may come as an array of one.
        for element in json.elements() {
            self.value(element, is_named_error);
        }
        if json.is_object() {
            self.value(&json, is_named_error);
        }
        self.hand_over(sink);
    }

    fn value(&mut self, json: &Json<'_>, is_named_error: bool) {
        if self.has_given_up {
            return;
        }
        if self.format.is_none() {
            self.format = Provider::of_event(json).map(Format::new);
        }
        let outcome = match &mut self.format {
            Some(format) => format.event(json, &mut self.found),
            // All providers know this one.
            None if json.get("error").is_truthy() => {
                let failure = failure_of(json.get("error"));
                self.found.push(Extraction::Failed(failure));
                Ok(())
            }
            None => Ok(()),
        };
        if outcome.is_err() {
            let limit = MAX_BLOCKS;
            let give_up = GiveUp::TooManyBlocks { limit };
            self.found.push(Extraction::GaveUp(give_up));
            self.has_given_up = true;
        }
        let has_shape = json.get("error").is_truthy() || !json.get("type").is_null();
        if is_named_error && !has_shape && self.found.is_empty() {
            let failure: StreamFailure = failure_of(json);
            self.found.push(Extraction::Failed(failure));
        }
    }

    fn hand_over(&mut self, sink: &mut dyn FnMut(Extraction)) {
        for extraction in self.found.drain(..) {
            sink(extraction);
        }
    }

    fn oversized(&mut self, bytes: u64, sink: &mut dyn FnMut(Extraction)) {
        self.counts.oversized += 1;
        if self.counts.oversized == 1 {
            sink(Extraction::Oversized { bytes });
        }
    }
}

impl Input {
    fn new(framing: Framing, max_event_bytes: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(Box::new(Decoder::new(DecoderOptions {
                max_event_bytes,
                comments: false,
                // A last event without its blank line is worth reading: it may be the one with the usage.
                unterminated: true,
            }))),
            Framing::Ndjson => Self::Ndjson(NdjsonDecoder::new(max_event_bytes)),
            Framing::Json => Self::Json(Splitter::new(max_event_bytes)),
        }
    }
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReader")
            .field("counts", &self.counts)
            .field("has_given_up", &self.has_given_up)
            .finish_non_exhaustive()
    }
}

/// White space, and the bytes of a byte order mark.
const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF)
}

/// What a body is whose first byte is this one.
const fn framing_of(declared: Framing, first: u8) -> Framing {
    match (declared, first) {
        (Framing::Ndjson, b'{') => Framing::Ndjson,
        (_, b'{' | b'[') => Framing::Json,
        // A field of an event (`data`, `event`, `id`, `retry`) or a comment.
        (_, b'd' | b'e' | b'i' | b'r' | b':') => Framing::Sse,
        (declared, _) => declared,
    }
}
