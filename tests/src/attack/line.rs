//! A connection for many requests, one after the other, that is made anew when it was closed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connect;
use crate::deadline::within;

/// How long an answer may take before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const MAX_ANSWER: usize = 64 << 10;

/// A connection for requests whose answers are short.
#[derive(Debug)]
pub(super) struct Line {
    address: SocketAddr,
    source: u8,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Line {
    /// Makes one from 127.0.0.`source`; it is connected when it is used.
    pub(super) const fn new(address: SocketAddr, source: u8) -> Self {
        Self {
            address,
            source,
            stream: None,
            buffer: Vec::new(),
        }
    }

    /// Posts an event and returns the status of the answer.
    pub(super) async fn post(&mut self, path: &str, body: &[u8]) -> io::Result<u16> {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.ask(&request).await
    }

    /// Sends bytes and returns the status of what comes back.
    ///
    /// # Errors
    ///
    /// The connection was closed without an answer, or nothing came.
    pub(super) async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        let answered = within("an answer", PATIENCE, self.try_ask(request)).await;
        if answered.is_err() {
            self.close();
        }
        answered
    }

    async fn try_ask(&mut self, request: &[u8]) -> io::Result<u16> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address, self.source, None).await?,
        };
        stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some((status, is_last)) = answer(&self.buffer) {
                if is_last {
                    // Its port is free at once.
                    stream.set_zero_linger()?;
                } else {
                    self.stream = Some(stream);
                }
                return Ok(status);
            }
            if self.buffer.len() > MAX_ANSWER || stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Closes it at once.
    fn close(&mut self) {
        self.stream = None;
    }
}

/// Reads the status of a whole answer, and whether it is the connection's last; none if there is more to come.
fn answer(bytes: &[u8]) -> Option<(u16, bool)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(0_usize);
    (bytes.len() >= end + length).then(|| (status, head.contains("connection: close")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        for n_bytes in 0..whole.len() {
            assert_eq!(answer(&whole[..n_bytes]), None);
        }
        assert_eq!(answer(whole), Some((200, false)));
        let last = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        assert_eq!(answer(last), Some((400, true)));
    }
}
