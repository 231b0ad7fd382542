//! What can be published: anything that is one JSON value, made a line of NDJSON.

use bytes::Bytes;
use serde::Serialize;

use crate::error::Error;

/// One event that can be written as a line of JSON.
///
/// Text and bytes are taken for JSON as they are, so that events are passed on unchanged; other types go through
/// [`Json`].
pub trait EventLine {
    /// Appends the event's JSON to `out`, with no line break in it.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the event has no JSON form; what was appended is then not sent.
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error>;
}

/// A value that is published as its JSON.
///
/// ```
/// use events_client::{EventLine, Json};
///
/// let mut line = Vec::new();
/// Json(("a", 1)).write_line(&mut line)?;
/// assert_eq!(line, br#"["a",1]"#);
/// # Ok::<(), events_client::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> EventLine for Json<T> {
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        serde_json::to_writer(out, &self.0).map_err(Error::Encode)
    }
}

impl EventLine for serde_json::Value {
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        serde_json::to_writer(out, self).map_err(Error::Encode)
    }
}

impl EventLine for [u8] {
    /// Within JSON a line break is only ever white space, so it may be written as a space.
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        out.extend_from_slice(self);
        for byte in &mut out[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        Ok(())
    }
}

impl EventLine for str {
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.as_bytes().write_line(out)
    }
}

impl EventLine for String {
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.as_bytes().write_line(out)
    }
}

impl EventLine for Vec<u8> {
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.as_slice().write_line(out)
    }
}

impl EventLine for Bytes {
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.as_ref().write_line(out)
    }
}

impl<T: EventLine + ?Sized> EventLine for &T {
    fn write_line(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        (**self).write_line(out)
    }
}

/// Appends the event as a line, and its line end.
///
/// # Errors
///
/// [`Error::Encode`], and [`Error::Invalid`] for what the hub would not take for an event at all: a blank line, which
/// it skips, and one that begins with a colon, which is a keep-alive.
pub(crate) fn append(event: &impl EventLine, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    event.write_line(out)?;
    let line = &out[start..];
    if line.starts_with(b":") || line.trim_ascii().is_empty() {
        return Err(Error::Invalid("event is no JSON value"));
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hub_would_skip_is_refused() {
        for event in ["", " \r\n\t", ": alive", ":"] {
            let appended = append(&event, &mut Vec::new());
            assert!(matches!(appended, Err(Error::Invalid(_))), "{event:?}");
        }
        let mut line = Vec::new();
        append(&"{}", &mut line).unwrap();
        assert_eq!(line, b"{}\n");
    }

    #[test]
    fn pretty_json_becomes_one_line() {
        let mut line = Vec::new();
        "{\r\n  \"a\": 1\n}".write_line(&mut line).unwrap();
        assert_eq!(line, b"{    \"a\": 1 }");
    }
}
