//! Streams that nobody reads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::interval;

use super::line::Line;
use super::{Tally, connect, count, pace};

/// Streams of one user, as many as the usual cap.
pub(super) const PER_USER: usize = 10;
/// What the system takes in for a client that does not read, in bytes: little, so that the stall is felt.
const BUFFER: u32 = 4_096;
/// An event that is not read, in bytes.
const EVENT: usize = 16 << 10;
/// How often streams are looked after.
const ROUND: Duration = Duration::from_secs(2);

/// Opens the streams; the answers are never read.
pub(super) async fn open(address: SocketAddr, n_streams: usize) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for number in 0..n_streams {
        streams.push(open_one(address, number).await?);
    }
    Ok(streams)
}

async fn open_one(address: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let mut stream = connect(address, 2, Some(BUFFER)).await?;
    let user = number / PER_USER;
    let request = format!("GET /contexts?user=stalled-{user} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Opens those again that the hub has ended.
pub(super) async fn keep(address: SocketAddr, mut streams: Vec<TcpStream>, tally: Arc<Tally>) {
    let mut rounds = interval(ROUND);
    loop {
        rounds.tick().await;
        for (number, stream) in streams.iter_mut().enumerate() {
            if !matches!(stream.take_error(), Ok(None))
                && let Ok(again) = open_one(address, number).await
            {
                *stream = again;
                count(&tally.n_reopened);
            }
        }
    }
}

/// Publishes to the users of these streams what they do not read.
pub(super) async fn fill(address: SocketAddr, n_users: usize, rate: usize, tally: Arc<Tally>) {
    let name = "x".repeat(EVENT);
    let body =
        format!(r#"{{"type":"CONTEXT_UPDATED","contextId":"c","name":"{name}","timestamp":1}}"#);
    let mut line = Line::new(address, 3);
    let (mut ticks, n_due) = pace(rate);
    for number in 0.. {
        if number % n_due == 0 {
            ticks.tick().await;
        }
        let path = format!("/publish/system/stalled-{}?user=fill", number % n_users);
        if let Ok(200) = line.post(&path, body.as_bytes()).await {
            count(&tally.n_filled);
        }
    }
}
