//! A client that speaks HTTP/1.1 by hand, so that every byte can be seen.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::provider::{LIMIT, parse_head};

pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// An answer as it arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) line: String,
    pub(crate) headers: Headers,
    /// Without its framing.
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
    /// Whether it came to its end, as far as its framing can tell.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        let of_name = self.headers.iter().filter(|(found, _)| found == name);
        of_name.map(|(_, value)| value.as_slice()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.all(name).into_iter().next()?;
        std::str::from_utf8(value).ok()
    }

    /// The text of a problem document.
    pub(crate) fn detail(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        problem["detail"].as_str().unwrap().to_owned()
    }

    fn of(bytes: &[u8]) -> Self {
        let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
        let bytes = bytes.strip_prefix(go_on).unwrap_or(bytes);
        let end = bytes.windows(4).position(|found| found == b"\r\n\r\n");
        let end = end.expect("there is a head") + 4;
        let (line, headers) = parse_head(&bytes[..end]);
        let rest = &bytes[end..];
        let has = |name: &str| headers.iter().find(|(found, _)| found == name);
        let (body, trailers, is_whole) = if has("transfer-encoding").is_some() {
            match dechunk(rest) {
                Some((body, trailers, _)) => (body, trailers, true),
                None => (dechunk_some(rest), Vec::new(), false),
            }
        } else {
            let length = has("content-length").map(|(_, value)| {
                let text = std::str::from_utf8(value).unwrap();
                text.parse::<usize>().unwrap()
            });
            let is_whole = length.is_none_or(|length| length == rest.len());
            (rest.to_vec(), Vec::new(), is_whole)
        };
        Self {
            status: line.split(' ').nth(1).unwrap().parse().unwrap(),
            line,
            headers,
            body,
            trailers,
            is_whole,
        }
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) bytes: Vec<u8>,
}

impl Client {
    /// Connects and sends a request. `head` is its first line and headers, each with its line end; the connection is
    /// asked to close after it.
    pub(crate) async fn send(port: u16, head: &str, body: &[u8]) -> Self {
        let mut client = Self::connect(port).await;
        client
            .write(format!("{head}connection: close\r\nhost: gateway.test\r\n\r\n").as_bytes())
            .await;
        client.write(body).await;
        client
    }

    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            bytes: Vec::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads until the connection ends.
    pub(crate) async fn answer(mut self) -> Answer {
        // A reset after the last byte is an end as well.
        let read = timeout(LIMIT, self.stream.read_to_end(&mut self.bytes)).await;
        let _is_clean = read.expect("the answer ends in time");
        Answer::of(&self.bytes)
    }

    /// Reads until some bytes have come.
    pub(crate) async fn read_until(&mut self, needle: &[u8]) {
        let reading = async {
            while !self
                .bytes
                .windows(needle.len())
                .any(|found| found == needle)
            {
                let n_read = self.stream.read_buf(&mut self.bytes).await.unwrap();
                assert!(n_read > 0, "{}", String::from_utf8_lossy(&self.bytes));
            }
        };
        timeout(LIMIT, reading).await.unwrap();
    }
}

/// Sends a request and reads its answer.
pub(crate) async fn ask(port: u16, head: &str, body: &[u8]) -> Answer {
    Client::send(port, head, body).await.answer().await
}

/// Posts JSON and reads the answer.
pub(crate) async fn post(port: u16, path: &str, headers: &str, body: &[u8]) -> Answer {
    ask(port, &post_head(path, headers, body.len()), body).await
}

pub(crate) fn post_head(path: &str, headers: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}"
    )
}

/// The data, the trailers and the length of a whole chunked body at the beginning of these bytes.
pub(crate) fn dechunk(bytes: &[u8]) -> Option<(Vec<u8>, Headers, usize)> {
    let mut data = Vec::new();
    let mut at = 0;
    loop {
        let end = at
            + bytes
                .get(at..)?
                .windows(2)
                .position(|found| found == b"\r\n")?;
        let text = std::str::from_utf8(&bytes[at..end]).unwrap();
        let length = usize::from_str_radix(text, 16).unwrap();
        at = end + 2;
        if length == 0 {
            let rest = &bytes[at..];
            if rest.starts_with(b"\r\n") {
                return Some((data, Vec::new(), at + 2));
            }
            let end = rest.windows(4).position(|found| found == b"\r\n\r\n")? + 4;
            let head = [b"trailers\r\n", &rest[..end]].concat();
            return Some((data, parse_head(&head).1, at + end));
        }
        data.extend_from_slice(bytes.get(at..at + length)?);
        at += length + 2;
    }
}

/// The data of a chunked body that is cut.
fn dechunk_some(bytes: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|found| found == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let start = end + 2;
        data.extend_from_slice(&rest[start..rest.len().min(start + length)]);
        rest = rest.get(start + length + 2..).unwrap_or_default();
    }
    data
}
