//! The head of a response.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::invalid;

/// A head longer than this many bytes is refused.
const MAX_HEAD: usize = 64 * 1024;

/// Status line and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Names in lower case and values, in the order of the wire.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Returns the first value of a header; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Reads a head; also returns the bytes of the body that came with it.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Self, Vec<u8>)> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end;
            }
            if bytes.len() > MAX_HEAD {
                return Err(invalid("the head has no end"));
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                let text = format!("ended after {} bytes of the head", bytes.len());
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
        };
        let rest = bytes.split_off(end + 4);
        bytes.truncate(end);
        let text = String::from_utf8(bytes).map_err(|_| invalid("the head is not UTF-8"))?;
        Ok((Self::parse(&text)?, rest))
    }

    /// Parses a head without its empty line.
    pub(super) fn parse(text: &str) -> io::Result<Self> {
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| invalid(format!("not a status line: '{first}'")))?;
        let headers = lines
            .map(|line| {
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| invalid(format!("not a header: '{line}'")))?;
                Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { status, headers })
    }
}

/// Returns where `needle` begins.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}
