//! The log in NATS JetStream keeps every promise, on one server and on a cluster of three.

mod access;
mod bounds;
mod engine;
mod faults;
mod samples;
mod went_back;

use engine::{Away, Nats};
use events_tests::conformance;

async fn check(test: &str, n_servers: usize, away: Away) {
    let Some(nats) = Nats::start(test, n_servers, away).await else {
        return;
    };
    let report = conformance::report(&nats, |_| true).await;
    assert!(report.broken.is_empty(), "{report}");
    // What a stream has no bound for; everything else is tested.
    let not_there: Vec<&str> = report.not_there.iter().map(|(name, _)| *name).collect();
    assert_eq!(not_there, ["retention::bytes"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_one_server_that_is_killed_keeps_every_promise() {
    check("log_nats", 1, Away::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_three_servers_that_stop_keeps_every_promise() {
    check("log_nats", 3, Away::Stopped).await;
}
