//! What becomes of a publish.

use events_core::RecordIds;

/// What a publisher is told: the ids in the log, and how many connections were reached on this machine.
///
/// A connection that is counted has been woken or was handed the event; it may still be slow, or gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The ids of the records, in the order of the events. A chunk event may make none or several; an event that
    /// was known already has the ids that it got then; analytics events have none.
    pub ids: RecordIds,
    /// How many of the ids were known already.
    pub duplicates: usize,
    /// Connections reached on the AG-UI stream.
    pub agui: usize,
    /// Connections reached on the A2A stream.
    pub a2a: usize,
    /// Connections reached on the context stream.
    pub contexts: usize,
    /// Connections reached on the analytics stream.
    pub analytics: usize,
}

impl Published {
    /// Counts the connections reached on all streams.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.agui + self.a2a + self.contexts + self.analytics
    }
}

/// What the `route_…` methods of [`EventRouter`](crate::EventRouter) answer.
pub type Routed = Published;
