//! What one client has been handed, and whether that is right.

use std::collections::BTreeMap;

use crate::{Batch, Next, Subscription};

/// What one client has been handed, over all its connections.
#[derive(Debug, Default)]
pub(crate) struct ClientLog {
    /// Where it first attached.
    pub(crate) first: Option<u64>,
    /// Its cursor, as it would send it back.
    pub(crate) cursor: Option<String>,
    last: u64,
    seen: BTreeMap<u64, Vec<u8>>,
    gaps: Vec<(u64, u64, Option<u64>)>,
}

impl ClientLog {
    pub(crate) fn attached(&mut self, subscription: &Subscription) {
        if self.first.is_none() {
            self.first = Some(subscription.primed().seq);
            self.last = subscription.primed().seq;
            self.cursor = Some(subscription.primed().to_string());
        }
    }

    pub(crate) fn take(&mut self, next: &Next, batch: &Batch) -> Result<(), String> {
        match next {
            Next::Events => {
                for (id, frame) in &batch.events {
                    let id = id.ok_or("an event without an id")?;
                    if id.seq <= self.last {
                        return Err(format!(
                            "{} after {}: duplicate or out of order",
                            id.seq, self.last
                        ));
                    }
                    self.last = id.seq;
                    self.cursor = Some(id.to_string());
                    self.seen.insert(id.seq, frame.data.to_vec());
                }
            }
            Next::Missed(missed) => {
                if missed.to.seq < self.last {
                    return Err(format!("gap back to {} at {}", missed.to.seq, self.last));
                }
                self.gaps.push((self.last, missed.to.seq, missed.lost));
                self.last = missed.to.seq;
                self.cursor = Some(missed.to.to_string());
            }
            Next::Closed(reason) => return Err(format!("closed: {reason:?}")),
        }
        Ok(())
    }

    /// Compares with what was published: nothing foreign, nothing missing without a gap, every count right.
    pub(crate) fn check(&self, published: &BTreeMap<u64, Vec<u8>>) -> Result<(), String> {
        let Some(first) = self.first else {
            return Ok(());
        };
        for (seq, data) in &self.seen {
            if published.get(seq) != Some(data) {
                return Err(format!("{seq} is not what was published under it"));
            }
        }
        for seq in published.range(first + 1..).map(|(seq, _)| *seq) {
            let is_told = self
                .gaps
                .iter()
                .any(|(from, to, _)| (from + 1..=*to).contains(&seq));
            if !self.seen.contains_key(&seq) && !is_told {
                return Err(format!("{seq} is missing and no gap names it"));
            }
        }
        for (from, to, lost) in &self.gaps {
            let n_lost = published.range(from + 1..=*to).count() as u64;
            if lost.is_some_and(|lost| lost != n_lost) {
                return Err(format!(
                    "gap ({from}, {to}] says {lost:?} lost, {n_lost} were"
                ));
            }
        }
        Ok(())
    }
}
