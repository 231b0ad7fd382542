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
const BATCH: u64 = 20;

/// How each user's publisher goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// One event, its answer, the next event.
    Waiting,
    /// One event after the other, at most 20 of them without an answer, as tokens come from a model.
    Flowing,
    /// 20 events in a request, its answer, the next request.
    Batches,
}

impl Load {
    pub(crate) const ALL: [Self; 3] = [Self::Waiting, Self::Flowing, Self::Batches];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Waiting => "one, then its answer",
            Self::Flowing => "up to 20 under way",
            Self::Batches => "20 in a message",
        }
    }

    /// Events that a bare client puts into a message.
    pub(crate) const fn per_message(self) -> usize {
        match self {
            Self::Waiting | Self::Flowing => 1,
            Self::Batches => BATCH as usize,
        }
    }

    /// Messages of all users that a bare client has under way.
    pub(crate) const fn at_once(self) -> usize {
        match self {
            Self::Waiting | Self::Batches => USERS,
            Self::Flowing => USERS * BATCH as usize,
        }
    }
}

/// Publishes for all users at once; returns how many events were acknowledged.
pub(crate) async fn publish(hub: SocketAddr, limit: Duration, load: Load) -> Outcome<u64> {
    let mut publishers = JoinSet::new();
    for at in 0..USERS {
        publishers.spawn(async move {
            match load {
                Load::Waiting => lines(hub, at, limit, 1).await,
                Load::Flowing => lines(hub, at, limit, BATCH).await,
                Load::Batches => batches(hub, at, limit).await,
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

/// Publishes line by line on one request, at most so many without their answers.
async fn lines(hub: SocketAddr, at: usize, limit: Duration, at_most: u64) -> io::Result<u64> {
    let path = format!("/publish/system/u{at}/live?user=u{at}");
    let mut post = LivePost::open(hub, &path, &[]).await?;
    let (line, begin) = (event(at), Instant::now());
    let (mut n_sent, mut n_acked) = (0, 0);
    loop {
        while n_sent < n_acked + at_most && begin.elapsed() < limit {
            post.send_line(&line).await?;
            n_sent += 1;
        }
        if n_acked == n_sent {
            return Ok(n_acked);
        }
        let answer = post.next_line(PATIENCE).await?.unwrap_or_default();
        if !answer.contains("\"ids\"") {
            return Err(io::Error::other(answer));
        }
        n_acked += 1;
    }
}

/// Publishes in batches, each by a request of its own on a connection that stays.
async fn batches(hub: SocketAddr, at: usize, limit: Duration) -> io::Result<u64> {
    let body = vec![event(at); BATCH as usize].join("\n");
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
        n += BATCH;
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
