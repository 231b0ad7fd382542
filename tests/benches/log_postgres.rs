//! Appends to PostgreSQL: how many in a second, and how long one takes, beside what the server does with bare inserts.
//!
//! `cargo bench -p events-tests --bench log_postgres [-- SECONDS WORD]`: five seconds a line by default, and only the
//! lines that have the word. It starts a server
//! of its own, with `fsync` and `synchronous_commit` on, so the disk is measured too; on a busy machine read ratios.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its figures"
)]

use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use events_core::{Channel, EventLog as _, MsgKey, Record, UserId};
use events_log_postgres::{PostgresConfig, PostgresLog};
use events_tests::postgres_server::{self, PostgresServer};
use tokio::task::JoinSet;

const USERS: u64 = 10_000;
/// The size of the rows of the figures that this is compared with.
const BODY_BYTES: usize = 512;

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
    let programs = postgres_server::programs().ok_or("no PostgreSQL is installed")?;
    let settings = ["fsync=on", "max_connections=100", "shared_buffers=256MB"];
    let server = PostgresServer::start(&programs, &settings).await?;
    println!(
        "{:<58}{:>12}{:>10}{:>10}",
        "", "a second", "p50 ms", "p99 ms"
    );
    let limit = Duration::from_secs(seconds);
    let word = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with('-') && word.parse::<u64>().is_err());
    let is_wanted = |name: &str| {
        word.as_ref()
            .is_none_or(|word| name.contains(word.as_str()))
    };
    for clients in [1, 32].into_iter().filter(|_| is_wanted("bare")) {
        bare(&server, "bare insert (bigserial)", SERIAL, clients, seconds).await?;
        bare(
            &server,
            "counter of 10,000 users and insert",
            COUNTER,
            clients,
            seconds,
        )
        .await?;
        bare(
            &server,
            "the same, and pg_notify in the transaction",
            NOTIFYING,
            clients,
            seconds,
        )
        .await?;
    }
    for (name, writers, users, batch, connections) in [
        ("append, many users", 1, USERS, 1, 8),
        ("append, many users, 8 connections", 32, USERS, 1, 8),
        ("append, many users, 32 connections", 32, USERS, 1, 32),
        ("append of 20, many users, 8 connections", 32, USERS, 20, 8),
        ("append, one hot user", 1, 1, 1, 8),
        ("append, one hot user, 8 connections", 32, 1, 1, 8),
        ("append of 20, one hot user", 1, 1, 20, 8),
    ] {
        if !is_wanted(name) {
            continue;
        }
        let mut config = PostgresConfig::new(server.url("postgres"));
        config.max_connections = connections;
        let log = PostgresLog::open(config).await?;
        let log = Load {
            log,
            users,
            batch,
            n: AtomicU64::new(0),
        };
        log.measure(name, writers, limit).await?;
    }
    Ok(())
}

const TABLES: &str = "create table if not exists serial_log (id bigserial primary key, user_id text, body text); \
    create table if not exists counter_head (user_id text primary key, seq bigint) with (fillfactor = 50); \
    create table if not exists counter_log (user_id text, seq bigint, body text, primary key (user_id, seq))";
const SERIAL: &str = "\\set u random(1, 10000)\n\
    insert into serial_log (user_id, body) values ('u' || :u, repeat('x', 512));\n";
const COUNTER: &str = "\\set u random(1, 10000)\n\
    with h as (insert into counter_head values ('u' || :u, 1) on conflict (user_id) do update set seq = counter_head.seq + 1 returning seq) \
    insert into counter_log select 'u' || :u, seq, repeat('x', 512) from h;\n";
const NOTIFYING: &str = "\\set u random(1, 10000)\nbegin;\n\
    with h as (insert into counter_head values ('u' || :u, 1) on conflict (user_id) do update set seq = counter_head.seq + 1 returning seq) \
    insert into counter_log select 'u' || :u, seq, repeat('x', 512) from h;\n\
    select pg_notify('bench', 'u' || :u);\nend;\n";

/// Lets `pgbench` run a script.
async fn bare(
    server: &PostgresServer,
    name: &str,
    script: &str,
    clients: u32,
    seconds: u64,
) -> Outcome<()> {
    server.psql("postgres", TABLES).await?;
    let (clients_word, seconds) = (clients.to_string(), seconds.to_string());
    let words = [
        "-n",
        "-M",
        "prepared",
        "-c",
        &clients_word,
        "-j",
        "2",
        "-T",
        &seconds,
        "-l",
        "--log-prefix=bench",
    ];
    let (output, logs) = server.pgbench(&words, script).await?;
    let tps: f64 = output
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
        .ok_or("pgbench names no tps")?;
    let micros = |line: &str| line.split(' ').nth(2)?.parse().ok();
    let mut times: Vec<u64> = logs.lines().filter_map(micros).collect();
    print(&format!("{name}, {clients} clients"), tps, &mut times);
    Ok(())
}

/// Appends over and over.
struct Load {
    log: PostgresLog,
    users: u64,
    batch: u64,
    n: AtomicU64,
}

impl Load {
    async fn measure(self, name: &str, writers: u64, limit: Duration) -> Outcome<()> {
        let load = Arc::new(self);
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            let load = Arc::clone(&load);
            tasks.spawn(async move {
                let mut times = Vec::new();
                while begin.elapsed() < limit {
                    times.push(load.append().await?);
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(times)
            });
        }
        let mut times = Vec::new();
        while let Some(done) = tasks.join_next().await {
            times.extend(done??);
        }
        let rate = times.len() as f64 / begin.elapsed().as_secs_f64();
        print(&format!("{name}, {writers} writers"), rate, &mut times);
        if load.batch > 1 {
            println!("{:<58}{:>12.0}", "  records", rate * load.batch as f64);
        }
        Ok(())
    }

    /// Appends once and returns how long it took, in microseconds.
    async fn append(&self) -> Outcome<u64> {
        let user = UserId::from(format!("u{}", fastrand::u64(..self.users)));
        let record = || Record {
            channel: Channel::new(0),
            scope: Some("thread-1".into()),
            name: None,
            json: Bytes::from(vec![b'x'; BODY_BYTES]),
            tag: 0,
            key: Some(MsgKey::from_bits(
                u128::from(self.n.fetch_add(1, Ordering::Relaxed)) << 64,
            )),
            note: Bytes::new(),
        };
        let records: Vec<Record> = (0..self.batch).map(|_| record()).collect();
        let begin = Instant::now();
        self.log.append(&user, &records, 0, None).await?;
        Ok(u64::try_from(begin.elapsed().as_micros())?)
    }
}

fn print(name: &str, rate: f64, times: &mut [u64]) {
    times.sort_unstable();
    let at = |part: usize| {
        times
            .get(times.len() * part / 100)
            .map_or(0.0, |micros| *micros as f64 / 1_000.0)
    };
    println!("{name:<58}{rate:>12.0}{:>10.2}{:>10.2}", at(50), at(99));
}
