//! A hub on each log, end to end over sockets: how long a token takes from the publisher to the screen, and how many
//! events 64 users get acknowledged in a second, beside a bare client of the same engine in the same run.
//!
//! `cargo bench -p events-tests --bench log_hub [-- SECONDS]`, five seconds a line by default. PostgreSQL runs with
//! `fsync` off here, so it is the work that is measured and not the disk; on a busy machine read ratios.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::print_stderr, reason = "errors go to standard error")]

use std::{
    error::Error,
    io,
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use events_tests::{
    deadline::PATIENCE,
    raw_client::{LivePost, RawSse, Request},
    resume::{Engine, EngineKind, hubs::Hubs},
};
use serde_json::json;
use tokio::{task::JoinSet, time::MissedTickBehavior};

const USERS: usize = 64;
const BATCH: usize = 20;
/// Tokens a second of the one stream whose latency is measured.
const TOKENS: u64 = 100;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let seconds = std::env::args()
        .filter_map(|word| word.parse().ok())
        .next_back();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(seconds.unwrap_or(5))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(seconds: u64) -> Outcome<()> {
    let limit = Duration::from_secs(seconds);
    let memory = Hubs::start(vec![Vec::new()]).await?;
    measure("memory", memory.board().address(0), limit).await?;
    drop(memory);
    for kind in [
        EngineKind::Disk,
        EngineKind::Nats { n_servers: 1 },
        EngineKind::Postgres,
    ] {
        let Some(engine) = Engine::start("log_hub", kind, 0).await? else {
            continue;
        };
        let hubs = Hubs::start(vec![engine.arguments(0)]).await?;
        measure(&format!("{kind:?}"), hubs.board().address(0), limit).await?;
        if let Some(rate) = engine.bare(USERS, seconds).await? {
            println!(
                "{:<44}{rate:>10.0} a second",
                "  the engine's bare client, 64 at once"
            );
        }
    }
    Ok(())
}

async fn measure(name: &str, hub: SocketAddr, limit: Duration) -> Outcome<()> {
    println!("{name}");
    let mut times = latencies(hub, limit).await?;
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or(0);
    let text = format!("  a token to the screen, {} tokens", times.len());
    println!(
        "{text:<44}{:>10.2} ms p50 {:>8.2} ms p99",
        at(50) as f64 / 1_000.0,
        at(99) as f64 / 1_000.0
    );
    for is_live in [true, false] {
        let rate = throughput(hub, limit, is_live).await?;
        let how = if is_live {
            "one at a time".to_owned()
        } else {
            format!("in batches of {BATCH}")
        };
        let text = format!("  events of {USERS} users, {how}");
        println!("{text:<44}{rate:>10.0} a second");
    }
    Ok(())
}

/// Streams tokens to a user with one screen; microseconds from before a line is written to its frame.
async fn latencies(hub: SocketAddr, limit: Duration) -> Outcome<Vec<u128>> {
    let mut screen = RawSse::connect(hub, "/agui?user=ada", &[]).await?;
    screen
        .read_until(PATIENCE, |frame| frame.id.is_some())
        .await?;
    let mut post = LivePost::open(hub, "/publish/agui/ada/live?user=ada&thread=t", &[]).await?;
    for event in [
        json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"}),
        json!({"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"}),
    ] {
        post.send_line(&event.to_string()).await?;
        screen.next_event(PATIENCE).await?;
    }
    let (mut times, begin) = (Vec::new(), Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / TOKENS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begin.elapsed() < limit {
        ticks.tick().await;
        let token = json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "token "});
        let sent_at = Instant::now();
        post.send_line(&token.to_string()).await?;
        screen.next_event(PATIENCE).await?;
        times.push(sent_at.elapsed().as_micros());
    }
    Ok(times)
}

/// Publishes for all users at once; acknowledged events a second.
async fn throughput(hub: SocketAddr, limit: Duration, is_live: bool) -> Outcome<f64> {
    let (mut publishers, begin) = (JoinSet::new(), Instant::now());
    for at in 0..USERS {
        publishers.spawn(async move {
            if is_live {
                live(hub, at, limit).await
            } else {
                batches(hub, at, limit).await
            }
        });
    }
    let mut n_acked = 0;
    while let Some(done) = publishers.join_next().await {
        n_acked += done??;
    }
    Ok(n_acked as f64 / begin.elapsed().as_secs_f64())
}

fn event(at: usize) -> String {
    let name = format!("{at} {}", "x".repeat(440));
    json!({"type": "CONTEXT_UPDATED", "timestamp": 1, "contextId": "c", "name": name}).to_string()
}

/// Publishes line by line, each after the answer to the one before.
async fn live(hub: SocketAddr, at: usize, limit: Duration) -> io::Result<usize> {
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

/// Publishes in batches, each by a request of its own.
async fn batches(hub: SocketAddr, at: usize, limit: Duration) -> io::Result<usize> {
    let path = format!("/publish/system/u{at}?user=u{at}");
    let body = vec![event(at); BATCH].join("\n");
    let request = Request::post(&path, "application/x-ndjson", body);
    let (begin, mut n) = (Instant::now(), 0);
    while begin.elapsed() < limit {
        let answer = request.send(hub).await?;
        if answer.status() != 200 {
            return Err(io::Error::other(answer.text()));
        }
        n += BATCH;
    }
    Ok(n)
}
