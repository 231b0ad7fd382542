//! HTTP/2 clients that lie: resets without end, windows that stay shut, heads that never finish.
//!
//! Frames are written by hand (RFC 9113), since no library would send these.

use std::{io, net::SocketAddr};

use events_tests::{
    deadline::{PATIENCE, within},
    hub::{Hub, takes_over},
    raw_client::{RawSse, Request, get},
    sample,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

// Types of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

// Codes of errors (RFC 9113, 7).
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// The number at a place of the payload.
    fn number(&self, at: usize) -> u32 {
        let bytes = self.payload[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes)
    }
}

struct Http2 {
    stream: TcpStream,
}

impl Http2 {
    /// Connects with these settings: pairs of an identifier and a value.
    async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let mut client = Self { stream };
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &payload));
        client.stream.write_all(&bytes).await?;
        Ok(client)
    }

    async fn get(&mut self, stream: u32, path: &str) -> io::Result<()> {
        let head = head(path, &[]);
        let bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head);
        self.stream.write_all(&bytes).await
    }

    async fn open_window(&mut self, stream: u32, n_bytes: u32) -> io::Result<()> {
        let bytes = frame(WINDOW_UPDATE, 0, stream, &n_bytes.to_be_bytes());
        self.stream.write_all(&bytes).await
    }

    /// Reads the next frame; `None` at the end. Settings are acknowledged.
    async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        match self.stream.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            // What was not read resets the connection.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        }
        let n_bytes = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(n_bytes).expect("small")];
        self.stream.read_exact(&mut payload).await?;
        let read = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
            payload,
        };
        if read.kind == SETTINGS && read.flags & ACK == 0 {
            // Whoever has been cut still reads what was sent before.
            let _cut = self.stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await;
        }
        Ok(Some(read))
    }

    /// Reads until a frame is the one that is looked for.
    async fn find(&mut self, is_it: impl Fn(&Frame) -> bool) -> io::Result<Option<Frame>> {
        within("a frame", PATIENCE, async {
            while let Some(frame) = self.next().await? {
                if is_it(&frame) {
                    return Ok(Some(frame));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Reads a stream's data until a text has come.
    async fn read_until(&mut self, stream: u32, text: &str) -> io::Result<()> {
        let mut data = Vec::new();
        within(text, PATIENCE, async {
            while !String::from_utf8_lossy(&data).contains(text) {
                let Some(frame) = self.next().await? else {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                };
                if frame.kind == DATA {
                    assert_eq!(
                        frame.stream, stream,
                        "data of a stream whose window is shut"
                    );
                    data.extend_from_slice(&frame.payload);
                }
            }
            Ok(())
        })
        .await
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let n_bytes = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut bytes = n_bytes[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Writes a number of HPACK with a prefix of seven bits (RFC 7541, 5.1).
fn number(n: usize, out: &mut Vec<u8>) {
    if n < 127 {
        out.push(u8::try_from(n).expect("small"));
        return;
    }
    out.push(127);
    let mut rest = n - 127;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128 + 128).expect("a byte"));
        rest /= 128;
    }
    out.push(u8::try_from(rest).expect("small"));
}

fn text(text: &str, out: &mut Vec<u8>) {
    number(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// The head of a GET, as literals without a table (RFC 7541, 6.2.2).
fn head(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    // GET, http, and the names of path and authority are in the static table.
    let mut out = vec![0x82, 0x86, 0x04];
    text(path, &mut out);
    out.push(0x01);
    text("localhost", &mut out);
    for (name, value) in headers {
        out.push(0);
        text(name, &mut out);
        text(value, &mut out);
    }
    out
}

/// Checks that somebody else is served as ever.
async fn is_well(hub: &Hub, run: &str) -> io::Result<()> {
    let mut stream = hub.stream("/agui?user=bob").await?;
    let ids = hub.publish_lines("bob", &sample::run("t", run, 0)).await?;
    let first = stream.next_event(PATIENCE).await?;
    assert_eq!(first.id, ids.first().cloned());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_told_its_bounds_and_held_to_them() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let mut client = Http2::connect(hub.address(), &[]).await?;
    let settings = client
        .find(|frame| frame.kind == SETTINGS)
        .await?
        .expect("settings");
    let value = |id: u16| {
        let mut pairs = settings.payload.chunks(6);
        let pair = pairs.find(|pair| pair[..2] == id.to_be_bytes())?;
        Some(u32::from_be_bytes(pair[2..].try_into().ok()?))
    };
    // SETTINGS_MAX_CONCURRENT_STREAMS, SETTINGS_INITIAL_WINDOW_SIZE, SETTINGS_MAX_HEADER_LIST_SIZE.
    assert_eq!(
        (value(3), value(4), value(6)),
        (Some(16), Some(64 << 10), Some(16 << 10))
    );
    // It can only know that once it has read it; what it sent before is forgiven.
    client
        .find(|frame| frame.kind == SETTINGS && frame.flags & ACK != 0)
        .await?;
    for number in 0..17 {
        let path = format!("/agui?user=u{number}");
        client.get(2 * number + 1, &path).await?;
    }
    let refused = client
        .find(|frame| frame.kind == RST_STREAM)
        .await?
        .expect("a refusal");
    assert_eq!((refused.stream, refused.number(0)), (33, REFUSED_STREAM));
    is_well(&hub, "r").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_without_end_is_cut_and_harms_nobody() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let mut client = Http2::connect(hub.address(), &[]).await?;
    client
        .find(|frame| frame.kind == SETTINGS && frame.flags & ACK != 0)
        .await?;
    let mut bytes = Vec::new();
    for number in 0..5_000 {
        let (stream, head) = (2 * number + 1, head("/agui?user=ada", &[]));
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    // It may be cut before all is sent.
    let _cut = client.stream.write_all(&bytes).await;
    if let Some(goodbye) = client.find(|frame| frame.kind == GOAWAY).await? {
        assert_eq!(goodbye.number(4), ENHANCE_YOUR_CALM);
    }
    within("the end", PATIENCE, async {
        while client.next().await?.is_some() {}
        Ok(())
    })
    .await?;
    hub.wait_for_connections("ada", 0).await?;
    is_well(&hub, "r").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_window_is_shut_does_not_stop_its_neighbour() -> io::Result<()> {
    let hub = Hub::plain().await?;
    // No stream may send anything at first; the connection may send much.
    let mut client = Http2::connect(hub.address(), &[(4, 0)]).await?;
    client.open_window(0, 64 << 20).await?;
    client.get(1, "/agui?user=ada").await?;
    client.get(3, "/agui?user=ada").await?;
    client.open_window(3, 32 << 20).await?;
    client.read_until(3, "id: ").await?;
    hub.wait_for_connections("ada", 2).await?;
    for run in 0..8 {
        let lines = sample::padded_run("t", &format!("run-{run}"), 16, 60_000);
        let ids = hub.publish_lines("ada", &lines).await?;
        let last = format!("id: {}\n", ids.last().expect("ids"));
        client.read_until(3, &last).await?;
    }
    is_well(&hub, "r").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_large_or_never_ends_is_refused() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let mut client = Http2::connect(hub.address(), &[]).await?;
    let large = "x".repeat(15_000);
    let fields = head("/agui?user=ada", &[("a", &large), ("b", &large)]);
    let (first, second) = fields.split_at(16_000);
    let mut bytes = frame(HEADERS, END_STREAM, 1, first);
    bytes.extend(frame(CONTINUATION, END_HEADERS, 1, second));
    client.stream.write_all(&bytes).await?;
    let answer = client
        .find(|frame| frame.stream == 1)
        .await?
        .expect("an answer");
    // 431 as a literal: its name is the eighth of the static table.
    let is_431 = answer.kind == HEADERS && answer.payload.windows(3).any(|three| three == b"431");
    let is_huffman_431 = answer.kind == HEADERS && answer.payload.first() == Some(&0x48);
    assert!(
        is_431 || is_huffman_431 || answer.kind == RST_STREAM,
        "{answer:?}"
    );

    let mut client = Http2::connect(hub.address(), &[]).await?;
    let mut sent = frame(HEADERS, END_STREAM, 1, &head("/agui?user=ada", &[]));
    let more = head("/", &[("a", &"x".repeat(8_000))]).split_off(14);
    for _ in 0..2_000 {
        sent.extend(frame(CONTINUATION, 0, 1, &more));
    }
    let _cut = client.stream.write_all(&sent).await;
    within("the end", PATIENCE, async {
        while client.next().await?.is_some() {}
        Ok(())
    })
    .await?;
    is_well(&hub, "r").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_by_which_wire_a_stream_goes_and_how_much() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let run = sample::run("t", "r", 20);
    let (begun, rest) = run.split_first().expect("a run");
    hub.publish_lines("ada", std::slice::from_ref(begun))
        .await?;
    let mut own_socket = hub.stream("/agui?user=ada&thread=t").await?;
    let input =
        r#"{"threadId":"t","runId":"mine","state":{},"messages":[],"tools":[],"context":[]}"#;
    let joining = Request::post("/agui/connect?user=ada", "application/json", input);
    let mut joined = RawSse::open(hub.address(), &joining).await?;
    let mut client = Http2::connect(hub.address(), &[]).await?;
    client.get(1, "/contexts?user=ada").await?;
    client.read_until(1, "CONTEXTS_SNAPSHOT").await?;
    let ids = hub.publish_lines("ada", rest).await?;
    let last = format!("id: {}\n", ids.last().expect("ids"));
    client.read_until(1, &last).await?;
    for _ in 0..run.len() {
        own_socket.next_event(PATIENCE).await?;
    }
    joined.read_to_end(PATIENCE).await?;

    let rows = get(hub.address(), "/connections?user=ada", &[]).await?;
    let rows = rows.json()?;
    let of = |stream: &str| {
        let mut rows = rows.as_array().expect("a list").iter();
        rows.find(|row| row["stream"] == stream).expect("a row")
    };
    let own = if takes_over() { "taken_over" } else { "http1" };
    assert_eq!(of("agui")["transport"], own, "{rows}");
    assert_eq!(of("agui")["written_bytes"], own_socket.n_bytes(), "{rows}");
    assert_eq!(of("contexts")["transport"], "http2", "{rows}");

    drop((own_socket, client));
    hub.wait_for_connections("ada", 0).await?;
    let page = get(hub.address(), "/metrics?user=ada", &[]).await?.text();
    let n_bytes = |transport: &str| -> u64 {
        let name = format!("events_written_bytes_total{{transport=\"{transport}\"}} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&*name));
        value.and_then(|value| value.parse().ok()).expect(transport)
    };
    let n_read = n_bytes("taken_over") + n_bytes("http1");
    let (first, second) = (of("agui")["written_bytes"].as_u64(), joined.n_bytes());
    assert_eq!(Some(n_read), first.map(|first| first + second as u64));
    assert!(n_bytes("http1") >= second as u64, "{page}");
    assert!(n_bytes("http2") >= of("contexts")["written_bytes"].as_u64().expect("a count"));
    Ok(())
}
