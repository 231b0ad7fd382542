//! One reader, over all its connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use events_broadcast::{Batch, Missed, Next, Subscription};
use events_sse::GapReason;

/// The events of a user by their numbers: what the log holds, as it was written.
pub(super) type Events = BTreeMap<u64, Vec<u8>>;

/// A task that looks again only when it has been woken.
#[derive(Debug)]
struct Signal(AtomicBool);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(super) struct Connection {
    pub(super) replica: usize,
    subscription: Subscription,
    signal: Arc<Signal>,
}

#[derive(Default)]
pub(super) struct Client {
    pub(super) user: usize,
    pub(super) connection: Option<Connection>,
    /// Cursors that it was sent, oldest first.
    pub(super) cursors: Vec<String>,
    /// Where what it holds begins; none before its first stream.
    first: Option<u64>,
    last: u64,
    seen: Events,
    /// What it was told to be missing: after the first number, up to the second.
    gaps: Vec<(u64, u64, Option<u64>)>,
}

/// What may be told to be missing now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    /// Up to this number events may be gone.
    pub(super) gone: u64,
}

impl Connection {
    pub(super) fn new(replica: usize, subscription: Subscription) -> Self {
        let signal = Arc::new(Signal(AtomicBool::new(true)));
        Self {
            replica,
            subscription,
            signal,
        }
    }
}

impl Client {
    pub(super) fn of(user: usize) -> Self {
        Self {
            user,
            ..Self::default()
        }
    }

    /// Begins anew after a number, as somebody else would.
    pub(super) fn begin(&mut self, after: u64) {
        let (user, cursors) = (self.user, std::mem::take(&mut self.cursors));
        *self = Self {
            user,
            cursors,
            first: Some(after),
            last: after,
            ..Self::default()
        };
    }

    pub(super) fn has_begun(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Reads as long as there is something, at most so often. `hides_gaps` is a fault.
    pub(super) fn read(
        &mut self,
        batches: usize,
        floor: Floor,
        events: &Events,
        hides_gaps: bool,
    ) -> Result<(), String> {
        let mut batch = Batch::default();
        for _ in 0..batches {
            let Some(connection) = &mut self.connection else {
                return Ok(());
            };
            if !connection.signal.0.load(Ordering::SeqCst) {
                return Ok(());
            }
            let waker = Waker::from(Arc::clone(&connection.signal));
            let mut context = Context::from_waker(&waker);
            connection.signal.0.store(false, Ordering::SeqCst);
            match connection.subscription.poll_next(&mut context, &mut batch) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Next::Events) => self.take(&batch)?,
                Poll::Ready(Next::Missed(missed)) => {
                    self.miss(&missed, floor, events)?;
                    if hides_gaps {
                        self.gaps.pop();
                    }
                }
                Poll::Ready(Next::Closed(reason)) => return Err(format!("closed: {reason:?}")),
            }
            if let Some(connection) = &self.connection {
                connection.signal.0.store(true, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// Takes an event that did not come out of the log: a fault.
    pub(super) fn take_directly(&mut self, seq: u64, json: Vec<u8>) {
        if seq > self.last {
            self.last = seq;
            self.seen.insert(seq, json);
        }
    }

    /// What it holds is of a log that is no more; its cursors stay.
    pub(super) fn forget(&mut self) {
        (self.connection, self.first) = (None, None);
    }

    fn take(&mut self, batch: &Batch) -> Result<(), String> {
        for (id, frame) in &batch.events {
            let id = id.ok_or("an event without an id")?;
            if id.seq <= self.last {
                return Err(format!(
                    "{} after {}: twice, or out of order",
                    id.seq, self.last
                ));
            }
            self.last = id.seq;
            self.cursors.push(id.to_string());
            self.seen.insert(id.seq, frame.data.to_vec());
        }
        Ok(())
    }

    /// Notes a gap, which must be one: something was there, and it is gone.
    fn miss(&mut self, missed: &Missed, floor: Floor, events: &Events) -> Result<(), String> {
        let Missed {
            reason, to, lost, ..
        } = missed;
        let is_of_cursor = matches!(reason, GapReason::Epoch | GapReason::Unknown);
        if to.seq < self.last {
            return Err(format!("a gap from {} back to {to}", self.last));
        }
        if !is_of_cursor {
            if to.seq > floor.gone {
                return Err(format!(
                    "a gap to {to} where all after {} is there",
                    floor.gone
                ));
            }
            if events
                .range(self.last + 1..)
                .next()
                .is_none_or(|(seq, _)| *seq > to.seq)
            {
                return Err(format!(
                    "a gap from {} to {to} in which nothing was",
                    self.last
                ));
            }
            self.gaps.push((self.last, to.seq, *lost));
        }
        self.last = to.seq;
        self.cursors.push(to.to_string());
        Ok(())
    }

    /// Compares with the log: nothing foreign, nothing missing without a gap, every count right. Who has been cut off
    /// has what there was up to its last event.
    pub(super) fn check(&self, events: &Events, is_at_end: bool) -> Result<(), String> {
        let Some(first) = self.first else {
            return Ok(());
        };
        for (seq, json) in &self.seen {
            if events.get(seq) != Some(json) {
                let text = String::from_utf8_lossy(json);
                return Err(format!("{seq} is not what the log has: {text}"));
            }
        }
        let end = if is_at_end {
            u64::MAX
        } else {
            self.last.max(first)
        };
        for seq in events
            .range(first + 1..)
            .map(|(seq, _)| seq)
            .take_while(|seq| **seq <= end)
        {
            let is_told = self
                .gaps
                .iter()
                .any(|(from, to, _)| from < seq && seq <= to);
            if !self.seen.contains_key(seq) && !is_told {
                return Err(format!(
                    "{seq} is missing: began after {first}, at {}",
                    self.last
                ));
            }
        }
        for (from, to, lost) in &self.gaps {
            let n_lost = events
                .range(from + 1..)
                .take_while(|(seq, _)| *seq <= to)
                .count() as u64;
            if lost.is_some_and(|lost| lost != n_lost) {
                return Err(format!(
                    "{lost:?} lost from {from} to {to}, and it were {n_lost}"
                ));
            }
        }
        Ok(())
    }
}
