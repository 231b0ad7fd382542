//! The typed face of a store.

use std::{
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use events_core::{
    Broadcaster, ConnectionId, EventError, EventResult, EventSender, Frame, Record, UserId,
};
use events_sse::{ClosingReason, ToSse};

use crate::{
    Attach, ConnectError, ConnectionInfo, Delivery, Limits, LogStore, Subscription, View,
    stats::count,
    user_log::UserLog,
    view::ViewState,
    watcher::{Intake, Watcher, Written},
};

/// Carries events of one type to the connections of a user, out of the user's log.
///
/// It is a cheap handle: clones share connections and logs. Made by [`GenericBroadcaster::new`] it has logs and
/// an epoch of its own; made by [`GenericBroadcaster::on`] it shares them with other broadcasters.
///
/// # Slow readers
///
/// A [`Subscription`] falls behind at its own cost and catches up from the log. A registered
/// [`EventSender`] whose channel is full is dropped, so that its stream ends.
///
/// # Closing
///
/// [`GenericBroadcaster::close`] ends every stream and refuses new ones.
pub struct GenericBroadcaster<E> {
    store: LogStore,
    pub(crate) view: Arc<ViewState>,
    event: PhantomData<fn(E)>,
}

impl<E> GenericBroadcaster<E> {
    /// The default cap of connections per user.
    pub const MAX_CONNECTIONS_PER_USER: usize = Limits::CONNECTIONS_PER_USER;

    /// Makes a broadcaster with logs of its own and the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// Makes a broadcaster with logs of its own.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self::on(&LogStore::new(limits), View::alone("events"))
    }

    /// Makes a broadcaster that shows a part of a shared store.
    ///
    /// # Panics
    ///
    /// If the store already serves four broadcasters.
    #[must_use]
    pub fn on(store: &LogStore, view: View) -> Self {
        Self {
            store: store.clone(),
            view: store.add_view(view),
            event: PhantomData,
        }
    }

    /// Returns the store that holds the logs.
    #[must_use]
    pub const fn store(&self) -> &LogStore {
        &self.store
    }

    /// Returns the stream's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.view.view.name
    }

    /// Tells whether its events have no ids and are not replayed.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.view.view.ephemeral
    }

    /// Connects a reader to the user's log; the slot is taken now and freed when the subscription is dropped.
    ///
    /// # Errors
    ///
    /// The user is at the cap, the broadcaster is closed, or there are too many users.
    pub fn connect(&self, user: &UserId, attach: Attach) -> Result<Subscription, ConnectError> {
        self.store.attach(&self.view, user, attach)
    }

    /// Adds a channel that is offered every event from now on.
    ///
    /// # Errors
    ///
    /// As for [`GenericBroadcaster::connect`].
    pub fn add_sender(
        &self,
        user: &UserId,
        connection: &ConnectionId,
        sender: EventSender,
    ) -> Result<(), ConnectError> {
        self.store
            .attach_sender(&self.view, user, connection, sender)
    }

    /// Counts the connections of a user.
    #[must_use]
    pub fn count(&self, user: &UserId) -> usize {
        self.store
            .find(user)
            .map_or(0, |log| log.lock().count(self.view.index))
    }

    /// Counts the connections of all users.
    #[must_use]
    pub fn total(&self) -> usize {
        self.view.connections.load(Ordering::Relaxed)
    }

    /// Lists the users that have a connection, in no order.
    #[expect(
        clippy::unused_async,
        reason = "the established signature; it completes at its first poll"
    )]
    pub async fn connected_users(&self) -> Vec<UserId> {
        let mut users = Vec::new();
        self.store.for_each(|log| {
            if log.lock().count(self.view.index) > 0 {
                users.push(log.user.clone());
            }
        });
        users
    }

    /// Counts the users that have a connection, and the connections.
    pub async fn connection_info(&self) -> (usize, usize) {
        (self.connected_users().await.len(), self.total())
    }

    /// Describes the connections of one user, or of all.
    #[must_use]
    pub fn connections(&self, user: Option<&UserId>) -> Vec<ConnectionInfo> {
        let mut connections = Vec::new();
        let mut describe = |log: &Arc<UserLog>| {
            let state = log.lock();
            let mine = state
                .watchers
                .iter()
                .filter(|(_, watcher)| self.is_mine(watcher) && watcher.holds_slot());
            connections.extend(mine.map(|(_, watcher)| {
                let cursor = match &watcher.intake {
                    Intake::Cursor(cursor) => Some(cursor),
                    Intake::Sender(_) => None,
                };
                let position = cursor.map(|cursor| cursor.position);
                ConnectionInfo {
                    user: log.user.clone(),
                    connection: watcher.connection.clone(),
                    stream: self.name(),
                    scope: watcher.scope.clone(),
                    since_ms: watcher.since_ms,
                    cursor: position.map(|seq| self.store.cursor_id(&state, seq)),
                    lag: position.map_or(0, |seq| state.last.seq - seq),
                    written: cursor.map(|cursor| Written {
                        transport: cursor.transport,
                        n_bytes: cursor.n_written,
                    }),
                }
            }));
        };
        match user {
            Some(user) => self.store.find(user).iter().for_each(&mut describe),
            None => self.store.for_each(describe),
        }
        connections
    }

    /// Ends the user's streams with a reason, and returns how many there were. New ones are accepted.
    pub fn disconnect(&self, user: &UserId, reason: ClosingReason) -> usize {
        self.store.find(user).map_or(0, |log| {
            LogStore::release(&self.view, &mut log.lock(), |_| true, reason)
        })
    }

    /// Ends those of the user's streams with a reason that were opened at a moment or before, in milliseconds since the
    /// Unix epoch, and returns how many there were.
    pub fn disconnect_older(&self, user: &UserId, at_ms: i64, reason: ClosingReason) -> usize {
        let is_older = |watcher: &Watcher| watcher.since_ms <= at_ms;
        self.store.find(user).map_or(0, |log| {
            LogStore::release(&self.view, &mut log.lock(), is_older, reason)
        })
    }

    /// Ends every stream with a reason and refuses new ones.
    pub fn close(&self, reason: ClosingReason) {
        self.view.closed.store(true, Ordering::Relaxed);
        self.store.for_each(|log| {
            LogStore::release(&self.view, &mut log.lock(), |_| true, reason);
        });
    }

    pub(crate) fn serial(&self, user: &UserId, connection: &ConnectionId) -> Option<u64> {
        let log = self.store.find(user)?;
        let state = log.lock();
        let found = state
            .watchers
            .iter()
            .find(|(_, watcher)| self.is_mine(watcher) && watcher.connection == *connection);
        found.map(|(_, watcher)| watcher.serial)
    }

    /// Frees the slot of a connection; with a serial, only of that registration.
    pub(crate) fn remove(&self, user: &UserId, connection: &ConnectionId, serial: Option<u64>) {
        if let Some(log) = self.store.find(user) {
            let is_it = |watcher: &Watcher| {
                watcher.connection == *connection
                    && serial.is_none_or(|serial| serial == watcher.serial)
            };
            LogStore::release(&self.view, &mut log.lock(), is_it, ClosingReason::Replaced);
        }
    }

    fn is_mine(&self, watcher: &Watcher) -> bool {
        watcher.view.index == self.view.index
    }
}

impl<E: ToSse> GenericBroadcaster<E> {
    /// Makes the frame of an event. It is the code of whoever made the type: if it panics, that is this publisher's
    /// error, and nothing else has happened.
    fn frame_of(&self, event: &E) -> EventResult<Frame> {
        catch_unwind(AssertUnwindSafe(|| event.to_frame())).unwrap_or_else(|_payload| {
            count(&self.store.inner.stats.encode_panics);
            Err(EventError::Encode("making its frame panicked".into()))
        })
    }

    /// Appends an event to the user's log and wakes whom it concerns.
    ///
    /// For a user whom nobody watches and whose history is not kept this is a look-up: nothing is encoded, and
    /// the delivery has no id.
    ///
    /// # Errors
    ///
    /// The event cannot be encoded, is too large, or there are too many users.
    pub fn publish(&self, user: &UserId, event: &E) -> EventResult<Delivery> {
        if !self.store.limits().has_history()
            && self
                .store
                .find(user)
                .is_none_or(|log| log.lock().watchers.is_empty())
        {
            return Ok(Delivery::default());
        }
        let frame = self.frame_of(event)?;
        let record = Record {
            channel: self.view.view.own,
            scope: None,
            name: frame.event,
            json: frame.data,
            tag: 0,
            key: None,
            note: bytes::Bytes::new(),
        };
        self.store.append(user, std::slice::from_ref(&record), None)
    }
}

#[async_trait]
impl<E: ToSse + Send + 'static> Broadcaster for GenericBroadcaster<E> {
    type Event = E;

    async fn register(
        &self,
        user: &UserId,
        connection: &ConnectionId,
        sender: EventSender,
    ) -> bool {
        self.add_sender(user, connection, sender).is_ok()
    }

    async fn unregister(&self, user: &UserId, connection: &ConnectionId) {
        self.remove(user, connection, None);
    }

    async fn broadcast(&self, user: &UserId, event: E) -> usize {
        match self.publish(user, &event) {
            Ok(delivery) => delivery.reached(self).connections(),
            Err(error) => {
                tracing::warn!(
                    stream = self.name(),
                    error = &error as &dyn std::error::Error,
                    "event not taken"
                );
                0
            }
        }
    }

    async fn connection_count(&self, user: &UserId) -> usize {
        self.count(user)
    }

    async fn total_connections(&self) -> usize {
        self.total()
    }
}

// === impl the usual traits, without bounds on E ===

impl<E> Clone for GenericBroadcaster<E> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            view: Arc::clone(&self.view),
            event: PhantomData,
        }
    }
}

impl<E> Default for GenericBroadcaster<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for GenericBroadcaster<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenericBroadcaster")
            .field("stream", &self.name())
            .field("connections", &self.total())
            .finish_non_exhaustive()
    }
}
