//! The hub's address, and requests for it.

use std::{io, net::SocketAddr, ops::Range};

use axum::http::Uri;
use tokio::net::{TcpSocket, TcpStream};

use crate::Failure;

/// Where the hub is, and how it is asked.
#[derive(Debug)]
pub(super) struct Target {
    address: SocketAddr,
    authority: String,
    /// What stands before every path, without a slash at its end.
    prefix: String,
    /// Header lines of every request.
    headers: String,
}

impl Target {
    /// Finds the hub.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] if it is not an `http://` address with a known host.
    pub(super) async fn find(url: &str, token: Option<&str>) -> Result<Self, Failure> {
        let bad = |why: &str| {
            let text = format!("--url {url}: {why}; use one such as http://127.0.0.1:4000");
            Failure::Usage(text)
        };
        let uri: Uri = url.parse().map_err(|_| bad("it is not an address"))?;
        if uri.scheme_str() != Some("http") {
            return Err(bad("it does not begin with http://"));
        }
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(80);
        let mut addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| bad(&error.to_string()))?;
        let address = addresses
            .next()
            .ok_or_else(|| bad("its host has no address"))?;
        if token.is_some_and(|token| token.chars().any(char::is_control)) {
            let text = "EVENTS_TOKEN has a control character".to_owned();
            return Err(Failure::Usage(text));
        }
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        Ok(Self {
            address,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            headers: format!("Host: {authority}\r\n{}", token.unwrap_or_default()),
            authority: authority.to_string(),
        })
    }

    /// Returns host and port, as they were given.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Connects; a small receive buffer makes the hub feel early that the reader is slow.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the socket.
    pub(super) async fn connect(&self, receive_buffer: Option<u32>) -> io::Result<TcpStream> {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(n_bytes) = receive_buffer {
            socket.set_recv_buffer_size(n_bytes)?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Writes the request for a path.
    pub(super) fn get(&self, path: &str) -> String {
        let Self {
            prefix, headers, ..
        } = self;
        format!("GET {prefix}{path} HTTP/1.1\r\n{headers}\r\n")
    }

    /// Replaces `out` with the request for events that the server makes itself, as the servers of `cargo xtask bench`
    /// do: `n` for each of the users, numbered from `first`, each of `size` bytes.
    pub(super) fn generate(
        &self,
        users: &Range<u32>,
        n: u32,
        first: u32,
        size: usize,
        out: &mut Vec<u8>,
    ) {
        let Self {
            prefix, headers, ..
        } = self;
        let Range { start, end } = users;
        let head = format!(
            "POST {prefix}/gen?prefix=bench-&from={start}&to={end}&n={n}&seq={first}&size={size} HTTP/1.1\r\n{headers}\
             Content-Length: 0\r\n\r\n"
        );
        out.clear();
        out.extend_from_slice(head.as_bytes());
    }

    /// Writes the request for a user's AG-UI stream, behind a cursor if there is one.
    pub(super) fn subscribe(&self, user: u32, cursor: Option<&str>) -> String {
        let Self {
            prefix, headers, ..
        } = self;
        let cursor = cursor.map(|cursor| format!("Last-Event-ID: {cursor}\r\n"));
        let cursor = cursor.unwrap_or_default();
        format!(
            "GET {prefix}/agui?user=bench-{user} HTTP/1.1\r\n{headers}Accept: text/event-stream\r\n{cursor}\r\n"
        )
    }

    /// Replaces `out` with the request that publishes lines for a user; the same `msg_id` again is not published again.
    pub(super) fn publish(
        &self,
        user: u32,
        thread: &str,
        msg_id: &str,
        lines: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Self {
            prefix, headers, ..
        } = self;
        // One alone goes as such, which every server understands.
        let line = lines.strip_suffix(b"\n").unwrap_or(lines);
        let (kind, lines) = if line.contains(&b'\n') {
            ("x-ndjson", lines)
        } else {
            ("json", line)
        };
        let head = format!(
            "POST {prefix}/publish/agui/bench-{user}?thread={thread}&msg_id={msg_id} HTTP/1.1\r\n{headers}\
             Content-Type: application/{kind}\r\nContent-Length: {}\r\n\r\n",
            lines.len()
        );
        out.clear();
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(lines);
    }
}
