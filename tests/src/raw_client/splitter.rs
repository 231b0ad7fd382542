//! A deliberately naive reader of event streams: an event is what stands between two empty lines.
//!
//! It is right for streams with LF line ends only, which is what ours are; a CR is an error.

use std::io;

use super::head::find;
use super::invalid;

/// One block of an event stream, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawFrame {
    /// The `id` field.
    pub id: Option<String>,
    /// The `event` field.
    pub event: Option<String>,
    /// The `data` fields, joined by LF.
    pub data: Option<String>,
    /// The comments, without their colon and one space.
    pub comments: Vec<String>,
    /// The `retry` field, milliseconds.
    pub retry: Option<u64>,
    /// The block as it was, without the empty line that ends it.
    pub raw: String,
}

/// Cuts bytes into frames.
#[derive(Debug, Default)]
pub struct FrameSplitter {
    rest: Vec<u8>,
    /// Bytes of `rest` in which no empty line begins.
    n_searched: usize,
}

impl RawFrame {
    /// Whether the frame is an event: a block without data is not one.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.data.is_some()
    }

    /// Parses the data as JSON.
    ///
    /// # Errors
    ///
    /// `InvalidData` with the frame when there is no data or it is no JSON.
    pub fn json(&self) -> io::Result<serde_json::Value> {
        serde_json::from_str(self.data.as_deref().unwrap_or_default())
            .map_err(|error| invalid(format!("{error} in frame '{}'", self.raw)))
    }

    fn parse(raw: String) -> io::Result<Self> {
        let mut frame = Self::default();
        for line in raw.split('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "" => frame.comments.push(value),
                "id" => frame.id = Some(value),
                "event" => frame.event = Some(value),
                "retry" => frame.retry = value.parse().ok(),
                "data" => match &mut frame.data {
                    Some(data) => *data = format!("{data}\n{value}"),
                    data @ None => *data = Some(value),
                },
                _ => return Err(invalid(format!("unknown field in '{line}'"))),
            }
        }
        frame.raw = raw;
        Ok(frame)
    }
}

impl FrameSplitter {
    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// `InvalidData` when they contain a CR.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.contains(&b'\r') {
            return Err(invalid("a CR in an event stream that promises LF only"));
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes the next whole frame, if there is one.
    ///
    /// # Errors
    ///
    /// `InvalidData` when it is not UTF-8 or has a field that no event stream has.
    pub fn next_frame(&mut self) -> io::Result<Option<RawFrame>> {
        let unsearched = self.rest.get(self.n_searched..).unwrap_or_default();
        let Some(end) = find(unsearched, b"\n\n") else {
            self.n_searched = self.rest.len().saturating_sub(1);
            return Ok(None);
        };
        let end = self.n_searched + end;
        self.n_searched = 0;
        let block: Vec<u8> = self.rest.drain(..end + 2).take(end).collect();
        let text = String::from_utf8(block).map_err(|_| invalid("a frame is not UTF-8"))?;
        RawFrame::parse(text).map(Some)
    }

    /// Returns the bytes of a frame that has begun and not ended.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }
}
