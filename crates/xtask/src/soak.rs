//! `cargo xtask soak`: the long forms of the trials, one after the other, and what came of each in one line.
//!
//! A rig is a test of `tests/it`. Its short form is what `cargo test` runs; with `EVENTS_SOAK=1` it is the long one, and
//! prints one line that begins with `soak: `. To add one, add it to [`RIGS`].

use std::path::Path;
use std::time::{Duration, Instant};

use crate::command::run_watched;
use crate::packages;
use crate::tally::Tally;

/// What a rig's one line begins with.
const RESULT: &str = "soak: ";

/// A trial with a short and a long form.
#[derive(Debug)]
struct Rig {
    name: &'static str,
    /// What runs it among the integration tests: a part of their names.
    tests: &'static str,
    what: &'static str,
    /// How many of its tests run at a time: one where they measure how soon clients have news again.
    n_threads: usize,
}

const RIGS: [Rig; 15] = [
    Rig {
        name: "disk",
        tests: "log_resume::a_hub_that_is_killed",
        what: "one hub on its disk, killed and paused, 600 clients",
        n_threads: 1,
    },
    Rig {
        name: "nats",
        tests: "log_resume::clients_move_between_hubs_on_nats",
        what: "three hubs on one NATS server, 600 clients",
        n_threads: 1,
    },
    Rig {
        name: "cluster",
        tests: "log_resume::clients_move_between_hubs_on_a_cluster",
        what: "three hubs on three NATS servers, 600 clients",
        n_threads: 1,
    },
    Rig {
        name: "postgres",
        tests: "log_resume::clients_move_between_hubs_on_postgres",
        what: "three hubs on PostgreSQL, 600 clients",
        n_threads: 1,
    },
    Rig {
        name: "kills",
        tests: "log_resume::kills",
        what: "a hub on its disk, killed 100 times while it is published to",
        n_threads: 1,
    },
    Rig {
        name: "outage",
        tests: "log_resume::outage",
        what: "two hubs whose log is away for half a minute",
        n_threads: 1,
    },
    Rig {
        name: "official",
        tests: "log_resume::official",
        what: "official clients at one hub while the other is killed",
        n_threads: 1,
    },
    Rig {
        name: "planted",
        tests: "log_resume::planted log_resume::screens",
        what: "logs that break their promises are found out",
        n_threads: 1,
    },
    Rig {
        name: "drain",
        tests: "drain_storm",
        what: "5,000 streams end over ten seconds and come back to another hub",
        n_threads: 1,
    },
    Rig {
        name: "half-open",
        tests: "half_open",
        what: "clients whose network goes away, with the hub's own time limits",
        n_threads: 1,
    },
    Rig {
        name: "crowds",
        tests: "crowds",
        what: "thousands that connect at once, and readers that stop reading",
        n_threads: 1,
    },
    Rig {
        name: "overload",
        tests: "overload::",
        what: "10,000 stalled readers, a million users, slow heads and garbage beside ordinary streams",
        n_threads: 1,
    },
    Rig {
        name: "steady",
        tests: "steady::",
        what: "users that come and go for half an hour: memory stays flat, and all is given back",
        n_threads: 1,
    },
    Rig {
        name: "model",
        tests: "resume_model",
        what: "drawn stories of readers, cuts and outages against a list per user",
        n_threads: 1,
    },
    Rig {
        name: "fuzz",
        tests: "fuzz::",
        what: "what reads from outside gets inputs that are nearly right",
        n_threads: 2,
    },
];

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SoakRequest {
    /// Names of rigs; all where there is none.
    pub(crate) only: Vec<&'static str>,
    /// How long each trial with faults publishes, with 20 faults a minute, and how long the steady one lasts; the tests'
    /// own minute, or half hour, where there is none.
    pub(crate) minutes: Option<u32>,
    /// From which everything is drawn; the tests' own where there is none.
    pub(crate) seed: Option<u64>,
    pub(crate) is_debug: bool,
}

impl SoakRequest {
    const MAX_MINUTES: u32 = 24 * 60;

    /// Reads the words after `soak`; the error is one line for the user.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut request = Self::default();
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) => (option, Some(value)),
                None => (word, None),
            };
            if option == "--debug" && value.is_none() {
                request.is_debug = true;
                continue;
            }
            if !["--engine", "--only", "--minutes", "--seed"].contains(&option) {
                return Err(format!("unknown option '{word}'"));
            }
            let value = value.or_else(|| words.next());
            let value = value.ok_or_else(|| format!("{option} needs a value"))?;
            match option {
                "--minutes" => {
                    let minutes = value.parse().ok();
                    let minutes = minutes.filter(|n| (1..=Self::MAX_MINUTES).contains(n));
                    let wrong = || format!("--minutes is 1 to {}", Self::MAX_MINUTES);
                    request.minutes = Some(minutes.ok_or_else(wrong)?);
                }
                "--seed" => {
                    let seed = value.parse().map_err(|_| "--seed is a whole number")?;
                    request.seed = Some(seed);
                }
                _ => request.only.push(known(value)?),
            }
        }
        Ok(request)
    }

    fn rigs(&self) -> impl Iterator<Item = &'static Rig> {
        let is_meant = |rig: &&Rig| self.only.is_empty() || self.only.contains(&rig.name);
        RIGS.iter().filter(is_meant)
    }
}

fn known(name: &str) -> Result<&'static str, String> {
    let found = RIGS.iter().find(|rig| rig.name == name);
    found.map(|rig| rig.name).ok_or_else(|| {
        let names: Vec<&str> = RIGS.iter().map(|rig| rig.name).collect();
        format!("unknown rig '{name}'; there are {}", names.join(", "))
    })
}

/// What came of a rig.
struct Outcome {
    rig: &'static Rig,
    took: Duration,
    results: Vec<String>,
    failure: Option<String>,
}

/// Runs the rigs, each to its end whatever came of the one before, and prints the table.
///
/// # Errors
///
/// One line that names the rigs that failed.
pub(crate) fn run(root: &Path, request: &SoakRequest) -> Result<(), String> {
    packages::set_up(root)?;
    let outcomes: Vec<Outcome> = request
        .rigs()
        .map(|rig| {
            println!("== {}: {}", rig.name, rig.what);
            run_rig(root, request, rig)
        })
        .collect();
    println!("\n{:<10}{:>9}  {:<8}result", "rig", "time", "");
    for outcome in &outcomes {
        let verdict = if outcome.failure.is_none() {
            "ok"
        } else {
            "FAILED"
        };
        let (name, seconds) = (outcome.rig.name, outcome.took.as_secs_f64());
        let mut lines = outcome.results.iter().chain(&outcome.failure);
        let first = lines.next().map_or(outcome.rig.what, String::as_str);
        println!("{name:<10}{seconds:>7.1} s  {verdict:<8}{first}");
        for line in lines {
            println!("{:<29}{line}", "");
        }
    }
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some());
    let failed: Vec<&str> = failed.map(|outcome| outcome.rig.name).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("failed: {}", failed.join(", ")))
}

fn run_rig(root: &Path, request: &SoakRequest, rig: &'static Rig) -> Outcome {
    let (minutes, seed) = (
        request.minutes.map(|minutes| minutes.to_string()),
        request.seed.map(|seed| seed.to_string()),
    );
    // Everything a test may look for has to be there: a missing engine is a failure.
    let mut environment = vec![
        ("EVENTS_REQUIRE_ALL", "1"),
        ("EVENTS_SOAK", "1"),
        ("EVENTS_FUZZ_SECONDS", "600"),
        ("EVENTS_MODEL_CASES", "20000"),
    ];
    environment.extend(minutes.as_deref().map(|text| ("EVENTS_SOAK_MINUTES", text)));
    environment.extend(seed.as_deref().map(|text| ("EVENTS_SEED", text)));
    let profile = if request.is_debug { "" } else { " --release" };
    let line = format!(
        "cargo test{profile} --package events-tests --test it -- --nocapture --test-threads={} {}",
        rig.n_threads, rig.tests
    );
    let (begun_at, mut tally, mut results) = (Instant::now(), Tally::default(), Vec::new());
    let ended = run_watched(root, &environment, &line, |line| {
        tally.read(line);
        // The harness has begun the line when the test is the first to write.
        if let Some((_, result)) = line.split_once(RESULT) {
            results.push(result.to_owned());
        }
    });
    let mut failure = ended.err();
    // A run of no test at all is a broken run, not a green one.
    if failure.is_none() && tally.n_passed == 0 {
        failure = Some("no test was run".to_owned());
    }
    Outcome {
        rig,
        took: begun_at.elapsed(),
        results,
        failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_adjusted() {
        let words = [
            "--engine",
            "nats",
            "--only=kills",
            "--minutes",
            "3",
            "--seed=7",
        ];
        let request = SoakRequest::parse(&words).unwrap();
        let expected = SoakRequest {
            only: vec!["nats", "kills"],
            minutes: Some(3),
            seed: Some(7),
            is_debug: false,
        };
        assert_eq!(request, expected);
        let names: Vec<&str> = request.rigs().map(|rig| rig.name).collect();
        assert_eq!(names, ["nats", "kills"]);
        assert_eq!(SoakRequest::default().rigs().count(), RIGS.len());
    }

    #[test]
    fn mistakes_are_named() {
        for (words, text) in [
            (&["--minutes", "0"][..], "--minutes is 1 to 1440"),
            (&["--seed", "x"], "--seed is a whole number"),
            (&["--seed"], "--seed needs a value"),
            (&["--fast"], "unknown option '--fast'"),
        ] {
            assert_eq!(SoakRequest::parse(words), Err(text.to_owned()));
        }
        let unknown = SoakRequest::parse(&["--only", "redis"]).unwrap_err();
        assert!(unknown.starts_with("unknown rig 'redis'; there are disk, nats"));
    }
}
