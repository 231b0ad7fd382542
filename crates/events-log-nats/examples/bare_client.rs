//! What the driver does without a log above it: publishes messages into a stream of its own, each acknowledged.
//!
//! `cargo run --release -p events-log-nats --example bare_client -- SERVER AT_ONCE BYTES SECONDS` prints how many
//! messages were acknowledged and in how many seconds. `cargo bench -p events-tests --bench log_hub` runs it beside a
//! hub, and reads what it costs from outside.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::{
    error::Error,
    time::{Duration, Instant},
};

use async_nats::Client;
use bytes::Bytes;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [server, at_once, bytes, seconds] = words.as_slice() else {
        return Err("give SERVER AT_ONCE BYTES SECONDS".into());
    };
    let (at_once, bytes): (usize, usize) = (at_once.parse()?, bytes.parse()?);
    let limit = Duration::from_secs(seconds.parse()?);
    let client = async_nats::connect(server).await?;
    // As the log makes its own: in files, and without an answer waiting for the disk.
    let settings =
        r#"{"name":"BARE","subjects":["bare.*"],"storage":"file","max_msgs_per_subject":2000}"#;
    let made = client
        .request("$JS.API.STREAM.CREATE.BARE", settings.into())
        .await?;
    check(&made.payload)?;
    let (mut lanes, begin) = (JoinSet::new(), Instant::now());
    for lane in 0..at_once {
        lanes.spawn(publish(client.clone(), lane, bytes, begin + limit));
    }
    let mut n_acked = 0;
    while let Some(lane) = lanes.join_next().await {
        n_acked += lane??;
    }
    println!("{n_acked} {}", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Publishes one message after the other, each after the answer to the one before.
async fn publish(
    client: Client,
    lane: usize,
    bytes: usize,
    end: Instant,
) -> Result<usize, AnyError> {
    let (subject, body) = (format!("bare.u{lane}"), Bytes::from(vec![b'x'; bytes]));
    let mut n_acked = 0;
    while Instant::now() < end {
        let answer = client.request(subject.clone(), body.clone()).await?;
        check(&answer.payload)?;
        n_acked += 1;
    }
    Ok(n_acked)
}

fn check(answer: &[u8]) -> Result<(), AnyError> {
    if answer.windows(7).any(|window| window == b"\"error\"") {
        return Err(String::from_utf8_lossy(answer).into());
    }
    Ok(())
}
