//! Clients that come back to any replica, after any fault, have every event once and in order.
//!
//! The short form runs with all other tests; with `EVENTS_SOAK=1` (`cargo xtask soak`) it is the long one, and prints
//! its tables.

mod kills;
mod official;
mod outage;
mod planted;
mod screens;

use std::io;
use std::time::Duration;

use events_tests::resume::{EngineKind, Plan};

/// Everything of a trial is drawn from this number; the variable has another one.
const SEED: u64 = 20_261_121;

fn is_soak() -> bool {
    std::env::var_os("EVENTS_SOAK").is_some_and(|value| value == "1")
}

fn seed() -> u64 {
    let seed = std::env::var("EVENTS_SEED").ok();
    seed.map_or(SEED, |text| text.parse().expect("EVENTS_SEED is a number"))
}

/// How many minutes a trial with faults publishes in its long form.
fn minutes() -> u32 {
    let minutes = std::env::var("EVENTS_SOAK_MINUTES").ok();
    let read = |text: String| text.parse().expect("EVENTS_SOAK_MINUTES is a number");
    minutes.map_or(1, read)
}

/// Prints what came of a trial in one line, which `cargo xtask soak` puts into its table.
fn say(result: std::fmt::Arguments<'_>) {
    if is_soak() {
        println!("soak: {result}");
    }
}

async fn rest(time: Duration) {
    let _elapsed = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// The plan for a log, short or long.
fn plan(engine: EngineKind, n_hubs: usize) -> Plan {
    let seed = seed();
    if is_soak() {
        return Plan {
            engine,
            n_hubs: if n_hubs == 1 { 1 } else { 3 },
            n_users: 200,
            n_clients: 600,
            n_faults: 20 * minutes() as usize,
            time: Duration::from_secs(60) * minutes(),
            period: Duration::from_secs(1),
            stay_ms: 3_000..15_000,
            recovery: Duration::from_secs(5),
            seed,
        };
    }
    Plan {
        engine,
        n_hubs,
        n_users: 20,
        n_clients: 60,
        n_faults: 6,
        time: Duration::from_secs(10),
        period: Duration::from_millis(250),
        stay_ms: 300..2_500,
        // Other tests have the machine as well.
        recovery: Duration::from_secs(20),
        seed,
    }
}

async fn run(test: &str, plan: Plan) -> io::Result<()> {
    let Some(report) = plan.run(test).await? else {
        return Ok(());
    };
    println!("{report}");
    say(format_args!("{}", report.line()));
    assert!(report.findings.is_empty(), "{report}");
    assert!(report.n_acked > 200, "too little was published: {report}");
    assert!(report.n_delivered >= 2 * report.n_acked, "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_keeps_its_promises_by_its_disk() -> io::Result<()> {
    run("log_resume_disk", plan(EngineKind::Disk, 1)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_move_between_hubs_on_nats_whatever_fails() -> io::Result<()> {
    run(
        "log_resume_nats",
        plan(EngineKind::Nats { n_servers: 1 }, 2),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_move_between_hubs_on_postgres_whatever_fails() -> io::Result<()> {
    run("log_resume_postgres", plan(EngineKind::Postgres, 2)).await
}

/// Only in the long form: three more processes are much for a machine that runs other tests too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_move_between_hubs_on_a_cluster_of_nats_whatever_fails() -> io::Result<()> {
    if !is_soak() {
        return Ok(());
    }
    run(
        "log_resume_cluster",
        plan(EngineKind::Nats { n_servers: 3 }, 3),
    )
    .await
}
