//! Requests as no library sends them: what is in doubt is refused, nothing is ever taken for two, and the hub goes on.

use std::{io, net::SocketAddr, time::Duration};

use events_axum::{StreamConfig, serve::ConnectionLimits};
use events_core::UserId;
use events_tests::{
    deadline::{PATIENCE, within},
    hub::{Hub, HubOptions},
    raw_client::post,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// What may become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Refused with a status from 400 to 499, or without one, and the connection is closed.
    Refused,
    /// Refused with such a status; its end is clear, so the connection may live on.
    Declined,
    /// Taken, once, and nothing behind it is.
    Taken,
    /// Taken, and the second request behind it as well: its end is beyond doubt.
    Two,
}

use Fate::{Declined, Refused, Taken, Two};

/// The event of the first request; 34 bytes, as some of the heads below say.
const EVENT: &str = r#"{"type":"HEARTBEAT","timestamp":1}"#;

/// A head and what stands behind it. In them stand for: `POST`, a request line for the first user; `OK`, the usual
/// headers; `EVENT`, the event; `SECOND`, a whole good request for the second user.
#[rustfmt::skip] // One line each, as a table.
const CORPUS: &[(&str, &str, Fate)] = &[
    // Without fault, so that it is certain that a second request would be seen.
    ("one", "POST\r\nOK\r\ncontent-length: 34\r\n\r\nEVENT", Taken),
    ("two", "POST\r\nOK\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Two),
    ("chunked", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22\r\nEVENT\r\n0\r\n\r\n", Taken),
    ("chunk extension", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22;a=b\r\nEVENT\r\n0\r\n\r\n", Taken),
    ("trailer", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22\r\nEVENT\r\n0\r\na: b\r\n\r\n", Taken),
    ("equal lengths", "POST\r\nOK\r\ncontent-length: 34\r\ncontent-length: 34\r\n\r\nEVENT", Taken),
    ("empty lines first", "\r\n\r\nPOST\r\nOK\r\ncontent-length: 34\r\n\r\nEVENT", Taken),
    // Two ways to tell the end.
    ("chunked, then a second", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22\r\nEVENT\r\n0\r\n\r\nSECOND", Taken),
    ("length and chunked", "POST\r\nOK\r\ncontent-length: 44\r\ntransfer-encoding: chunked\r\n\r\n22\r\nEVENT\r\n0\r\n\r\nSECOND", Taken),
    ("chunked and length", "POST\r\nOK\r\ntransfer-encoding: chunked\r\ncontent-length: 44\r\n\r\n22\r\nEVENT\r\n0\r\n\r\nSECOND", Taken),
    ("chunked and short length", "POST\r\nOK\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n22\r\nEVENT\r\n0\r\n\r\nSECOND", Taken),
    ("two lengths", "POST\r\nOK\r\ncontent-length: 34\r\ncontent-length: 0\r\n\r\nEVENTSECOND", Refused),
    ("two lengths, zero first", "POST\r\nOK\r\ncontent-length: 0\r\ncontent-length: 34\r\n\r\nSECOND", Refused),
    ("a list of lengths", "POST\r\nOK\r\ncontent-length: 34, 35\r\n\r\nEVENTSECOND", Refused),
    ("a list of equal lengths", "POST\r\nOK\r\ncontent-length: 34, 34\r\n\r\nEVENT", Refused),
    ("negative length", "POST\r\nOK\r\ncontent-length: -1\r\n\r\nSECOND", Refused),
    ("signed length", "POST\r\nOK\r\ncontent-length: +34\r\n\r\nEVENTSECOND", Refused),
    ("hexadecimal length", "POST\r\nOK\r\ncontent-length: 0x22\r\n\r\nEVENTSECOND", Refused),
    ("length with a point", "POST\r\nOK\r\ncontent-length: 34.0\r\n\r\nEVENTSECOND", Refused),
    ("length with a space", "POST\r\nOK\r\ncontent-length: 3 4\r\n\r\nEVENTSECOND", Refused),
    ("empty length", "POST\r\nOK\r\ncontent-length:\r\n\r\nSECOND", Refused),
    ("length beyond 64 bits", "POST\r\nOK\r\ncontent-length: 18446744073709551650\r\n\r\nEVENTSECOND", Refused),
    ("largest length", "POST\r\nOK\r\ncontent-length: 18446744073709551615\r\n\r\nEVENT", Refused),
    ("length of a terabyte", "POST\r\nOK\r\ncontent-length: 1099511627776\r\n\r\nEVENT", Declined),
    ("chunked, not last", "POST\r\nOK\r\ntransfer-encoding: chunked, gzip\r\n\r\n22\r\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    ("an unknown coding", "POST\r\nOK\r\ntransfer-encoding: x\r\n\r\nSECOND", Refused),
    ("identity", "POST\r\nOK\r\ntransfer-encoding: identity\r\n\r\nSECOND", Refused),
    ("chunked misspelt", "POST\r\nOK\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\nSECOND", Refused),
    ("chunked with a vertical tab", "POST\r\nOK\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\nSECOND", Refused),
    ("chunked then identity", "POST\r\nOK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\nSECOND", Refused),
    ("chunked in 1.0", "OLDPOST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22\r\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    // The shape of headers.
    ("space before the colon", "POST\r\nOK\r\ncontent-length : 34\r\n\r\nEVENTSECOND", Refused),
    ("space before chunked's colon", "POST\r\nOK\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\nSECOND", Refused),
    ("tab before the colon", "POST\r\nOK\r\ncontent-length\t: 34\r\n\r\nEVENTSECOND", Refused),
    ("folded line", "POST\r\nOK\r\nx: a\r\n content-length: 0\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("folded first header", "POST\r\n x: a\r\nOK\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("folded coding", "POST\r\nOK\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\nSECOND", Refused),
    ("no colon", "POST\r\nOK\r\nnonsense\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("no name", "POST\r\nOK\r\n: x\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("NUL in a name", "POST\r\nOK\r\nx\0y: a\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("NUL in a value", "POST\r\nOK\r\nx: a\0b\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("bare CR in a value", "POST\r\nOK\r\nx: a\rcontent-length: 0\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("many headers", "POST\r\nOK\r\nMANYcontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("long header", "POST\r\nOK\r\nx: LONG\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("bare LF everywhere", "POSTLF\nhost: x\ncontent-type: application/json\ncontent-length: 34\n\nEVENT", Taken),
    ("a length behind a bare LF", "POST\r\nOK\r\nx: a\ncontent-length: 0\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("chunked behind a bare LF", "POST\r\nOK\r\nx: a\ntransfer-encoding: chunked\r\ncontent-length: 44\r\n\r\n22\r\nEVENT\r\n0\r\n\r\nSECOND", Taken),
    // The shape of chunks.
    ("chunk size is no number", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    ("negative chunk", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n-22\r\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    ("prefixed chunk", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n0x22\r\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    ("chunk beyond 64 bits", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000022\r\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    ("no end of a chunk", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22\r\nEVENTxx0\r\n\r\nSECOND", Refused),
    ("bare LF in a chunk size", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    ("LF in an extension", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22;a\nb\r\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    ("empty chunk size", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n\r\nEVENT\r\n0\r\n\r\nSECOND", Refused),
    ("no last chunk", "POST\r\nOK\r\ntransfer-encoding: chunked\r\n\r\n22\r\nEVENT\r\n", Refused),
    ("short body", "POST\r\nOK\r\ncontent-length: 35\r\n\r\nEVENT", Refused),
    // The first line.
    ("no version", "POST-\r\nOK\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("version 3", "POST-HTTP/3.0\r\nOK\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("version in small letters", "POST-http/1.1\r\nOK\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("two spaces", "POST  HTTP/1.1\r\nOK\r\ncontent-length: 34\r\n\r\nEVENTSECOND", Refused),
    ("CONNECT", "CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\nSECOND", Declined),
    ("a method that there is not", "FETCH /agui?user=x HTTP/1.1\r\nhost: x\r\n\r\n", Declined),
    ("a method with a bracket", "GE[T /agui?user=x HTTP/1.1\r\nhost: x\r\n\r\nSECOND", Refused),
    ("upgrade", "GET /health/none HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", Declined),
    ("upgrade to HTTP/2", "GET /health/none HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n", Declined),
    ("absolute form", "POSTABSOLUTE\r\nOK\r\ncontent-length: 34\r\n\r\nEVENT", Taken),
    ("body on a GET", "GET /health/none HTTP/1.1\r\nhost: x\r\ncontent-length: SIZE\r\n\r\nSECOND", Declined),
    ("long first line", "GET /LONG HTTP/1.1\r\nhost: x\r\n\r\nSECOND", Refused),
    ("NUL in the path", "GET /a\0b HTTP/1.1\r\nhost: x\r\n\r\nSECOND", Refused),
    ("nothing but noise", "\x16\x03\x01\x02\x00\x01\x00\x01\x7f\x03\x03", Refused),
];

/// Writes out what stands for something else.
fn request_of(number: usize, text: &str) -> Vec<u8> {
    let first = format!("/publish/system/first-{number}");
    let second = format!(
        "POST /publish/system/second-{number} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{EVENT}",
        EVENT.len()
    );
    let text = text
        .replace("OLDPOST", &format!("POST {first} HTTP/1.0"))
        .replace(
            "POSTABSOLUTE",
            &format!("POST http://other.example{first} HTTP/1.1"),
        )
        .replace("POSTLF", &format!("POST {first} HTTP/1.1"))
        .replace("POST-\r\n", &format!("POST {first}\r\n"))
        .replace("POST-", &format!("POST {first} "))
        .replace("POST  ", &format!("POST  {first}  "))
        .replace("POST\r\n", &format!("POST {first} HTTP/1.1\r\n"))
        .replace("OK\r\n", "host: x\r\ncontent-type: application/json\r\n")
        .replace("MANY", &"x: y\r\n".repeat(300))
        .replace("LONG", &"x".repeat(40_000))
        .replace("SIZE", &second.len().to_string())
        .replace("EVENT", EVENT)
        .replace("SECOND", &second);
    text.into_bytes()
}

/// Sends bytes and reads until the other side closes.
async fn send(address: SocketAddr, bytes: Vec<u8>) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // It may be refused before all is sent.
    let _cut = stream.write_all(&bytes).await;
    let mut answer = Vec::new();
    let mut read = [0; 4_096];
    loop {
        match stream.read(&mut read).await {
            Ok(0) | Err(_) => return Ok(String::from_utf8_lossy(&answer).into_owned()),
            Ok(n_read) => answer.extend_from_slice(&read[..n_read]),
        }
    }
}

fn statuses(answer: &str) -> Vec<u16> {
    let parts = answer.split("HTTP/1.").skip(1);
    parts
        .filter_map(|part| part.get(2..5)?.parse().ok())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_taken_for_two_and_what_is_in_doubt_is_refused() -> io::Result<()> {
    assert!(CORPUS.len() >= 40);
    assert_eq!(EVENT.len(), 0x22);
    let hub = Hub::start(HubOptions {
        streams: StreamConfig {
            body_time: Duration::from_secs(2),
            ..StreamConfig::default()
        },
        connections: ConnectionLimits {
            head_time: Duration::from_secs(2),
            ..ConnectionLimits::default()
        },
        ..HubOptions::default()
    })
    .await?;
    let mut sending = JoinSet::new();
    for (number, (_, text, _)) in CORPUS.iter().enumerate() {
        let (address, bytes) = (hub.address(), request_of(number, text));
        sending.spawn(async move {
            let answer = within("the end of the connection", PATIENCE, send(address, bytes)).await;
            (number, answer)
        });
    }
    let mut wrong = Vec::new();
    while let Some(sent) = sending.join_next().await {
        let (number, answer) = sent.expect("no panic");
        let (name, _, fate) = CORPUS[number];
        let answer = answer?;
        let statuses = statuses(&answer);
        let taken = ["first", "second"].map(|user| {
            let user = UserId::new(format!("{user}-{number}"));
            hub.router().store().last(&user).seq
        });
        let is_client_error = |status: &u16| (400..500).contains(status);
        let is_as_expected = match fate {
            Refused => {
                taken == [0, 0] && statuses.len() <= 1 && statuses.iter().all(is_client_error)
            }
            Declined => {
                taken == [0, 0] && statuses.len() == 1 && statuses.iter().all(is_client_error)
            }
            Taken => taken == [1, 0] && statuses == [200],
            Two => taken == [1, 1] && statuses == [200, 200],
        };
        if !is_as_expected {
            wrong.push(format!(
                "{name}: {fate:?}, but {statuses:?}, appended {taken:?}: {answer:.300}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let published = post(
        hub.address(),
        "/publish/system/after",
        "application/json",
        EVENT,
    )
    .await?;
    assert_eq!(published.status(), 200, "{}", published.text());
    Ok(())
}
