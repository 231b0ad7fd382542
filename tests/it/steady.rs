//! Users that come, have runs, and go, for a long time: the hub's memory stays flat, and what they took is given back.
//!
//! The short form runs with all other tests and takes seconds; with `EVENTS_SOAK=1` (`cargo xtask soak`) it is half an
//! hour, or `EVENTS_SOAK_MINUTES`. A leak and a connection that stays are planted, to see that they are found.

mod trial;

use std::time::Duration;

use events_tests::rigs;

use trial::{Plant, Trial};

/// Half an hour, if nothing else is said.
const MINUTES: u64 = 30;

fn trial() -> Trial {
    if rigs::is_soak() {
        let minutes = std::env::var("EVENTS_SOAK_MINUTES").ok();
        let minutes = minutes.map_or(MINUTES, |text| match text.parse() {
            Ok(minutes) => minutes,
            Err(_) => panic!("EVENTS_SOAK_MINUTES is '{text}', and should be a number"),
        });
        return Trial {
            time: Duration::from_secs(60 * minutes),
            n_guests: 20,
            n_padding: 100,
            visits: (50, 500),
            wave: Duration::from_secs(60),
            kept_for: Duration::from_secs(60),
            sample_period: Duration::from_secs(1),
            // A mebibyte in ten minutes: nine bytes for each stream that is opened and left. A leak of any object
            // with each of them, of a run or of an event is more; what the allocator keeps between waves is less.
            most_growth: (1 << 20) as f64 / 600.0,
            plant: None,
        };
    }
    short()
}

fn short() -> Trial {
    Trial {
        time: Duration::from_secs(9),
        n_guests: 5,
        n_padding: 100,
        visits: (20, 80),
        wave: Duration::from_secs(2),
        kept_for: Duration::from_secs(1),
        sample_period: Duration::from_millis(50),
        // In seconds a leak shows only if it is large.
        most_growth: (1 << 20) as f64,
        plant: None,
    }
}

/// A shorter trial in which something is wrong. It is short in the long form as well: in seconds memory is not flat.
fn planted(plant: Plant) -> Trial {
    Trial {
        time: Duration::from_secs(3),
        n_padding: if plant == Plant::Leak { 20_000 } else { 10 },
        plant: Some(plant),
        ..short()
    }
}

async fn must_find(plant: Plant, fault: &str, text: &str) {
    let why = planted(plant).run().await;
    let why = why.map(drop).expect_err("the fault is planted");
    rigs::say(&format_args!("planted: {fault} | {why}"));
    assert!(why.contains(text), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_while_users_come_and_go_and_all_is_given_back() {
    let seen = trial().run().await;
    let seen = seen.unwrap_or_else(|why| panic!("{why}"));
    rigs::say(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_keeps_more_and_more_is_found() {
    let fault = "a history without an end";
    must_find(Plant::Leak, fault, "resident memory grows").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_does_not_give_back_what_users_took_is_found() {
    let fault = "a history that outlives its users";
    must_find(Plant::Bytes, fault, "events_log_bytes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_stays_is_found() {
    let fault = "a stream that stays open";
    must_find(Plant::Connection, fault, "events_connections").await;
}
