//! Adding up the closing lines of `cargo test`.

use std::fmt;

/// How many tests ran, over all test binaries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) n_passed: u64,
    pub(crate) n_failed: u64,
}

impl Tally {
    /// Takes one line of output into account; anything but a closing line is passed over.
    pub(crate) fn read(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        let counts = rest
            .split_once(". ")
            .map_or("", |(_verdict, counts)| counts);
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => self.n_passed += number,
                (Some(number), Some("failed")) => self.n_failed += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} passed, {} failed",
            self.n_passed, self.n_failed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up_and_other_lines_do_not_count() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        tally.read("test result: FAILED. 3 passed; 2 failed; 0 ignored; finished in 0.02s");
        tally.read("test the_result: 9 passed ... ok");
        assert_eq!(
            tally,
            Tally {
                n_passed: 15,
                n_failed: 2
            }
        );
        assert_eq!(tally.to_string(), "15 passed, 2 failed");
    }
}
