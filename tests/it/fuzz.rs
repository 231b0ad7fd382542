//! Functions that read what others write, with inputs that are nearly right; see `events_tests::fuzz`.
//!
//! Each asserts what has to hold for every input, not only that nothing panics, and each is tried with a fault that is
//! planted. A second for each by default; `EVENTS_FUZZ_SECONDS` says how many, `EVENTS_SEED` which.

mod a2a_rpc;
mod app;
mod cursors;
mod events;
mod providers;
mod publish;
mod run_input;
mod sse;
mod tokens;

use events_tests::fuzz::{Fuzz, Limit};
use events_tests::rigs;

/// Fails unless a planted fault is found, and says how soon.
fn must_find(fuzz: &Fuzz, fault: &str, check: impl FnMut(&[u8]) -> Result<(), String>) {
    let search = fuzz.search(Limit::of_plant(), check);
    let Some(finding) = &search.finding else {
        panic!("{fault} is planted and was not found: {search}");
    };
    let (n_cases, n_bytes) = (search.n_cases, finding.input.len());
    rigs::say(&format_args!(
        "planted: {fault} | found by case {n_cases} | {:.1} s | in {n_bytes} bytes",
        search.time.as_secs_f64()
    ));
}

/// Fails with a text, unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}
use ensure;
