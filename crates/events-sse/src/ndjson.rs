//! Reads one JSON value per line, from chunks that are cut anywhere.

use crate::lines::{Cut, Cutter, LineEnd};

/// What an [`NdjsonDecoder`] finds. Numbers count all lines from 1, also those that are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NdjsonItem<'d> {
    /// A line that is not blank, without its line end. Whether it is JSON is for the caller to see.
    Line {
        /// The line's number.
        number: u64,
        /// The line, borrowed from the chunk or, if a cut went through it, from the decoder.
        bytes: &'d [u8],
    },
    /// A line that begins with a colon: the sender lives and has nothing to say.
    KeepAlive {
        /// The line's number.
        number: u64,
    },
    /// A line over the cap was skipped. Reading goes on behind it.
    TooLong {
        /// The line's number.
        number: u64,
        /// The line's length in bytes.
        bytes: u64,
    },
}

/// What a finished line is.
enum Kind {
    Blank,
    KeepAlive,
    Json,
}

/// An incremental decoder of NDJSON: chunks in, lines out.
///
/// Only LF ends a line; a CR before it is white space to JSON, and is taken off. Blank lines are skipped and
/// counted. A line that lies within one chunk is not copied.
///
/// ```
/// use events_sse::{NdjsonDecoder, NdjsonItem};
///
/// let mut decoder = NdjsonDecoder::new(1024);
/// let mut lines = Vec::new();
/// for chunk in ["{\"a\"", ":1}\n\n: alive\n{}\r\n[", "]"] {
///     let mut rest = chunk.as_bytes();
///     while let Some(item) = decoder.decode(&mut rest) {
///         if let NdjsonItem::Line { number, bytes } = item {
///             lines.push((number, String::from_utf8_lossy(bytes).into_owned()));
///         }
///     }
/// }
/// if let Some(NdjsonItem::Line { number, bytes }) = decoder.finish() {
///     lines.push((number, String::from_utf8_lossy(bytes).into_owned()));
/// }
/// assert_eq!(lines, [(1, r#"{"a":1}"#.into()), (4, "{}".into()), (5, "[]".into())]);
/// ```
#[derive(Debug)]
pub struct NdjsonDecoder {
    max_line_bytes: usize,
    cutter: Cutter,
    number: u64,
    line: Vec<u8>,
    /// Bytes of the current line, kept or not.
    n_line: u64,
    /// The line buffer was lent to the caller and is to be cleared.
    is_lent: bool,
}

impl NdjsonDecoder {
    /// Makes a decoder whose lines are at most `max_line_bytes` long, their line end not counted.
    #[must_use]
    pub const fn new(max_line_bytes: usize) -> Self {
        Self {
            max_line_bytes,
            cutter: Cutter::new(LineEnd::Lf),
            number: 0,
            line: Vec::new(),
            n_line: 0,
            is_lent: false,
        }
    }

    /// Reads from the front of `input` up to the end of the next item, and returns it.
    ///
    /// What has been read is taken off `input`. `None` means that all of it was read and more is needed.
    pub fn decode<'d, 'i: 'd>(&'d mut self, input: &mut &'i [u8]) -> Option<NdjsonItem<'d>> {
        self.take_back();
        loop {
            match self.cutter.cut(input) {
                Cut::Nothing => return None,
                Cut::Part(part) => self.append(part),
                Cut::End(part) if self.n_line == 0 => {
                    self.number += 1;
                    let number = self.number;
                    if part.len() > self.max_line_bytes {
                        let bytes = part.len() as u64;
                        return Some(NdjsonItem::TooLong { number, bytes });
                    }
                    match kind_of(part) {
                        Kind::Blank => {}
                        Kind::KeepAlive => return Some(NdjsonItem::KeepAlive { number }),
                        Kind::Json => {
                            let bytes = without_cr(part);
                            return Some(NdjsonItem::Line { number, bytes });
                        }
                    }
                }
                Cut::End(part) => {
                    self.append(part);
                    self.number += 1;
                    if !matches!(self.line_kind(), Some(Kind::Blank)) {
                        return self.end_line(self.number);
                    }
                    self.n_line = 0;
                    self.line.clear();
                }
            }
        }
    }

    /// Ends the body: returns its last line if it lacks its LF. The decoder is then at the beginning of a next one.
    pub fn finish(&mut self) -> Option<NdjsonItem<'_>> {
        self.take_back();
        let number = std::mem::take(&mut self.number) + 1;
        if self.n_line == 0 {
            return None;
        }
        self.end_line(number)
    }

    fn append(&mut self, part: &[u8]) {
        self.n_line += part.len() as u64;
        if self.is_too_long() {
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn is_too_long(&self) -> bool {
        self.n_line > self.max_line_bytes as u64
    }

    fn line_kind(&self) -> Option<Kind> {
        (!self.is_too_long()).then(|| kind_of(&self.line))
    }

    /// Ends the line in the buffer.
    fn end_line(&mut self, number: u64) -> Option<NdjsonItem<'_>> {
        let kind = self.line_kind();
        let bytes = std::mem::take(&mut self.n_line);
        self.is_lent = true;
        match kind {
            None => Some(NdjsonItem::TooLong { number, bytes }),
            Some(Kind::Blank) => None,
            Some(Kind::KeepAlive) => Some(NdjsonItem::KeepAlive { number }),
            Some(Kind::Json) => {
                let bytes = without_cr(&self.line);
                Some(NdjsonItem::Line { number, bytes })
            }
        }
    }

    fn take_back(&mut self) {
        if std::mem::take(&mut self.is_lent) {
            self.line.clear();
        }
    }
}

fn kind_of(line: &[u8]) -> Kind {
    if line.first() == Some(&b':') {
        Kind::KeepAlive
    } else if line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
        Kind::Blank
    } else {
        Kind::Json
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines_of(max_line_bytes: usize, chunks: &[&[u8]]) -> Vec<String> {
        let mut decoder = NdjsonDecoder::new(max_line_bytes);
        let mut lines = Vec::new();
        for chunk in chunks {
            let mut rest = *chunk;
            while let Some(item) = decoder.decode(&mut rest) {
                lines.push(shown(item));
            }
            assert!(rest.is_empty());
        }
        lines.extend(decoder.finish().map(shown));
        assert_eq!(decoder.finish(), None);
        lines
    }

    fn shown(item: NdjsonItem<'_>) -> String {
        match item {
            NdjsonItem::Line { number, bytes } => format!("{number} {}", bytes.escape_ascii()),
            NdjsonItem::KeepAlive { number } => format!("{number} alive"),
            NdjsonItem::TooLong { number, bytes } => format!("{number} long {bytes}"),
        }
    }

    #[test]
    fn lines_are_counted_whatever_they_hold() {
        let body = b"\n{}\r\n  \n:\nfive5\nsix666\n\r\n8";
        let expected = ["2 {}", "4 alive", "5 five5", "6 long 6", "8 8"];
        assert_eq!(lines_of(5, &[body]), expected);
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(lines_of(5, &bytes), expected);
    }

    #[test]
    fn a_body_without_a_last_line_end_is_whole() {
        assert_eq!(lines_of(9, &[b"1\n2"]), ["1 1", "2 2"]);
        assert_eq!(lines_of(9, &[b"1\n2\n"]), ["1 1", "2 2"]);
        assert_eq!(lines_of(1, &[b"1\n23"]), ["1 1", "2 long 2"]);
        assert_eq!(lines_of(9, &[]), Vec::<String>::new());
    }

    #[test]
    fn no_byte_is_searched_twice() {
        let body = vec![b'x'; 10_000];
        let mut decoder = NdjsonDecoder::new(body.len());
        for byte in body.chunks(1) {
            assert_eq!(decoder.decode(&mut &*byte), None);
        }
        assert_eq!(decoder.cutter.n_searched, body.len());
        assert!(
            matches!(decoder.finish(), Some(NdjsonItem::Line { number: 1, bytes }) if bytes == body)
        );
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            body in prop::collection::vec(prop::sample::select(&b"\n\r: {}ab"[..]), 0..80),
            cuts in prop::collection::vec(0..80_usize, 0..6),
        ) {
            let mut cuts = cuts;
            cuts.retain(|cut| *cut <= body.len());
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut at = 0;
            for cut in cuts {
                chunks.push(&body[at..cut]);
                at = cut;
            }
            chunks.push(&body[at..]);
            prop_assert_eq!(lines_of(4, &chunks), lines_of(4, &[&body]));
        }
    }
}
