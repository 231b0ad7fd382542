//! A request body that is written line by line while the answer is read.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::body::BodyReader;
use super::head::find;
use super::{Head, Request, invalid};
use crate::deadline::{PATIENCE, within};

/// A POST of NDJSON in the making.
#[derive(Debug)]
pub struct LivePost {
    writer: OwnedWriteHalf,
    answer: Answer,
    lines: Vec<u8>,
}

#[derive(Debug)]
enum Answer {
    Awaited(Option<OwnedReadHalf>),
    Begun(Head, BodyReader<OwnedReadHalf>),
}

impl LivePost {
    /// Sends the head of a POST with a chunked body of `application/x-ndjson`.
    ///
    /// # Errors
    ///
    /// What the socket says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Self> {
        let request = Request::new("POST", path)
            .header("content-type", "application/x-ndjson")
            .headers(headers);
        let stream = request.connect(address).await?;
        let (reader, mut writer) = stream.into_split();
        let head = request.head_text(address, "transfer-encoding: chunked\r\n");
        writer.write_all(head.as_bytes()).await?;
        Ok(Self {
            writer,
            answer: Answer::Awaited(Some(reader)),
            lines: Vec::new(),
        })
    }

    /// Sends one line (its LF is added) as one chunk.
    ///
    /// # Errors
    ///
    /// What the socket says; `TimedOut` when the server does not read.
    ///
    /// # Cancel safety
    ///
    /// None: a chunk may be left half written.
    pub async fn send_line(&mut self, line: &str) -> io::Result<()> {
        self.send_bytes(format!("{line}\n").as_bytes()).await
    }

    /// Sends bytes as one chunk, for lines that come in pieces.
    ///
    /// # Errors
    ///
    /// As [`LivePost::send_line`].
    ///
    /// # Cancel safety
    ///
    /// As [`LivePost::send_line`].
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        within(
            "the server to read",
            PATIENCE,
            self.writer.write_all(&chunk),
        )
        .await
    }

    /// Ends the body properly.
    ///
    /// # Errors
    ///
    /// As [`LivePost::send_line`].
    ///
    /// # Cancel safety
    ///
    /// As [`LivePost::send_line`].
    pub async fn finish(&mut self) -> io::Result<()> {
        within(
            "the server to read",
            PATIENCE,
            self.writer.write_all(b"0\r\n\r\n"),
        )
        .await
    }

    /// Waits for the answer's head.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`; what the socket says; `InvalidData` when it is not HTTP.
    ///
    /// # Cancel safety
    ///
    /// None: a head that has half arrived is lost, and later calls fail.
    pub async fn head(&mut self, limit: Duration) -> io::Result<&Head> {
        if let Answer::Awaited(reader) = &mut self.answer {
            let mut reader = reader
                .take()
                .ok_or_else(|| invalid("an earlier wait was given up"))?;
            let (head, rest) = within("the answer", limit, Head::read(&mut reader)).await?;
            let body = BodyReader::new(reader, &head, rest, "POST")?;
            self.answer = Answer::Begun(head, body);
        }
        match &self.answer {
            Answer::Begun(head, _) => Ok(head),
            Answer::Awaited(_) => Err(invalid("no answer")),
        }
    }

    /// Reads the next line of the answer, without its LF; `None` at the answer's proper end.
    ///
    /// # Errors
    ///
    /// As [`LivePost::head`]; `UnexpectedEof` when the answer was cut.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost once the head is there.
    pub async fn next_line(&mut self, limit: Duration) -> io::Result<Option<String>> {
        self.head(limit).await?;
        let Answer::Begun(_, body) = &mut self.answer else {
            return Ok(None);
        };
        let lines = &mut self.lines;
        within("the next line of the answer", limit, async move {
            loop {
                if let Some(end) = find(lines, b"\n") {
                    let line: Vec<u8> = lines.drain(..=end).take(end).collect();
                    return String::from_utf8(line)
                        .map(Some)
                        .map_err(|_| invalid("not UTF-8"));
                }
                match body.next_bytes().await? {
                    Some(bytes) => lines.extend_from_slice(&bytes),
                    None if lines.is_empty() => return Ok(None),
                    None => return Err(invalid("the answer's last line has no end")),
                }
            }
        })
        .await
    }

    /// Closes the connection with an RST, in the middle of the body.
    ///
    /// # Errors
    ///
    /// When the socket cannot be told so.
    pub fn reset(self) -> io::Result<()> {
        self.writer.as_ref().set_zero_linger()
    }
}
