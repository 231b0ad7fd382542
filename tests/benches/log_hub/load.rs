//! The load: publishers of 64 users, each with one publish under way.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use events_tests::{
    deadline::PATIENCE,
    raw_client::{LivePost, RawSse},
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
};

use crate::Outcome;

pub(crate) const USERS: usize = 64;

/// Publishes for all users at once; returns how many events were acknowledged.
pub(crate) async fn publish(hub: SocketAddr, limit: Duration, per_message: usize) -> Outcome<u64> {
    let mut publishers = JoinSet::new();
    for at in 0..USERS {
        publishers.spawn(async move {
            if per_message == 1 {
                one_by_one(hub, at, limit).await
            } else {
                batches(hub, at, limit, per_message).await
            }
        });
    }
    let mut n_acked = 0;
    while let Some(done) = publishers.join_next().await {
        n_acked += done??;
    }
    Ok(n_acked)
}

/// One event, of about half a KiB.
pub(crate) fn event(at: usize) -> String {
    let name = format!("{at} {}", "x".repeat(440));
    json!({"type": "CONTEXT_UPDATED", "timestamp": 1, "contextId": "c", "name": name}).to_string()
}

/// Publishes line by line on one request, each after the answer to the one before.
async fn one_by_one(hub: SocketAddr, at: usize, limit: Duration) -> io::Result<u64> {
    let path = format!("/publish/system/u{at}/live?user=u{at}");
    let mut post = LivePost::open(hub, &path, &[]).await?;
    let (line, begin, mut n) = (event(at), Instant::now(), 0);
    while begin.elapsed() < limit {
        post.send_line(&line).await?;
        let answer = post.next_line(PATIENCE).await?.unwrap_or_default();
        if !answer.contains("\"ids\"") {
            return Err(io::Error::other(answer));
        }
        n += 1;
    }
    Ok(n)
}

/// Publishes in batches, each by a request of its own on a connection that stays.
async fn batches(
    hub: SocketAddr,
    at: usize,
    limit: Duration,
    per_message: usize,
) -> io::Result<u64> {
    let body = vec![event(at); per_message].join("\n");
    let request = format!(
        "POST /publish/system/u{at}?user=u{at} HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = BufReader::new(TcpStream::connect(hub).await?);
    connection.get_ref().set_nodelay(true)?;
    let (begin, mut n, mut line, mut answer) = (Instant::now(), 0, String::new(), Vec::new());
    while begin.elapsed() < limit {
        connection.write_all(request.as_bytes()).await?;
        let mut length = 0;
        loop {
            line.clear();
            if connection.read_line(&mut line).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim_end().parse().map_err(io::Error::other)?;
            }
            if line == "\r\n" {
                break;
            }
        }
        answer.resize(length, 0);
        connection.read_exact(&mut answer).await?;
        if !answer.starts_with(b"{\"ids\"") {
            let text = String::from_utf8_lossy(&answer).into_owned();
            return Err(io::Error::other(text));
        }
        n += per_message as u64;
    }
    Ok(n)
}

/// Opens a screen for each user, which reads and forgets. Dropping it closes them.
pub(crate) async fn readers(hub: SocketAddr) -> Outcome<JoinSet<()>> {
    let mut readers = JoinSet::new();
    for at in 0..USERS {
        let mut screen = RawSse::connect(hub, &format!("/contexts?user=u{at}"), &[]).await?;
        screen
            .read_until(PATIENCE, |frame| frame.id.is_some())
            .await?;
        screen.reset()?;
        let mut stream = TcpStream::connect(hub).await?;
        let request = format!("GET /contexts?user=u{at} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        readers.spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
        });
    }
    Ok(readers)
}
