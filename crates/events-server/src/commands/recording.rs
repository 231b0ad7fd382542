//! The file of a recording: a header, then one event per line with its time.

use std::io::{self, BufRead, Read as _, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::cli::RecordStream;

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// The longest line, in bytes: an event may have 16 MiB on its way here, and its time comes on top.
const MAX_LINE: u64 = 17 << 20;

/// The first line.
///
/// `{"events-recording":1,"stream":"agui","user":"ada","at":"2026-11-21T10:00:00.000Z"}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    #[serde(rename = "events-recording")]
    version: u32,
    pub(super) stream: RecordStream,
    pub(super) user: String,
    /// When the recording began, by RFC 3339.
    pub(super) at: String,
}

impl Header {
    pub(super) fn new(stream: RecordStream, user: &str, at: String) -> Self {
        Self {
            version: VERSION,
            stream,
            user: user.to_owned(),
            at,
        }
    }
}

/// A line with an event.
///
/// `{"ms":1200,"thread":"t","data":{"type":"STEP_STARTED","stepName":"plan"}}`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Milliseconds since the recording began.
    pub(super) ms: u64,
    /// The thread, where the event does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) thread: Option<String>,
    /// The event, byte for byte.
    pub(super) data: Box<RawValue>,
}

/// Writes a line and hands it to the system, so that a recording that is cut has all but the last of its lines.
pub(super) fn write(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)?;
    out.flush()
}

/// Why a recording cannot be read on.
#[derive(Debug)]
pub(super) enum Unreadable {
    Io(io::Error),
    /// The first line is that of no recording.
    Header(String),
    /// A line, counted from 1, and what is wrong with it.
    Line(u64, String),
}

/// Reads a recording line by line.
#[derive(Debug)]
pub(super) struct Reader<R> {
    input: R,
    n_lines: u64,
    is_truncated: bool,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn open(input: R) -> Result<(Header, Self), Unreadable> {
        let mut reader = Self {
            input,
            n_lines: 0,
            is_truncated: false,
        };
        let Some((text, _)) = reader.line().map_err(Unreadable::Io)? else {
            return Err(Unreadable::Header("it is empty".to_owned()));
        };
        let header: Header = serde_json::from_slice(&text)
            .map_err(|error| Unreadable::Header(format!("line 1: {}", what_is_wrong(&error))))?;
        if header.version != VERSION {
            let reason = format!(
                "its version {} is not known to this version",
                header.version
            );
            return Err(Unreadable::Header(reason));
        }
        Ok((header, reader))
    }

    /// Reads the next event; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Unreadable> {
        while let Some((text, is_whole)) = self.line().map_err(Unreadable::Io)? {
            if text.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&text) {
                Ok(entry) => return Ok(Some(entry)),
                Err(_) if !is_whole => self.is_truncated = true,
                Err(error) => {
                    return Err(Unreadable::Line(self.n_lines, what_is_wrong(&error)));
                }
            }
        }
        Ok(None)
    }

    /// The number of the last line read, from 1.
    pub(super) const fn n_lines(&self) -> u64 {
        self.n_lines
    }

    /// Whether the last line was cut and left out.
    pub(super) const fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Reads a line, and tells whether it has its end.
    fn line(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        let mut text = Vec::new();
        let mut limited = self.input.by_ref().take(MAX_LINE);
        if limited.read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        self.n_lines += 1;
        if limited.limit() == 0 {
            let text = format!("line {} is longer than {MAX_LINE} bytes", self.n_lines);
            return Err(io::Error::other(text));
        }
        let is_whole = text.ends_with(b"\n");
        Ok(Some((text, is_whole)))
    }
}

/// Says it without the place, which the reader of JSON counts within the line.
fn what_is_wrong(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        r#"{"events-recording":1,"stream":"agui","user":"ada","at":"2026-11-21T10:00:00.000Z"}"#;

    /// The times and data that a text has, and whether its end is cut.
    fn read(text: &str) -> Result<(Vec<(u64, String)>, bool), String> {
        let told = |unreadable| match unreadable {
            Unreadable::Io(error) => error.to_string(),
            Unreadable::Header(reason) => reason,
            Unreadable::Line(line, reason) => format!("{line}: {reason}"),
        };
        let (_, mut reader) = Reader::open(text.as_bytes()).map_err(told)?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.next().map_err(told)? {
            entries.push((entry.ms, entry.data.get().to_owned()));
        }
        Ok((entries, reader.is_truncated()))
    }

    #[test]
    fn what_is_written_is_read_back_byte_for_byte() {
        let data = r#"{"b" : 1.50, "a":"\u00e9é", "n":12345678901234567890123}"#;
        let mut file = Vec::new();
        let at = "2026-11-21T10:00:00.000Z".to_owned();
        let header = Header::new(RecordStream::AgUi, "ada", at);
        write(&mut file, &header).unwrap();
        let entry = Entry {
            ms: 7,
            thread: Some("t".to_owned()),
            data: RawValue::from_string(data.to_owned()).unwrap(),
        };
        write(&mut file, &entry).unwrap();
        let text = String::from_utf8(file).unwrap();
        assert_eq!(
            text,
            format!("{HEADER}\n{{\"ms\":7,\"thread\":\"t\",\"data\":{data}}}\n")
        );
        assert_eq!(read(&text), Ok((vec![(7, data.to_owned())], false)));
        let (read_back, _) = Reader::open(text.as_bytes()).unwrap();
        assert_eq!(read_back, header);
    }

    #[test]
    fn a_cut_last_line_is_left_out_and_told() {
        let one = format!("{HEADER}\n{{\"ms\":1,\"data\":{{}}}}\n");
        let whole = Ok((vec![(1, "{}".to_owned())], false));
        assert_eq!(read(&one), whole);
        assert_eq!(read(one.trim_end()), whole);
        let cut = Ok((vec![(1, "{}".to_owned())], true));
        assert_eq!(read(&format!("{one}{{\"ms\":2,\"da")), cut);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, part) in [
            (String::new(), "it is empty"),
            ("{\"a\":1}\n".to_owned(), "line 1: missing field"),
            (HEADER.replace(":1,", ":2,"), "its version 2 is not known"),
            (
                format!("{HEADER}\n\n{{\"ms\":1}}\n{{}}\n"),
                "3: missing field `data`",
            ),
        ] {
            let reason = read(&text).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
