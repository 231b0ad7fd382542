//! Reads one HTTP/1.1 response, byte by byte if need be, without keeping its body.

use std::io;

/// Reads a response: its status, and its body in parts.
///
/// An HTTP library would do it too; with thousands of connections in one process its buffers and tasks would be what
/// is measured.
#[derive(Debug)]
pub(super) struct Response {
    status: u16,
    part: Part,
}

#[derive(Debug)]
enum Part {
    Head(Vec<u8>),
    /// The size line of a chunk, without what follows a semicolon.
    ChunkSize {
        size: u64,
        is_extension: bool,
    },
    ChunkData(u64),
    /// The line end behind a chunk's data.
    ChunkEnd,
    /// Behind the last chunk: bytes of the line being read.
    Trailer(usize),
    Sized(u64),
    UntilClose,
    Done,
}

impl Response {
    /// The longest head, in bytes.
    const MAX_HEAD: usize = 16 << 10;
    /// The longest chunk, in bytes; a hub's are at most what lies in its history.
    const MAX_CHUNK: u64 = 1 << 40;

    /// Waits for a response.
    pub(super) const fn new() -> Self {
        Self {
            status: 0,
            part: Part::Head(Vec::new()),
        }
    }

    /// Returns the status; 0 before the head has been read.
    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// Tells whether the whole response has been read.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.part, Part::Done)
    }

    /// Reads bytes and hands the body in them to `body`.
    ///
    /// # Errors
    ///
    /// `InvalidData` where it is no response.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut body: impl FnMut(&[u8])) -> io::Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.part {
                Part::Head(head) => {
                    bytes = rest;
                    head.push(first);
                    if head.ends_with(b"\r\n\r\n") {
                        (self.status, self.part) = parse_head(head)?;
                    } else if head.len() > Self::MAX_HEAD {
                        return Err(invalid("its head is too long"));
                    }
                }
                Part::ChunkSize { size, is_extension } => {
                    bytes = rest;
                    match first {
                        b'\n' if *size == 0 => self.part = Part::Trailer(0),
                        b'\n' => self.part = Part::ChunkData(*size),
                        b'\r' => {}
                        b';' => *is_extension = true,
                        _ if *is_extension => {}
                        digit => {
                            let digit = char::from(digit).to_digit(16);
                            let digit = digit.ok_or_else(|| invalid("a chunk has no size"))?;
                            *size = *size * 16 + u64::from(digit);
                            if *size > Self::MAX_CHUNK {
                                return Err(invalid("a chunk is too long"));
                            }
                        }
                    }
                }
                Part::ChunkData(n_left) => {
                    let is_whole = take(&mut bytes, n_left, &mut body);
                    if is_whole {
                        self.part = Part::ChunkEnd;
                    }
                }
                Part::ChunkEnd => {
                    bytes = rest;
                    if first == b'\n' {
                        self.part = CHUNK;
                    }
                }
                Part::Trailer(n_line) => {
                    bytes = rest;
                    match first {
                        b'\n' if *n_line == 0 => self.part = Part::Done,
                        b'\n' => *n_line = 0,
                        b'\r' => {}
                        _ => *n_line += 1,
                    }
                }
                Part::Sized(n_left) => {
                    if take(&mut bytes, n_left, &mut body) {
                        self.part = Part::Done;
                    }
                }
                Part::UntilClose => {
                    body(bytes);
                    return Ok(());
                }
                Part::Done => return Err(invalid("bytes follow its end")),
            }
        }
        Ok(())
    }
}

/// The beginning of a chunk.
const CHUNK: Part = Part::ChunkSize {
    size: 0,
    is_extension: false,
};

/// Hands on at most `n_left` bytes, and tells whether that was the rest.
fn take(bytes: &mut &[u8], n_left: &mut u64, body: &mut impl FnMut(&[u8])) -> bool {
    let n = usize::try_from(*n_left).map_or(bytes.len(), |n_left| n_left.min(bytes.len()));
    let (part, rest) = bytes.split_at(n);
    body(part);
    *bytes = rest;
    *n_left -= n as u64;
    *n_left == 0
}

fn parse_head(head: &[u8]) -> io::Result<(u16, Part)> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| invalid("it does not begin with a status"))?;
    let mut part = Part::UntilClose;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            part = CHUNK;
        } else if name.eq_ignore_ascii_case("content-length") {
            part = match value.parse() {
                Ok(0) => Part::Done,
                Ok(length) => Part::Sized(length),
                Err(_) => return Err(invalid("its length is no number")),
            };
        }
    }
    Ok((status, part))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not an HTTP/1.1 response: {what}"),
    )
}
