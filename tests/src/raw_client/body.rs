//! The body of a response: chunked, counted, or up to the end of the connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use super::head::{Head, find};
use super::invalid;

/// How much is read at once, in bytes.
const READ_SIZE: usize = 16 * 1024;

/// How the body's end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// `transfer-encoding: chunked`; the bytes left in the present chunk.
    Chunked(Chunk),
    /// `content-length`; the bytes left.
    Counted(u64),
    /// Neither: the connection's end is the body's.
    Unbounded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    /// A size line comes next.
    Size,
    /// So many bytes of data come next.
    Data(usize),
    /// The line end after a chunk's data comes next.
    End,
    /// The last chunk has been seen.
    Last,
}

/// Reads a body piece by piece.
#[derive(Debug)]
pub(super) struct BodyReader<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    framing: Framing,
}

impl<S: AsyncRead + Unpin> BodyReader<S> {
    pub(super) fn new(stream: S, head: &Head, buffer: Vec<u8>, method: &str) -> io::Result<Self> {
        let is_chunked = head
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let framing = if method == "HEAD" || matches!(head.status, 204 | 304) {
            Framing::Counted(0)
        } else if is_chunked {
            Framing::Chunked(Chunk::Size)
        } else if let Some(length) = head.header("content-length") {
            let n_bytes = length
                .parse()
                .map_err(|_| invalid(format!("length '{length}'")))?;
            Framing::Counted(n_bytes)
        } else {
            Framing::Unbounded
        };
        Ok(Self {
            stream,
            buffer,
            framing,
        })
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// Reads what is there next; `None` at the body's proper end.
    ///
    /// Cancel-safe: bytes are kept in the buffer until they are returned.
    pub(super) async fn next_bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.take()? {
                Step::Bytes(bytes) => return Ok(Some(bytes)),
                Step::End => return Ok(None),
                Step::NeedsMore => {}
            }
            // Without a reserve, an empty buffer is read into by a few bytes at a time.
            self.buffer.reserve(READ_SIZE);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                if self.framing == Framing::Unbounded {
                    return Ok(None);
                }
                let text = format!("the body was cut: {:?}", self.framing);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
        }
    }

    fn take(&mut self) -> io::Result<Step> {
        match self.framing {
            Framing::Counted(0) | Framing::Chunked(Chunk::Last) => Ok(Step::End),
            _ if self.buffer.is_empty() => Ok(Step::NeedsMore),
            Framing::Unbounded => Ok(Step::Bytes(std::mem::take(&mut self.buffer))),
            Framing::Counted(n_left) => {
                let n_taken = self
                    .buffer
                    .len()
                    .min(usize::try_from(n_left).unwrap_or(usize::MAX));
                self.framing = Framing::Counted(n_left - n_taken as u64);
                Ok(Step::Bytes(self.buffer.drain(..n_taken).collect()))
            }
            Framing::Chunked(chunk) => self.take_chunk(chunk),
        }
    }

    fn take_chunk(&mut self, chunk: Chunk) -> io::Result<Step> {
        match chunk {
            Chunk::Data(n_left) => {
                let n_taken = self.buffer.len().min(n_left);
                let left = n_left - n_taken;
                let next = if left == 0 {
                    Chunk::End
                } else {
                    Chunk::Data(left)
                };
                self.framing = Framing::Chunked(next);
                return Ok(Step::Bytes(self.buffer.drain(..n_taken).collect()));
            }
            Chunk::Size | Chunk::End | Chunk::Last => {}
        }
        let Some(end) = find(&self.buffer, b"\r\n") else {
            return Ok(Step::NeedsMore);
        };
        let line = String::from_utf8_lossy(self.buffer.get(..end).unwrap_or_default()).into_owned();
        let next = match chunk {
            Chunk::End if line.is_empty() => Chunk::Size,
            Chunk::End => return Err(invalid(format!("'{line}' after a chunk"))),
            _ => match usize::from_str_radix(&line, 16) {
                // The last chunk is followed by an empty line, as no trailers are used.
                Ok(0) if self.buffer.len() < end + 4 => return Ok(Step::NeedsMore),
                Ok(0) => Chunk::Last,
                Ok(n_bytes) => Chunk::Data(n_bytes),
                Err(_) => return Err(invalid(format!("not a chunk's size: '{line}'"))),
            },
        };
        self.buffer.drain(..end + 2);
        self.framing = Framing::Chunked(next);
        self.take()
    }
}

#[derive(Debug)]
enum Step {
    Bytes(Vec<u8>),
    NeedsMore,
    End,
}
