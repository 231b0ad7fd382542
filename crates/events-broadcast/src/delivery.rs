//! What a publisher is told.

use events_core::RecordIds;

use crate::{GenericBroadcaster, view::MAX_VIEWS};

/// How many connections of one broadcaster an append reached, on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Connections that will read the event from the log. They may still be slow, or gone.
    pub woken: usize,
    /// Senders whose channel took the event. Their client may not have read it.
    pub sent: usize,
    /// Senders dropped because their channel was full; their streams end.
    pub evicted: usize,
    /// Senders found closed and removed.
    pub closed: usize,
}

impl Reached {
    /// Counts the connections that the event is on its way to.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.woken + self.sent
    }
}

/// The outcome of an append: the ids, and whom it reached here.
#[derive(Clone, Debug, Default)]
#[must_use = "it says whether anybody was reached"]
pub struct Delivery {
    /// The ids of the records, in their order. Empty when nobody watches and no history is kept.
    pub ids: RecordIds,
    pub(crate) reached: [Reached; MAX_VIEWS],
}

impl Delivery {
    /// Tells how many connections of `broadcaster` were reached. Zero for a broadcaster on another store.
    #[must_use]
    pub fn reached<E>(&self, broadcaster: &GenericBroadcaster<E>) -> Reached {
        self.reached[broadcaster.view.index]
    }
}
