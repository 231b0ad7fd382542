//! Appends per second and their latency, beside what the client publishes bare to the same server in the same run.
//!
//! `EVENTS_NATS=nats://127.0.0.1:4222 cargo bench -p events-log-nats`; the streams `BENCH`, `BENCH_CP` and `BARE` are
//! left behind. Without the variable nothing is measured.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_nats::{Client, HeaderMap};
use bytes::Bytes;
use events_core::{Channel, EventLog as _, Record, UserId};
use events_log_nats::{NatsLog, NatsLogConfig};
use futures_util::StreamExt as _;
use tokio::task::JoinSet;

const N_USERS: u64 = 10_000;
const JSON_BYTES: usize = 512;
const TIME: Duration = Duration::from_secs(4);

type AnyError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let Ok(servers) = std::env::var("EVENTS_NATS") else {
        println!("not measured: EVENTS_NATS names no server");
        return Ok(());
    };
    let client = async_nats::connect(&servers).await?;
    bare_stream(&client).await?;
    let mut config = NatsLogConfig::new(servers);
    config.stream = "BENCH".to_owned();
    config.prefix = "bench".to_owned();
    if let Ok(replicas) = std::env::var("EVENTS_NATS_REPLICAS") {
        config.replicas = replicas.parse()?;
    }
    let log = NatsLog::open(config).await?;
    let mut tail = log.tail();
    let n_heard = Arc::new(AtomicU64::new(0));
    let mut listening = JoinSet::new();
    let heard = Arc::clone(&n_heard);
    listening.spawn(async move {
        while tail.next().await.is_some() {
            heard.fetch_add(1, Relaxed);
        }
    });
    let places = Arc::default();
    for n_lanes in [1, 64, 512] {
        let bare = Bare {
            client: client.clone(),
        };
        report(
            "bare",
            n_lanes,
            &measure(n_lanes, move |lane, n| bare.clone().publish(lane, n)).await,
        );
        let appends = Appends {
            log: log.clone(),
            places: Arc::clone(&places),
        };
        report(
            "log",
            n_lanes,
            &measure(n_lanes, move |lane, n| appends.clone().append(lane, n)).await,
        );
    }
    println!("heard by the tail: {}", n_heard.load(Relaxed));
    for counter in log.counters() {
        println!("{} {}", counter.name, counter.value);
    }
    Ok(())
}

/// Runs so many lanes, each with one append under way, and returns the latencies of all.
async fn measure<F, T>(n_lanes: u64, step: F) -> Vec<Duration>
where
    F: Fn(u64, u64) -> T + Clone + Send + 'static,
    T: Future<Output = Result<(), AnyError>> + Send,
{
    let mut lanes = JoinSet::new();
    let end = Instant::now() + TIME;
    for lane in 0..n_lanes {
        let step = step.clone();
        lanes.spawn(async move {
            let mut times = Vec::new();
            for n in 0.. {
                let begin = Instant::now();
                if begin > end {
                    break;
                }
                if let Err(error) = step(lane, n).await {
                    println!("{error}");
                    break;
                }
                times.push(begin.elapsed());
            }
            times
        });
    }
    let mut all: Vec<Duration> = lanes.join_all().await.into_iter().flatten().collect();
    all.sort_unstable();
    all
}

fn report(what: &str, n_lanes: u64, times: &[Duration]) {
    let at = |part: f64| {
        times
            .get((times.len() as f64 * part) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{what:>5} {n_lanes:>4} under way: {:>8.0}/s, p50 {:>9.2?}, p99 {:>9.2?}",
        times.len() as f64 / TIME.as_secs_f64(),
        at(0.5),
        at(0.99)
    );
}

fn user(lane: u64, n: u64) -> u64 {
    // Each lane has users of its own, and goes round among them.
    (lane * 7 + n * 512) % N_USERS / 512 * 512 + lane
}

/// Appends as a router does: it knows each user's last place.
#[derive(Clone)]
struct Appends {
    log: NatsLog,
    places: Arc<Mutex<HashMap<u64, u64>>>,
}

impl Appends {
    async fn append(self, lane: u64, n: u64) -> Result<(), AnyError> {
        let record = Record {
            channel: Channel::new(0),
            scope: Some("thread".into()),
            name: None,
            json: Bytes::from(vec![b'x'; JSON_BYTES]),
            tag: 1,
            key: None,
            note: Bytes::new(),
        };
        let user = user(lane, n);
        let expected = self
            .places
            .lock()
            .expect("nobody panics")
            .get(&user)
            .copied();
        let id = UserId::new(format!("user{user}"));
        let place = self.log.append(&id, &[record], 0, expected).await?;
        self.places
            .lock()
            .expect("nobody panics")
            .insert(user, place);
        Ok(())
    }
}

#[derive(Clone)]
struct Bare {
    client: Client,
}

impl Bare {
    async fn publish(self, lane: u64, n: u64) -> Result<(), AnyError> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{:032x}", fastrand::u128(..)));
        let subject = format!("bare.{}", user(lane, n));
        let body = Bytes::from(vec![b'x'; JSON_BYTES]);
        let answer = self
            .client
            .request_with_headers(subject, headers, body)
            .await?;
        if answer
            .payload
            .windows(7)
            .any(|window| window == b"\"error\"")
        {
            return Err(String::from_utf8_lossy(&answer.payload).into());
        }
        Ok(())
    }
}

async fn bare_stream(client: &Client) -> Result<(), AnyError> {
    let replicas = std::env::var("EVENTS_NATS_REPLICAS").unwrap_or_else(|_unset| "1".to_owned());
    let settings = format!(
        r#"{{"name":"BARE","subjects":["bare.*"],"storage":"file","retention":"limits","discard":"old",
        "num_replicas":{replicas},"max_msgs_per_subject":2000,"max_msgs":-1,"max_bytes":-1,"max_consumers":-1,
        "max_age":0,"duplicate_window":120000000000}}"#
    );
    let answer = client
        .request("$JS.API.STREAM.CREATE.BARE", settings.into())
        .await?;
    let text = String::from_utf8_lossy(&answer.payload).into_owned();
    if text.contains("\"error\"") {
        Err(text.into())
    } else {
        Ok(())
    }
}
