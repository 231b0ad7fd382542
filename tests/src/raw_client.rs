//! An HTTP/1.1 client for tests, written by hand over a socket.
//!
//! It shares no code with ours and is strict where real clients are lax: line ends are LF in event
//! streams, chunks are well formed, and an end without its last chunk is an error. Reading happens
//! only inside a call, so a test that does not call is a reader that has stalled.

mod body;
mod head;
mod live;
mod splitter;
mod sse;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::deadline::{PATIENCE, within};
use body::BodyReader;
pub use head::Head;
pub use live::LivePost;
pub use splitter::{FrameSplitter, RawFrame};
pub use sse::RawSse;

/// A request; [`Request::get`] and [`Request::post`] begin one.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    receive_buffer: Option<u32>,
}

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status and headers.
    pub head: Head,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

/// Sends a GET and reads the whole answer.
///
/// # Errors
///
/// What the socket says, or `InvalidData` when the answer is not HTTP.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub async fn get(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Response> {
    Request::get(path).headers(headers).send(address).await
}

/// Sends a POST and reads the whole answer.
///
/// # Errors
///
/// As [`get`].
///
/// # Cancel safety
///
/// As [`get`].
pub async fn post(
    address: SocketAddr,
    path: &str,
    content_type: &str,
    body: impl AsRef<[u8]>,
) -> io::Result<Response> {
    Request::post(path, content_type, body).send(address).await
}

// === impl Request ===

impl Request {
    /// Begins a request with any method and no body.
    #[must_use]
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            receive_buffer: None,
        }
    }

    /// Begins a GET.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// Begins a POST with a body.
    #[must_use]
    pub fn post(path: &str, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        let mut request = Self::new("POST", path).header("content-type", content_type);
        request.body = Some(body.as_ref().to_vec());
        request
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds headers.
    #[must_use]
    pub fn headers(self, headers: &[(&str, &str)]) -> Self {
        headers
            .iter()
            .fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Asks the kernel for a receive buffer of this many bytes, so that a stall is felt soon.
    #[must_use]
    pub fn receive_buffer(mut self, n_bytes: u32) -> Self {
        self.receive_buffer = Some(n_bytes);
        self
    }

    /// Sends the request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// As [`get`]; `TimedOut` when the answer is not complete in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn send(&self, address: SocketAddr) -> io::Result<Response> {
        let what = format!("the answer to {} {}", self.method, self.path);
        within(&what, PATIENCE, async {
            let (head, mut body) = self.begin(address).await?;
            let mut bytes = Vec::new();
            while let Some(more) = body.next_bytes().await? {
                bytes.extend_from_slice(&more);
            }
            Ok(Response { head, body: bytes })
        })
        .await
    }

    /// Sends the request and reads the answer's head.
    async fn begin(&self, address: SocketAddr) -> io::Result<(Head, BodyReader)> {
        let mut stream = self.connect(address).await?;
        let framing = self
            .body
            .as_ref()
            .map(|body| format!("content-length: {}\r\n", body.len()));
        let mut bytes = self
            .head_text(address, &framing.unwrap_or_default())
            .into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        stream.write_all(&bytes).await?;
        let (head, rest) = Head::read(&mut stream).await?;
        let body = BodyReader::new(stream, &head, rest, &self.method)?;
        Ok((head, body))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if let Some(n_bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(n_bytes)?;
        }
        let stream = within("a connection", PATIENCE, socket.connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn head_text(&self, address: SocketAddr, framing: &str) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            text.push_str(&format!("host: {address}\r\n"));
        }
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text + framing + "\r\n"
    }
}

// === impl Response ===

impl Response {
    /// Returns the status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// Returns the body as text, with replacement characters where it is none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    ///
    /// `InvalidData` with the beginning of what it is instead.
    pub fn json(&self) -> io::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let text: String = self.text().chars().take(200).collect();
            io::Error::new(io::ErrorKind::InvalidData, format!("{error} in '{text}'"))
        })
    }
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}
