//! The contract of a per-user broadcaster.

use std::convert::Infallible;

use async_trait::async_trait;
use axum::response::sse::Event;

use crate::{ConnectionId, UserId};

/// The sending half of a hand-made axum `Sse` stream.
///
/// A broadcaster offers each event with `try_send`: a closed channel frees the slot; a full one is dropped
/// by the broadcaster, so that the stream ends instead of losing single events.
pub type EventSender = tokio::sync::mpsc::Sender<Result<Event, Infallible>>;

/// The channel size, in events, that goes with [`EventSender`].
pub const SSE_BUFFER: usize = 1024;

/// Carries events of one type to the connections of a user.
#[async_trait]
pub trait Broadcaster: Send + Sync {
    /// The type of event that is broadcast.
    type Event: Send;

    /// Adds a connection, and tells whether it was accepted.
    ///
    /// `false`: the user has as many connections as allowed. The same connection id again replaces the
    /// earlier sender, also at the cap.
    ///
    /// # Cancel safety
    ///
    /// Completes at its first poll.
    async fn register(&self, user: &UserId, connection: &ConnectionId, sender: EventSender)
    -> bool;

    /// Removes a connection; unknown ones are ignored.
    ///
    /// # Cancel safety
    ///
    /// Completes at its first poll.
    async fn unregister(&self, user: &UserId, connection: &ConnectionId);

    /// Appends the event to this broadcaster's log and returns how many connections it reached here.
    ///
    /// Reached means accepted by a channel or woken to read the log; not read by a client.
    ///
    /// # Cancel safety
    ///
    /// Completes at its first poll.
    async fn broadcast(&self, user: &UserId, event: Self::Event) -> usize;

    /// Counts the connections of a user.
    async fn connection_count(&self, user: &UserId) -> usize;

    /// Counts the connections of all users.
    async fn total_connections(&self) -> usize;
}
