//! Does for the workspace what a person would otherwise do by hand: `cargo xtask test`.
//!
//! ```text
//! cargo xtask test                 set up what the tests need, then run everything
//! cargo xtask test --only lint     one part (repeatable)
//! cargo xtask setup                only the set-up
//! cargo xtask soak                 the long trials of resuming after faults
//! cargo xtask bench                our hub beside other servers, under the same load
//! cargo xtask dist                 an archive to install, and its checksum
//! ```
//!
//! It stops at the first part that fails, with one line that says which and why.
//!
//! # What this crate does not do
//!
//! It contains no test and no check of its own: each part is a command that can be run by hand,
//! and is printed before it runs. The servers that `bench` compares are in `tests/benches/servers`,
//! and the load is `events bench`.
//!
//! # Invariants
//!
//! 1. Nothing is written outside `target/`, except a system package that a test needs, and where `dist` is told to.
//! 2. A part that could not run is never counted as passed.
#![expect(clippy::print_stdout, reason = "a command-line program prints")]
#![expect(clippy::print_stderr, reason = "errors go to standard error")]

mod args;
mod bench;
mod build;
mod command;
mod dist;
mod packages;
mod parts;
mod soak;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;

use args::Request;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let request = match args::parse(&words) {
        Ok(request) => request,
        Err(message) => {
            eprintln!("error: {message}");
            eprintln!("{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let outcome = match request {
        Request::Help => {
            println!("{}", args::USAGE);
            Ok(())
        }
        Request::Run(parts) => parts::run_all(&root(), &parts),
        Request::Soak(request) => soak::run(&root(), &request),
        Request::Bench(request) => bench::run(&root(), &request),
        Request::Dist(request) => dist::run(&root(), &request),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the workspace's root folder.
fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .canonicalize()
        .unwrap_or_else(|_| PathBuf::from("."))
}
