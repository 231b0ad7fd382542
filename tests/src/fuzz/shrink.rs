//! Making a failing input small.

use std::time::{Duration, Instant};

/// How long an input may be worked on; a large one is better than none.
const TIME: Duration = Duration::from_secs(10);

/// Takes pieces out of an input, large ones first, as long as it still fails.
pub(super) fn shrink(mut input: Vec<u8>, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let started = Instant::now();
    let mut piece = input.len().div_ceil(2);
    while piece > 0 && started.elapsed() < TIME {
        let mut at = 0;
        let mut has_shrunk = false;
        while at < input.len() && started.elapsed() < TIME {
            let end = (at + piece).min(input.len());
            let shorter = [&input[..at], &input[end..]].concat();
            if fails(&shorter) {
                input = shorter;
                has_shrunk = true;
            } else {
                at = end;
            }
        }
        // What could not go may go once something behind it has gone.
        if !has_shrunk || piece > 1 {
            piece /= 2;
        }
    }
    input
}
