//! Events as they were checked, so that they need not be read again once the log has taken their records.

use events_models::{A2AEvent, AgUiEvent, SystemEvent};

/// The event of a record that was staged here.
///
/// Only events that were read from JSON are kept so: what was written from them reads as the same event on every
/// replica, and one that was built in Rust may not.
#[derive(Debug)]
pub(crate) enum Typed {
    AgUi(AgUiEvent),
    A2A(A2AEvent),
    System(SystemEvent),
    /// It is read from the record.
    Unread,
}

impl Typed {
    pub(super) fn agui(self) -> Option<AgUiEvent> {
        match self {
            Self::AgUi(event) => Some(event),
            Self::A2A(_) | Self::System(_) | Self::Unread => None,
        }
    }

    pub(super) fn a2a(self) -> Option<A2AEvent> {
        match self {
            Self::A2A(event) => Some(event),
            Self::AgUi(_) | Self::System(_) | Self::Unread => None,
        }
    }

    pub(super) fn system(self) -> Option<SystemEvent> {
        match self {
            Self::System(event) => Some(event),
            Self::AgUi(_) | Self::A2A(_) | Self::Unread => None,
        }
    }
}
