//! What a producer of events is given.

use async_trait::async_trait;

use crate::{EventResult, UserId};

/// Publishes typed events for a user, whatever stands behind: a router in this process or a remote hub.
///
/// Each method returns the number of connections reached on this machine; it does not promise that they
/// have read the event.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// An AG-UI event.
    type AgUi: Send;
    /// An A2A event.
    type A2A: Send;
    /// A system event.
    type System: Send;
    /// An event for the context stream only, already in its envelope.
    type Context: Send;

    /// Publishes an AG-UI event.
    ///
    /// # Errors
    ///
    /// The event is refused or the log does not take it.
    async fn broadcast_agui(&self, user: &UserId, event: Self::AgUi) -> EventResult<usize>;

    /// Publishes an A2A event.
    ///
    /// # Errors
    ///
    /// The event is refused or the log does not take it.
    async fn broadcast_a2a(&self, user: &UserId, event: Self::A2A) -> EventResult<usize>;

    /// Publishes a system event.
    ///
    /// # Errors
    ///
    /// The log does not take the event.
    async fn broadcast_system(&self, user: &UserId, event: Self::System) -> EventResult<usize>;

    /// Publishes an event on the context stream only.
    ///
    /// # Errors
    ///
    /// The log does not take the event.
    async fn broadcast_context(&self, user: &UserId, event: Self::Context) -> EventResult<usize>;
}
