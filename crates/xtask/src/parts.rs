//! The parts of a full run, in the order in which they are cheapest to fail.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::command::{find, run, run_watched};
use crate::packages;
use crate::tally::Tally;

/// One part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Setup,
    Fmt,
    Clippy,
    Doc,
    Unit,
    Integration,
    Tests,
    Fuzz,
    Deny,
    /// Each crate is packaged and built from its package.
    Packages,
}

/// How long each function is fuzzed in the part of that name, unless `EVENTS_FUZZ_SECONDS` says otherwise.
const FUZZ_SECONDS: &str = "60";

impl Part {
    /// What `cargo xtask test` runs. `Unit` and `Integration` are halves of `Tests`; `Packages` takes many minutes.
    pub(crate) const ALL: [Self; 7] = [
        Self::Setup,
        Self::Fmt,
        Self::Clippy,
        Self::Doc,
        Self::Tests,
        Self::Fuzz,
        Self::Deny,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Unit => "unit",
            Self::Integration => "it",
            Self::Tests => "tests",
            Self::Fuzz => "fuzz",
            Self::Deny => "deny",
            Self::Packages => "packages",
        }
    }

    fn run(self, root: &Path, tally: &mut Tally) -> Result<Outcome, String> {
        const STRICT_DOCS: [(&str, &str); 1] = [("RUSTDOCFLAGS", "-D warnings")];
        // Everything a test may look for has to be there: a missing engine is a failure.
        let required = [("EVENTS_REQUIRE_ALL", "1")];
        let done = match self {
            Self::Setup => packages::set_up(root),
            Self::Fmt => run(root, &[], "cargo fmt --all --check"),
            Self::Clippy => run(
                root,
                &[],
                "cargo clippy --workspace --all-targets -- -D warnings",
            ),
            Self::Doc => run(root, &STRICT_DOCS, "cargo doc --workspace --no-deps"),
            Self::Unit => {
                let words = "cargo test --workspace --exclude events-tests";
                run_watched(root, &[], words, |line| tally.read(line))
            }
            Self::Integration => {
                let words = "cargo test --package events-tests";
                run_watched(root, &required, words, |line| tally.read(line))
            }
            Self::Tests => {
                let words = "cargo test --workspace";
                run_watched(root, &required, words, |line| tally.read(line))
            }
            Self::Packages => run(
                root,
                &[],
                "cargo package --workspace --exclude xtask --exclude events-tests --allow-dirty",
            ),
            Self::Fuzz => {
                let seconds = std::env::var("EVENTS_FUZZ_SECONDS");
                let seconds = seconds.as_deref().unwrap_or(FUZZ_SECONDS);
                // A part of its own: it burns all processors, which tests that measure time would feel. The whole
                // workspace is named so that nothing is built once more with other features.
                let words = "cargo test --workspace --test it -- fuzz::";
                let environment = [("EVENTS_FUZZ_SECONDS", seconds)];
                // Each of them was counted among the tests, where it ran for a second.
                let mut own = Tally::default();
                match run_watched(root, &environment, words, |line| own.read(line)) {
                    Ok(()) if own.n_passed == 0 => Err("no test was run".to_owned()),
                    ended => ended,
                }
            }
            Self::Deny if !has_cargo_deny() => {
                println!("cargo-deny is not installed (cargo install --locked cargo-deny)");
                return Ok(Outcome::NotRun);
            }
            Self::Deny => run(
                root,
                &[],
                "cargo deny check -A unused-wrapper bans licenses sources",
            ),
        };
        done.map(|()| Outcome::Passed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    NotRun,
}

/// Runs the parts in order, up to the first that fails, and prints how long each took.
///
/// # Errors
///
/// One line that names the part that failed and why.
pub(crate) fn run_all(root: &Path, parts: &[Part]) -> Result<(), String> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let mut times: Vec<(Part, Duration, &str)> = Vec::new();
    let mut failure = None;
    for part in parts {
        println!("== {}", part.name());
        let part_started = Instant::now();
        let outcome = part.run(root, &mut tally);
        let verdict = match &outcome {
            Ok(Outcome::Passed) => "ok",
            Ok(Outcome::NotRun) => "not run",
            Err(_) => "FAILED",
        };
        times.push((*part, part_started.elapsed(), verdict));
        if let Err(why) = outcome {
            failure = Some(format!("{} failed: {why}", part.name()));
            break;
        }
    }
    println!();
    for (part, time, verdict) in times {
        println!("{:<8}{:>8.1} s  {verdict}", part.name(), time.as_secs_f64());
    }
    println!("{:<8}{:>8.1} s", "total", started.elapsed().as_secs_f64());
    let is_test = |part: &Part| matches!(part, Part::Unit | Part::Integration | Part::Tests);
    let has_tests = parts.iter().any(is_test);
    if has_tests {
        // A run of no test at all is a broken run, not a green one (invariant 2).
        if failure.is_none() && tally.n_passed == 0 {
            failure = Some("no test was run".to_owned());
        }
        println!("{tally}");
    }
    failure.map_or(Ok(()), Err)
}

fn has_cargo_deny() -> bool {
    find("cargo-deny").is_some()
        || std::env::var_os("CARGO_HOME")
            .is_some_and(|home| Path::new(&home).join("bin/cargo-deny").is_file())
}
