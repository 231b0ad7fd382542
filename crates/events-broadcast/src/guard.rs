//! Frees a slot when it goes out of scope.

use std::fmt;

use events_core::{ConnectionId, UserId};

use crate::GenericBroadcaster;

/// Unregisters a connection on drop, synchronously and with or without a runtime.
///
/// It frees only the registration that was there when the guard was made: a newer one under the same
/// connection id keeps its slot. A guard that was made before its registration frees whatever has the id.
#[must_use = "dropping the guard unregisters the connection"]
pub struct ConnectionGuard<E> {
    broadcaster: GenericBroadcaster<E>,
    user: UserId,
    connection: ConnectionId,
    serial: Option<u64>,
}

impl<E> ConnectionGuard<E> {
    /// Guards a connection of `broadcaster`.
    pub fn new(
        broadcaster: &GenericBroadcaster<E>,
        user: UserId,
        connection: ConnectionId,
    ) -> Self {
        let serial = broadcaster.serial(&user, &connection);
        Self {
            broadcaster: broadcaster.clone(),
            user,
            connection,
            serial,
        }
    }
}

impl<E> Drop for ConnectionGuard<E> {
    fn drop(&mut self) {
        self.broadcaster
            .remove(&self.user, &self.connection, self.serial);
    }
}

impl<E> fmt::Debug for ConnectionGuard<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionGuard")
            .field("user", &self.user)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
