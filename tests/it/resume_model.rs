//! The promise of resume against a model, through the public surface: routers on one log, readers that come and go
//! with good and bad cursors, publishers that try again, and a log that fails in every way that it may.
//!
//! The model is a list of events for each user. Each reader, over all its connections, has every event once and in
//! order, or was told of a gap; and it is told of one exactly when what it lacks is gone, or its cursor means nothing.
//!
//! `EVENTS_MODEL_CASES` says how many stories are tried in memory and on the log that fails; real engines get a
//! hundredth.

mod client;
mod engines;
mod fickle;
mod publisher;
mod step;
mod world;

use std::time::Instant;

use events_tests::rigs;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use step::{Step, steps};
use world::{Plant, Setting, World};

/// Stories for a plain `cargo test`.
const FEW: u32 = 300;
/// Stories for `cargo xtask soak`.
const MANY: u32 = 100_000;

fn n_cases() -> u32 {
    let cases = std::env::var("EVENTS_MODEL_CASES").ok();
    let default = if rigs::is_soak() { MANY } else { FEW };
    cases.map_or(default, |text| {
        text.parse().expect("EVENTS_MODEL_CASES is a number")
    })
}

/// From which stories are drawn: the same on every machine, so that a change is what makes one fail.
fn seed() -> RngSeed {
    let seed = std::env::var("EVENTS_SEED").ok();
    RngSeed::Fixed(seed.map_or(20_261_122, |text| {
        text.parse().expect("EVENTS_SEED is a number")
    }))
}

fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// Tells stories until one goes wrong; returns how many were told, and the shortest that does.
fn search(
    setting: Setting,
    plant: Option<Plant>,
    cases: u32,
) -> (u32, Result<(), (String, Vec<Step>)>) {
    let runtime = paused();
    let mut n_told = 0;
    let mut has_failed = false;
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        max_shrink_iters: 2_000,
        source_file: Some(file!()),
        rng_seed: seed(),
        failure_persistence: match plant {
            None => ProptestConfig::default().failure_persistence,
            Some(_) => None,
        },
        ..ProptestConfig::default()
    });
    let counts = std::cell::RefCell::new((&mut n_told, &mut has_failed));
    let outcome = runner.run(&steps(setting.has_moods()), |steps| {
        let told = runtime.block_on(World::new(setting, plant).run(&steps));
        let mut counts = counts.borrow_mut();
        if !*counts.1 {
            *counts.0 += 1;
            *counts.1 = told.is_err();
        }
        told.map_err(TestCaseError::fail)
    });
    let outcome = outcome.map_err(|error| match error {
        TestError::Fail(why, steps) => (why.to_string(), steps),
        TestError::Abort(why) => (why.to_string(), Vec::new()),
    });
    (n_told, outcome)
}

fn must_hold(name: &str, setting: Setting) {
    let started = Instant::now();
    let (n_told, outcome) = search(setting, None, n_cases());
    let n_findings = usize::from(outcome.is_err());
    rigs::say(&format_args!(
        "model of resume, {name} | {n_told} cases | {:.1} s | {n_findings} findings",
        started.elapsed().as_secs_f64()
    ));
    if let Err((why, steps)) = outcome {
        panic!("{why}\n{steps:#?}");
    }
}

fn must_be_found(plant: Plant) {
    let started = Instant::now();
    let setting = plant.setting();
    let (n_told, outcome) = search(setting, Some(plant), 5_000);
    let (_, steps) = outcome.expect_err("the fault is planted");
    rigs::say(&format_args!(
        "planted: {plant:?} | found by case {n_told} | {:.1} s | in {} steps",
        started.elapsed().as_secs_f64(),
        steps.len()
    ));
}

#[test]
fn readers_of_a_log_in_memory_miss_nothing_without_being_told() {
    must_hold("memory", Setting::Memory);
}

#[test]
fn readers_of_replicas_on_a_log_that_fails_miss_nothing() {
    must_hold("a log that fails", Setting::Fickle);
}

#[test]
fn a_position_that_is_off_by_one_is_found() {
    must_be_found(Plant::OffByOne);
}

#[test]
fn a_cursor_that_is_not_read_back_from_is_found() {
    must_be_found(Plant::NoReadBack);
}

#[test]
fn an_event_that_is_handed_out_at_its_origin_too_is_found() {
    must_be_found(Plant::AtOrigin);
}

#[test]
fn a_log_that_forgets_message_ids_is_found() {
    must_be_found(Plant::ForgetsKeys);
}

#[test]
fn a_log_that_does_not_compare_the_last_place_is_found() {
    must_be_found(Plant::IgnoresExpected);
}

#[test]
fn a_log_that_acknowledges_what_it_did_not_take_is_found() {
    must_be_found(Plant::LosesAcked);
}

#[test]
fn a_tail_that_leaves_something_out_is_found() {
    must_be_found(Plant::TailLeavesOut);
}

#[test]
fn a_gap_that_is_not_told_is_found() {
    must_be_found(Plant::SilentGap);
}
