//! A hub on each log, end to end over sockets: how long a token takes from the publisher to the screen, and what events
//! of 64 users cost beside a bare client of the same engine in the same run.
//!
//! `cargo bench -p events-tests --bench log_hub [-- SECONDS WORD]`: three rounds of so many seconds for each line, three
//! by default, and only the logs whose name has the word. The lines take turns. A line says how many events were
//! acknowledged in a second; how many in a second of a processor that the publishing process took (the hub, or the bare
//! client), and in one that this process and the engine took together; and what part of the bare client's that is.
//!
//! With `EVENTS_BIN` and `EVENTS_BARE_CLIENT`, paths of programs, nothing is built.
//!
//! Events come in three ways: one and then its answer, one after the other with at most 20 of a user under way (tokens
//! of a model come so), and 20 in a message. Both sides have as many under way (but for `pgbench`, which waits), write as
//! many bytes for an event and keep them as durably. The bare clients are the driver's own requests for NATS
//! (`bare_client`), and `pgbench` with a counter and an insert for PostgreSQL.
//! The hub does more: HTTP, validation, order, ids, what its replica hears of its own appends, and, with a screen for
//! each user, writing every event once more. PostgreSQL runs with `fsync` off here, so it is the work that is measured
//! and not the disk; all processes share the machine, so its rates by the clock say little.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::print_stderr, reason = "errors go to standard error")]

mod cost;
mod load;

use std::{
    error::Error,
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use cost::Cost;
use events_tests::{
    deadline::PATIENCE,
    raw_client::{LivePost, RawSse},
    resume::{Engine, EngineKind, hubs::Hubs},
    server_process,
};
use load::Load;
use serde_json::json;
use tokio::time::MissedTickBehavior;

const ROUNDS: usize = 3;
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
        .and_then(|runtime| runtime.block_on(run(seconds.unwrap_or(3))));
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
    let word = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with('-') && word.parse::<u64>().is_err());
    let is_wanted = |name: &str| {
        word.as_ref()
            .is_none_or(|word| name.contains(word.as_str()))
    };
    let what = ["--package", "events-log-nats", "--example", "bare_client"];
    let bare_client = match std::env::var_os("EVENTS_BARE_CLIENT") {
        Some(path) => path.into(),
        None => server_process::build(&what, "examples/bare_client").await?,
    };
    if is_wanted("memory") {
        let hubs = Hubs::start(vec![Vec::new()]).await?;
        measure("memory", &hubs, None, &bare_client, limit).await?;
    }
    for (name, kind) in [
        ("disk", EngineKind::Disk),
        ("nats", EngineKind::Nats { n_servers: 1 }),
        ("postgres", EngineKind::Postgres),
    ] {
        if !is_wanted(name) {
            continue;
        }
        let Some(engine) = Engine::start("log_hub", kind, 0).await? else {
            continue;
        };
        let hubs = Hubs::start(vec![engine.arguments(0)]).await?;
        measure(name, &hubs, Some(&engine), &bare_client, limit).await?;
    }
    Ok(())
}

async fn measure(
    name: &str,
    hubs: &Hubs,
    engine: Option<&Engine>,
    bare_client: &Path,
    limit: Duration,
) -> Outcome<()> {
    println!("{name}");
    let mut times = latencies(hubs.board().address(0), limit).await?;
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or(0);
    println!(
        "  a token to the screen, {} tokens: {:.2} ms p50, {:.2} ms p99",
        times.len(),
        at(50) as f64 / 1_000.0,
        at(99) as f64 / 1_000.0
    );
    for load in Load::ALL {
        let (mut bare, mut alone, mut with_readers) =
            (Cost::default(), Cost::default(), Cost::default());
        let mut has_bare = false;
        for _ in 0..ROUNDS {
            if let Some(engine) = engine
                && let Some(cost) = cost::of_bare(engine, bare_client, limit, load).await?
            {
                has_bare = true;
                bare.add(cost);
            }
            alone.add(cost::of_hub(hubs, engine, limit, load, false).await?);
            with_readers.add(cost::of_hub(hubs, engine, limit, load, true).await?);
        }
        println!(
            "  {:<26}{:>10}{:>16}{:>9}{:>16}{:>9}",
            load.text(),
            "a second",
            "a CPU s alone",
            "of bare",
            "with engine",
            "of bare"
        );
        let bare = has_bare.then_some(bare);
        for (what, cost) in [
            ("bare client", bare),
            ("hub", Some(alone)),
            ("hub, 64 screens", Some(with_readers)),
        ] {
            if let Some(cost) = cost {
                print(what, &cost, bare.as_ref());
            }
        }
    }
    Ok(())
}

fn print(what: &str, cost: &Cost, bare: Option<&Cost>) {
    let part = |own: f64, bare: Option<f64>| {
        bare.map_or(String::new(), |bare| format!("{:.2}", own / bare))
    };
    println!(
        "    {what:<24}{:>10.0}{:>16.0}{:>9}{:>16.0}{:>9}",
        cost.per_second(),
        cost.alone(),
        part(cost.alone(), bare.map(Cost::alone)),
        cost.with_engine(),
        part(cost.with_engine(), bare.map(Cost::with_engine)),
    );
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
