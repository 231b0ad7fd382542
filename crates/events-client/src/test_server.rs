//! A server that says byte for byte what a test tells it to.

use std::{future::Future, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Fails a test that hangs. Long, because under paused time the clock runs ahead.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(600), future)
        .await
        .expect("nothing happened in time")
}

pub(crate) const SSE_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Makes a whole answer that ends its connection.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

pub(crate) struct TestServer {
    listener: TcpListener,
    pub(crate) url: String,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// Waits for the next connection and reads the head of its request, and the body if its length is given.
    pub(crate) async fn accept(&self) -> Exchange {
        let (socket, _address) = within(self.listener.accept()).await.unwrap();
        let mut exchange = Exchange {
            socket,
            head: String::new(),
            body: Vec::new(),
        };
        exchange.read_until(b"\r\n\r\n").await;
        let at = find(&exchange.body, b"\r\n\r\n").unwrap() + 4;
        let body = exchange.body.split_off(at);
        exchange.head = String::from_utf8(std::mem::replace(&mut exchange.body, body)).unwrap();
        let length = exchange
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while exchange.body.len() < length {
            exchange.read_more().await;
        }
        exchange
    }

    /// Answers the next request and closes its connection.
    pub(crate) async fn answer(&self, answer: impl AsRef<[u8]>) -> Exchange {
        let mut exchange = self.accept().await;
        exchange.send(answer).await;
        exchange.end().await;
        exchange
    }
}

/// One request and the way to answer it.
pub(crate) struct Exchange {
    socket: TcpStream,
    pub(crate) head: String,
    /// The body as it came, with its chunk sizes if it is chunked.
    pub(crate) body: Vec<u8>,
}

impl Exchange {
    pub(crate) fn request_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.socket.write_all(bytes.as_ref())).await.unwrap();
    }

    pub(crate) async fn end(&mut self) {
        within(self.socket.shutdown()).await.unwrap();
    }

    pub(crate) async fn read_until(&mut self, needle: &[u8]) {
        while find(&self.body, needle).is_none() {
            self.read_more().await;
        }
    }

    /// Waits until the client has closed its side.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _reset = within(self.socket.read_to_end(&mut rest)).await;
    }

    async fn read_more(&mut self) {
        let n_read = within(self.socket.read_buf(&mut self.body)).await.unwrap();
        assert!(n_read > 0, "request ended early: {:?}", self.head);
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
