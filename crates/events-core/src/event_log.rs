//! The contract of a log that several replicas share, or that outlives its process.

use std::{fmt, pin::Pin};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::{Epoch, EventResult, Record, UserId};

/// A publisher's message id, as 128 bits that are the same on every machine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MsgKey(u128);

impl MsgKey {
    /// Makes a key of its bits.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Debug for MsgKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MsgKey({:032x})", self.0)
    }
}

/// A record with its place in its user's log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The place: strictly increasing, never 0.
    pub seq: u64,
    /// When it was appended, in milliseconds since the Unix epoch; the same for whoever reads it.
    pub at_ms: i64,
    /// The record. Its tag is never 0.
    pub record: Record,
}

/// A piece of one user's log, in order and without a hole.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The place of the record before the first of this page. It is the place that was asked for, or a later one if
    /// what came in between is no longer kept.
    pub previous: u64,
    /// The records, in order.
    pub records: Vec<Logged>,
    /// The place of the user's last record at the time of reading, kept or not; 0 if there never was one. When it is
    /// that of the last record of this page, or `previous` of an empty one, there is nothing more to read.
    pub last: u64,
}

/// What one part of a user's state was after a place in the user's log.
///
/// Who reads the log goes on from there: with the records that come after it, which are kept longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Which part, such as a thread; 1 to 512 bytes.
    pub part: Box<str>,
    /// The place.
    pub seq: u64,
    /// The state, for whoever wrote it. Empty = the part is gone.
    pub state: Bytes,
}

/// What a log says by itself.
#[derive(Clone, Debug)]
pub enum Tailed {
    /// From here on nothing is left out; what came before it may have been. So whoever follows users reads them again.
    Started,
    /// Records were appended at once.
    Appended {
        /// Whose log it is.
        user: UserId,
        /// The place of the user's record before these.
        previous: u64,
        /// The records, in order.
        records: Vec<Logged>,
    },
    /// A user's log has reached this place, by records that are to be read. Said only of users who are followed.
    Advanced {
        /// Whose log it is.
        user: UserId,
        /// The place of the user's last record.
        last: u64,
    },
    /// A live event that no log keeps; see [`EventLog::pass_by`].
    Passed {
        /// Whom it is for.
        user: UserId,
        /// The event.
        record: Record,
    },
    /// The engine cannot be reached, or its answers cannot be trusted. The log goes on trying.
    Down(String),
    /// The engine answers again.
    Up,
    /// The log is no longer the one that was opened: its numbers mean something else.
    Replaced,
}

/// All that a log says; it does not end by itself. Dropping it stops the work behind it.
pub type Tail = Pin<Box<dyn Stream<Item = Tailed> + Send>>;

/// A log with one sequence per user, in an engine. It owns ids and retention, and everything that is delivered comes
/// out of it, on every replica, also on the one that published.
///
/// # What an implementation promises
///
/// 1. Sequences of one user are strictly increasing, in the order in which appends succeed, whichever replica made
///    them. They need not be dense; the records of one append are.
/// 2. What is appended at once is there whole or not at all, and read in one order by everybody.
/// 3. With an expected last place an append succeeds only if it is the user's last place at that moment.
/// 4. What was appended is kept at least as long as the configured retention says, also when the process dies. What
///    an engine itself may lose (power, failover) its documentation says.
/// 5. [`tail`](Self::tail) says everything that is appended after [`Tailed::Started`], for one user in order.
/// 6. A read sees every append that had been acknowledged when it began, on any replica.
/// 7. An error says whether the records are in the log (see [`EventError`](crate::EventError)); every call answers
///    within some seconds.
///
/// Engines move bytes that they do not read. A set of tests that a log must pass is in the test crate of the
/// workspace, under `conformance`.
#[async_trait]
pub trait EventLog: Send + Sync + fmt::Debug + 'static {
    /// Returns the name of the engine, for people.
    fn engine(&self) -> &'static str;

    /// Returns the life of the log; it changes when numbers may be given anew.
    fn epoch(&self) -> Epoch;

    /// Returns the most bytes of JSON that one record can have.
    fn max_record_bytes(&self) -> usize;

    /// Tells whether a difference of places counts records.
    fn is_dense(&self) -> bool;

    /// Appends records for one user, all at once, and returns the place of the first; the others follow by one each.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::EventError::Conflict) if `expected_last` is given and is not the user's last place. It is
    /// 0 for a user who has no records, also if they are no longer kept.
    /// [`TooLarge`](crate::EventError::TooLarge), [`Unavailable`](crate::EventError::Unavailable): nothing is in the
    /// log. [`Timeout`](crate::EventError::Timeout): nobody knows.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the outcome is unknown.
    async fn append(
        &self,
        user: &UserId,
        records: &[Record],
        at_ms: i64,
        expected_last: Option<u64>,
    ) -> EventResult<u64>;

    /// Reads what a user's log keeps after a place, about `max_bytes` of it, at least one append.
    ///
    /// # Errors
    ///
    /// The engine does not answer.
    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page>;

    /// Keeps parts of a user's state; one that is older than what is kept of its part changes nothing. Nor does one
    /// from before the user's last erasure, by its place: a replica that has not heard of it brings nothing back.
    ///
    /// # Errors
    ///
    /// The engine does not answer. Some of the parts may be kept.
    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()>;

    /// Returns the newest of each part that is kept. Those with an empty state may be among them, or not.
    ///
    /// # Errors
    ///
    /// The engine does not answer.
    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>>;

    /// Erases a user's records and checkpoints. After that the log has this one record, with a higher place than all
    /// before it, by which replicas learn of it; its place is returned.
    ///
    /// # Errors
    ///
    /// The engine does not answer. It may have erased a part; a retry erases the rest.
    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64>;

    /// Begins to listen; at once, also while the engine is down.
    fn tail(&self) -> Tail;

    /// Says that this user's log is followed from here on: [`Tailed::Advanced`] may be left out for others.
    fn follow(&self, _user: &UserId) {}

    /// Says that it is not any more.
    fn unfollow(&self, _user: &UserId) {}

    /// Passes a live event to the other replicas, kept by nobody and lost if they do not hear it. Does nothing where
    /// there is only one. The record arrives as it was, with its note; whoever has passed it may hear it as well.
    ///
    /// # Errors
    ///
    /// The event is too large for the engine, or the engine cannot be reached.
    async fn pass_by(&self, _user: &UserId, _record: &Record) -> EventResult<()> {
        Ok(())
    }

    /// Does what has to be done from time to time, such as trimming; called about every ten seconds.
    ///
    /// # Errors
    ///
    /// The engine does not answer.
    async fn sweep(&self) -> EventResult<()> {
        Ok(())
    }

    /// Returns what an operator wants to know, as name, help and value; names are those of metrics.
    fn counters(&self) -> Vec<LogCounter> {
        Vec::new()
    }
}

/// A number that a log counts for its operators.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LogCounter {
    /// The metric's name, such as `events_log_reconnects_total`; one that ends in `_total` only grows.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// The value.
    pub value: f64,
}
