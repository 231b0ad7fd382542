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
/// In so many rounds all streams are opened anew: the hub gives up a client that takes nothing for 25 seconds, and
/// nothing tells that to a client that does not read.
const LIFE: usize = 10;

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

/// Opens streams anew before the hub gives them up, and those that it has ended.
pub(super) async fn keep(address: SocketAddr, streams: Vec<TcpStream>, tally: Arc<Tally>) {
    let mut streams: Vec<Option<TcpStream>> = streams.into_iter().map(Some).collect();
    let mut rounds = interval(ROUND);
    for round in 0.. {
        rounds.tick().await;
        for (number, place) in streams.iter_mut().enumerate() {
            let is_old = round >= LIFE && number % LIFE == round % LIFE;
            let is_well = |stream: &TcpStream| matches!(stream.take_error(), Ok(None));
            if !is_old && place.as_ref().is_some_and(is_well) {
                continue;
            }
            // Closed first: a user has no place for one more.
            *place = None;
            if let Ok(again) = open_one(address, number).await {
                *place = Some(again);
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
