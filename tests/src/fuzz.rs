//! Fuzzing on stable Rust: a plain function, examples of its input, and inputs made of them that are nearly right.
//!
//! What is changed is mostly structure, not bytes: a member of a JSON object, a line of a stream, a text that means
//! something elsewhere. Generators of random bytes seldom get behind the first brace, and what follows coverage needs a
//! compiler that we do not ask for; so the mutations are our own.
//!
//! A check says what is wrong as text, or panics, which is a finding as well. A finding is made small, written beside
//! the build's other files, and belongs into `tests/fixtures/fuzz/NAME`, whence every later run takes it first.

mod example;
mod mutation;
mod shrink;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

pub use example::{Example, files, json_lines};
pub use mutation::Mutator;

use crate::skip::workspace_root;

/// The longest input that is made, in bytes: long ones are slow and show little.
pub const MAX_INPUT: usize = 32 << 10;

/// Inputs for one function.
#[derive(Debug)]
pub struct Fuzz {
    name: &'static str,
    examples: Vec<Example>,
    seed: u64,
}

/// When a search ends that finds nothing.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Inputs made of the examples; the examples themselves are tried in any case.
    pub cases: u64,
    /// The time.
    pub time: Duration,
}

/// What a search has come to.
#[derive(Debug)]
pub struct Search {
    name: &'static str,
    seed: u64,
    /// How often the function was called before it failed.
    pub n_cases: u64,
    /// How long that took.
    pub time: Duration,
    /// The first failure.
    pub finding: Option<Finding>,
}

/// An input that breaks a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The input, as small as it was found to be.
    pub input: Vec<u8>,
    /// What is wrong.
    pub what: String,
}

impl Limit {
    /// The limit for a search that should find nothing: a second, or as many as `EVENTS_FUZZ_SECONDS` says, which
    /// `cargo xtask test` sets in a part of its own; ten minutes in `cargo xtask soak`.
    ///
    /// # Panics
    ///
    /// If the variable is no number.
    #[must_use]
    pub fn of_environment() -> Self {
        let seconds = std::env::var("EVENTS_FUZZ_SECONDS").ok();
        let default = if crate::rigs::is_soak() { 600.0 } else { 1.0 };
        let seconds = seconds.map_or(default, |text| match text.parse() {
            Ok(seconds) => seconds,
            Err(_) => panic!("EVENTS_FUZZ_SECONDS is '{text}', and should be a number of seconds"),
        });
        Self {
            cases: u64::MAX,
            time: Duration::from_secs_f64(seconds),
        }
    }

    /// The limit for a fault that was planted.
    #[must_use]
    pub const fn of_plant() -> Self {
        Self {
            cases: 200_000,
            time: Duration::from_secs(60),
        }
    }
}

impl Fuzz {
    /// Takes examples for the function of this name, those that were once found among them.
    ///
    /// The numbers are drawn from `EVENTS_SEED`, or always from the same one.
    ///
    /// # Panics
    ///
    /// Without an example, and if the variable is no number.
    #[must_use]
    pub fn new(name: &'static str, mut examples: Vec<Example>) -> Self {
        assert!(!examples.is_empty(), "{name} has no examples");
        let kept = fixtures().join("fuzz").join(name);
        if kept.is_dir() {
            examples.splice(0..0, files(&kept));
        }
        let seed = std::env::var("EVENTS_SEED").ok();
        let seed = seed.map_or(20_261_122, |text| match text.parse() {
            Ok(seed) => seed,
            Err(_) => panic!("EVENTS_SEED is '{text}', and should be a number"),
        });
        Self {
            name,
            examples,
            seed,
        }
    }

    /// Searches for as long as the environment says, prints one line, and fails if there is a finding.
    ///
    /// # Panics
    ///
    /// If there is a finding; the text has the input, and the file that it is in.
    pub fn run(&self, check: impl FnMut(&[u8]) -> Result<(), String>) {
        let search = self.search(Limit::of_environment(), check);
        crate::rigs::say(&search);
        if let Some(finding) = &search.finding {
            let file = keep(self.name, &finding.input);
            panic!("{search}\n{finding}\nit is in {file}");
        }
    }

    /// Calls the function with every example, and then with inputs that are made of them, until one fails.
    pub fn search(
        &self,
        limit: Limit,
        mut check: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Search {
        let started = Instant::now();
        let mut search = Search {
            name: self.name,
            seed: self.seed,
            n_cases: 0,
            time: Duration::ZERO,
            finding: None,
        };
        let mut try_one = |input: &[u8]| {
            search.n_cases += 1;
            let what = call(&mut check, input).err()?;
            Some((input.to_vec(), what))
        };
        let mut found = self
            .examples
            .iter()
            .find_map(|example| try_one(&example.bytes));
        let mut mutator = Mutator::new(self.seed, &self.examples);
        let mut n_left = limit.cases;
        // A failure is counted against the examples first, so that it is small from the start.
        while found.is_none() && n_left > 0 && started.elapsed() < limit.time {
            n_left -= 1;
            found = try_one(&mutator.next_input());
        }
        search.time = started.elapsed();
        search.finding = found.map(|(input, what)| {
            let small = shrink::shrink(input, |input| call(&mut check, input).is_err());
            let what = call(&mut check, &small).err().unwrap_or(what);
            Finding { input: small, what }
        });
        search
    }
}

/// Calls a check; a panic is a failure like others.
fn call(check: &mut impl FnMut(&[u8]) -> Result<(), String>, input: &[u8]) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(|| check(input))) {
        Ok(outcome) => outcome,
        Err(panic) => Err(format!("a panic: {}", said(&*panic))),
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

/// Writes a finding where the next build does not throw it away at once; tells where.
fn keep(name: &str, input: &[u8]) -> String {
    let write = || -> io::Result<PathBuf> {
        let folder = std::env::temp_dir().join("events-fuzz").join(name);
        fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{:016x}", mutation::hash(input)));
        fs::write(&file, input)?;
        Ok(file)
    };
    match write() {
        Ok(file) => file.display().to_string(),
        Err(error) => format!("no file: {error}"),
    }
}

/// Returns the folder of examples.
#[must_use]
pub fn fixtures() -> PathBuf {
    workspace_root().join("tests/fixtures")
}

/// Draws places at which to cut an input, always the same for the same input.
#[must_use]
pub fn cuts(input: &[u8]) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(mutation::hash(input));
    let longest = [1, 3, 40, 4_000][random.usize(..4)];
    let mut chunks = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(random.usize(1..=longest).min(rest.len()));
        chunks.push(chunk);
        rest = behind;
    }
    chunks
}

/// Reads a file of the workspace, for examples.
pub(crate) fn read(file: &Path) -> Vec<u8> {
    match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{} cannot be read: {error}", file.display()),
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_findings = usize::from(self.finding.is_some());
        write!(
            f,
            "fuzz {} | {} cases | {:.1} s | seed {} | {n_findings} findings",
            self.name,
            self.n_cases,
            self.time.as_secs_f64(),
            self.seed
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.input[..self.input.len().min(2_000)];
        write!(f, "{}\ninput: {}", self.what, shown.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fuzz() -> Fuzz {
        let lines = [
            &br#"{"type":"A","list":[1,2,3],"text":"hello"}"#[..],
            br#"{"type":"B","inner":{"deep":{"er":true}}}"#,
        ];
        let examples = lines.map(|line| Example::new("line", line.to_vec()));
        Fuzz::new("self", examples.to_vec())
    }

    fn plant(is_wrong: impl Fn(&[u8]) -> bool) -> Search {
        let limit = Limit {
            cases: 50_000,
            time: Duration::from_secs(60),
        };
        fuzz().search(limit, |input| {
            if is_wrong(input) {
                return Err("planted".to_owned());
            }
            Ok(())
        })
    }

    #[test]
    fn what_is_wrong_with_structure_is_found_and_made_small() {
        let is_wrong = |input: &[u8]| {
            let json = serde_json::from_slice::<serde_json::Value>(input);
            json.is_ok_and(|json| json["type"] == "B" && json["inner"]["deep"].is_null())
        };
        let search = plant(is_wrong);
        let finding = search.finding.expect("it is planted");
        assert!(finding.input.len() <= 40, "{finding}");
        let search = plant(|input| input.windows(3).any(|bytes| bytes == b"\xE2\x80\xA8"));
        assert_eq!(search.finding.expect("it is planted").input.len(), 3);
    }

    #[test]
    fn a_panic_is_a_finding_and_nothing_is_found_where_nothing_is() {
        let search = plant(|input| {
            assert!(input.len() < 4_000, "too long");
            false
        });
        assert_eq!(search.finding.expect("planted").what, "a panic: too long");
        assert_eq!(plant(|_| false).n_cases, 50_002);
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let inputs = || {
            let fuzz = fuzz();
            let mut mutator = Mutator::new(7, &fuzz.examples);
            (0..1_000).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(inputs(), inputs());
    }
}
