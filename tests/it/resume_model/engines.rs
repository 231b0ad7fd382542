//! The same stories on real logs, in real time; what fails there is tried in `log_resume`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use events_core::EventLog;
use events_log_disk::{DiskConfig, DiskLog};
use events_log_nats::{NatsLog, NatsLogConfig};
use events_log_postgres::{PostgresConfig, PostgresLog};
use events_tests::nats_server::NatsServers;
use events_tests::postgres_server::{self, PostgresServer};
use events_tests::{rigs, skip};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::{Builder, Runtime};

use super::step::steps;
use super::world::World;

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn must_hold(name: &str, runtime: &Runtime, log: &Arc<dyn EventLog>) {
    let started = Instant::now();
    let mut n_told = 0;
    let mut runner = TestRunner::new(ProptestConfig {
        cases: (super::n_cases() / 100).max(20),
        max_shrink_iters: 200,
        source_file: Some(file!()),
        rng_seed: super::seed(),
        ..ProptestConfig::default()
    });
    let n_stories = std::cell::Cell::new(0);
    let outcome = runner.run(&steps(false), |steps| {
        n_stories.set(n_stories.get() + 1);
        let world = World::on_engine(Arc::clone(log), &format!("story-{}-", n_stories.get()));
        let told = runtime.block_on(world.run(&steps));
        told.map_err(TestCaseError::fail)
    });
    n_told += n_stories.get();
    let n_findings = usize::from(outcome.is_err());
    rigs::say(&format_args!(
        "model of resume, {name} | {n_told} cases | {:.1} s | {n_findings} findings",
        started.elapsed().as_secs_f64()
    ));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn readers_of_a_log_on_disk_miss_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = DiskConfig::new(folder.path().join("log"));
    config.max_age = Duration::from_secs(24 * 3_600);
    let runtime = runtime();
    let log = runtime.block_on(async { DiskLog::open(config) });
    let log: Arc<dyn EventLog> = Arc::new(log.expect("a log on disk"));
    must_hold("disk", &runtime, &log);
}

#[test]
fn readers_of_a_log_in_nats_miss_nothing() {
    let runtime = runtime();
    let Some(servers) = runtime.block_on(NatsServers::start("resume_model_nats", 1)) else {
        return;
    };
    let mut config = NatsLogConfig::new(servers.url());
    config.max_appends_per_user = 100_000;
    let log = runtime.block_on(NatsLog::open(config));
    let log: Arc<dyn EventLog> = Arc::new(log.unwrap_or_else(|error| panic!("{error}")));
    must_hold("NATS", &runtime, &log);
}

#[test]
fn readers_of_a_log_in_postgres_miss_nothing() {
    let programs = postgres_server::programs();
    let Some(programs) = skip::require("resume_model_postgres", "PostgreSQL", programs) else {
        return;
    };
    let runtime = runtime();
    let server = runtime
        .block_on(PostgresServer::start(&programs, &[]))
        .expect("a server");
    let mut config = PostgresConfig::new(server.url("postgres"));
    config.poll = Duration::from_millis(500);
    let log = runtime.block_on(PostgresLog::open(config)).expect("a log");
    must_hold(
        "PostgreSQL",
        &runtime,
        &(Arc::new(log) as Arc<dyn EventLog>),
    );
}
