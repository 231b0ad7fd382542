//! Which records of a log were passed over, so that a checkpoint can say so of those that stand before it.
//!
//! A replica that begins with a checkpoint does not judge the records before it again: the state in which they were
//! judged is gone. What was refused there is for nobody, and only the checkpoint knows.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// The most stretches that are remembered of a part; of more the oldest are forgotten, and would be told.
const MAX_STRETCHES: usize = 256;
/// The most parts of a user of which any are.
const MAX_PARTS: usize = 1_024;

/// Places of one part from the first to the last: every record of the part between them was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretch(u64, u64);

/// The refused records of one user, by part.
#[derive(Debug, Default)]
pub(super) struct RefusedRecords(HashMap<Box<str>, PartRefusals>);

#[derive(Debug, Default)]
struct PartRefusals {
    stretches: Vec<Stretch>,
    /// No record of the part has been taken since the last stretch ended.
    is_open: bool,
}

impl RefusedRecords {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Tells whether a record of a part was refused.
    pub(super) fn has(&self, part: &str, seq: u64) -> bool {
        let known = self.0.get(part);
        known.is_some_and(|known| known.stretches.iter().any(|stretch| stretch.has(seq)))
    }

    /// Notes that one was.
    pub(super) fn refuse(&mut self, part: &str, seq: u64) {
        if self.has(part, seq) || !self.0.contains_key(part) && self.0.len() >= MAX_PARTS {
            return;
        }
        let known = self.0.entry(part.into()).or_default();
        match known.stretches.last_mut() {
            Some(last) if known.is_open && last.1 < seq => last.1 = seq,
            _ => {
                if known.stretches.len() >= MAX_STRETCHES {
                    known.stretches.remove(0);
                }
                known.stretches.push(Stretch(seq, seq));
            }
        }
        known.is_open = true;
    }

    /// Notes that one was taken.
    pub(super) fn take(&mut self, part: &str) {
        if let Some(known) = self.0.get_mut(part) {
            known.is_open = false;
        }
    }

    /// Returns what a checkpoint of a part has to say.
    pub(super) fn of_part(&self, part: &str) -> Vec<Stretch> {
        let known = self.0.get(part);
        known.map_or_else(Vec::new, |known| known.stretches.clone())
    }

    /// Takes over what a checkpoint says.
    pub(super) fn restore(&mut self, part: &str, mut stretches: Vec<Stretch>) {
        stretches.truncate(MAX_STRETCHES);
        if !stretches.is_empty() {
            let known = PartRefusals {
                stretches,
                is_open: false,
            };
            self.0.insert(part.into(), known);
        }
    }
}

impl Stretch {
    const fn has(self, seq: u64) -> bool {
        self.0 <= seq && seq <= self.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_in_a_row_is_one_stretch_until_something_is_taken() {
        let mut refused = RefusedRecords::default();
        refused.refuse("t", 3);
        refused.refuse("t", 7);
        refused.take("t");
        refused.refuse("t", 9);
        assert_eq!(refused.of_part("t"), [Stretch(3, 7), Stretch(9, 9)]);
        for (seq, is_refused) in [(2, false), (3, true), (7, true), (8, false), (9, true)] {
            assert_eq!(refused.has("t", seq), is_refused, "{seq}");
            assert!(!refused.has("u", seq));
        }
        // Read once more, as after a load, it stays as it is.
        let mut again = RefusedRecords::default();
        again.restore("t", refused.of_part("t"));
        for seq in [3, 7, 9] {
            again.refuse("t", seq);
        }
        assert_eq!(again.of_part("t"), refused.of_part("t"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut refused = RefusedRecords::default();
        for seq in 1..=1_000 {
            refused.refuse("t", 2 * seq);
            refused.take("t");
        }
        assert_eq!(refused.of_part("t").len(), MAX_STRETCHES);
        assert!(refused.has("t", 2_000) && !refused.has("t", 2));
        for part in 0..2 * MAX_PARTS {
            refused.refuse(&part.to_string(), 1);
        }
        assert_eq!(refused.0.len(), MAX_PARTS);
    }
}
