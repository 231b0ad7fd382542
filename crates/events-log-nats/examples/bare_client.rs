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

use async_nats::jetstream::{self, context::Context, stream};
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
    let jetstream = jetstream::new(async_nats::connect(server).await?);
    // As the log makes its own: in files, and without an answer waiting for the disk.
    let settings = stream::Config {
        name: "BARE".to_owned(),
        subjects: vec!["bare.*".to_owned()],
        storage: stream::StorageType::File,
        max_messages_per_subject: 2_000,
        ..stream::Config::default()
    };
    jetstream.create_stream(settings).await?;
    let (mut lanes, begin) = (JoinSet::new(), Instant::now());
    for lane in 0..at_once {
        lanes.spawn(publish(jetstream.clone(), lane, bytes, begin + limit));
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
    jetstream: Context,
    lane: usize,
    bytes: usize,
    end: Instant,
) -> Result<usize, AnyError> {
    let (subject, body) = (format!("bare.u{lane}"), Bytes::from(vec![b'x'; bytes]));
    let mut n_acked = 0;
    while Instant::now() < end {
        let answer = jetstream.publish(subject.clone(), body.clone()).await?;
        answer.await?;
        n_acked += 1;
    }
    Ok(n_acked)
}
