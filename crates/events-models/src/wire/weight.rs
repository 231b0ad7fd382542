//! How many bytes things take as JSON.

use std::io;

use serde::Serialize;

/// Counts the bytes of a value's JSON.
pub(crate) fn json_bytes(value: &impl Serialize) -> usize {
    let mut counter = Counter(0);
    // Counting cannot fail, and every wire value has a JSON form.
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_never) => 0,
    }
}

/// Counts the bytes of a text within a JSON string.
pub(crate) fn text_bytes(text: &str) -> usize {
    // Without an early end, so that many bytes are looked at in one step.
    let is_escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let has_escapes = text
        .bytes()
        .fold(false, |found, byte| found | is_escaped(byte));
    if !has_escapes {
        return text.len();
    }
    // Most escapes take one byte more; control characters without a short form five.
    let n_escapes = text.bytes().filter(|byte| is_escaped(*byte)).count();
    let n_long = text
        .bytes()
        .filter(|byte| *byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t' | 0x08 | 0x0C))
        .count();
    text.len() + n_escapes + 4 * n_long
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
