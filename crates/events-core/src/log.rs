//! What a log keeps: records, by channel.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{EventId, MsgKey};

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

    /// Makes a channel of a number that was stored; none if it cannot be one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < Self::MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns the number, as an index.
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
    /// The publisher's message id, so that a retry is known; only for logs that keep it.
    pub key: Option<MsgKey>,
    /// What the router wants to know of the record when it reads it again; mostly empty. Only for logs that keep it.
    pub note: Bytes,
}

/// The ids that the log gave to the records of one append, in their order.
pub type RecordIds = SmallVec<[EventId; 2]>;
