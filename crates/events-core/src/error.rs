//! What can go wrong between a publisher and the log.

use std::error::Error as StdError;

/// The result of an operation on the event path.
pub type EventResult<T> = Result<T, EventError>;

/// Says why an event was not taken, and so what the publisher can do.
///
/// An event that was refused is not in the log and reaches nobody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The event cannot be written as JSON. A retry fails again.
    #[error("event cannot be encoded")]
    Encode(#[source] Box<dyn StdError + Send + Sync>),
    /// The event is not valid, or not valid now. A retry fails again.
    #[error("event refused")]
    Rejected(#[source] Box<dyn StdError + Send + Sync>),
    /// The event is larger than the log takes. A retry fails again.
    #[error("event of {size} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size of the event's JSON, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A bound is reached (named by the text). A later retry can succeed.
    #[error("overloaded: {0}")]
    Overloaded(&'static str),
    /// The log was not reached, and the event is not in it. A later retry can succeed.
    #[error("log unavailable")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// The log did not answer in time; whether the event is in it is unknown. Retry with the same message id.
    #[error("log did not answer in time, outcome unknown")]
    Timeout,
    /// Another writer appended first; the expected last sequence is stale.
    #[error("log has moved on to sequence {last}")]
    Conflict {
        /// The last sequence that the log has for the user.
        last: u64,
    },
}

impl EventError {
    /// Tells whether the same publish may succeed later without a change to the event.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Overloaded(_) | Self::Unavailable(_) | Self::Timeout | Self::Conflict { .. }
        )
    }
}
