//! The contract of a log: it gives ids, it is the only source of delivery.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{Epoch, EventId, EventResult, UserId};

/// Names the kind of a record, by number; at most 16 kinds. What a number means is the router's business.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Channel(u8);

impl Channel {
    /// How many channels there can be.
    pub const MAX: u8 = 16;

    /// Makes a channel.
    ///
    /// # Panics
    ///
    /// If `number` is not below [`Channel::MAX`].
    #[must_use]
    pub const fn new(number: u8) -> Self {
        assert!(number < Self::MAX, "a channel's number is below 16");
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Channels(u16);

impl Channels {
    /// The set of no channel.
    pub const NONE: Self = Self(0);

    /// Makes a set.
    #[must_use]
    pub const fn of(channels: &[Channel]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < channels.len() {
            bits |= 1 << channels[at].0;
            at += 1;
        }
        Self(bits)
    }

    /// Tells whether the set has the channel.
    #[must_use]
    pub const fn contains(self, channel: Channel) -> bool {
        self.0 & (1 << channel.0) != 0
    }

    /// Tells whether every channel of this set is in `other`.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Adds a channel.
    pub const fn insert(&mut self, channel: Channel) {
        self.0 |= 1 << channel.0;
    }

    /// Calls up each channel of the set, lowest number first.
    pub fn iter(self) -> impl Iterator<Item = Channel> {
        (0..Channel::MAX)
            .map(Channel)
            .filter(move |channel| self.contains(*channel))
    }
}

/// One event on its way into the log. Cloning shares the payload.
#[derive(Clone, Debug)]
pub struct Record {
    /// What kind of event it is.
    pub channel: Channel,
    /// What the event belongs to within its kind: the thread of an AG-UI event, the task of an A2A event.
    pub scope: Option<Arc<str>>,
    /// The SSE event name; absent for protocol events.
    pub name: Option<&'static str>,
    /// The event's JSON, exactly as it goes after `data:`.
    pub json: Bytes,
    /// Bits that tell this event from another that may once get the same number; 0 = let the log choose.
    pub tag: u32,
}

/// The ids that the log gave to the records of one append, in their order.
pub type RecordIds = SmallVec<[EventId; 2]>;

/// The answer of a log that may be in this process or behind a wire.
pub enum Appending<'a> {
    /// The log has answered without waiting.
    Done(EventResult<RecordIds>),
    /// The log answers later.
    Waiting(Pin<Box<dyn Future<Output = EventResult<RecordIds>> + Send + 'a>>),
}

impl fmt::Debug for Appending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(result) => f.debug_tuple("Done").field(result).finish(),
            Self::Waiting(_) => f.debug_tuple("Waiting").finish_non_exhaustive(),
        }
    }
}

/// A log with one sequence per user. It owns ids and retention, and everything that is delivered comes out of it.
///
/// # What an implementation promises
///
/// 1. Sequences of one user are strictly increasing, in the order in which appends succeed.
/// 2. A batch is appended whole or not at all.
/// 3. What was appended is handed to the log's readers in sequence order, once.
/// 4. An error says whether the records are in the log (see [`EventError`](crate::EventError)).
pub trait EventLog: Send + Sync + fmt::Debug {
    /// Returns the life of the log; it changes when numbers may be given anew.
    fn epoch(&self) -> Epoch;

    /// Appends records for one user, as one batch.
    ///
    /// With `expected_last`, the append succeeds only if the user's last sequence is still that one;
    /// otherwise the answer is [`EventError::Conflict`](crate::EventError::Conflict).
    ///
    /// # Cancel safety
    ///
    /// A dropped [`Appending::Waiting`] leaves the outcome unknown.
    fn append<'a>(
        &'a self,
        user: &'a UserId,
        records: &'a [Record],
        expected_last: Option<u64>,
    ) -> Appending<'a>;
}
