//! A connection that reads its user's log from a position.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use events_core::{ConnectionId, EventId, Frame, UserId};
use events_sse::{ClosingReason, GapReason};

use crate::{
    LogStore, NextWire, Transport, Wire,
    reading::Span,
    shared_wires::WireKey,
    stats::count,
    user_log::{Entry, UserLog, UserState},
    view::ViewState,
    watcher::{Cursor, Intake},
};

/// Says what a reader cannot be given: everything after `from` up to and including `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Why it is not there.
    pub reason: GapReason,
    /// The reader's position, as text: it may not be an id at all. Absent when the reader never had one.
    pub from: Option<String>,
    /// The position at which the reader goes on; its new cursor.
    pub to: EventId,
    /// How many events of the stream were lost, where that is known.
    pub lost: Option<u64>,
}

/// What a subscription hands out next.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a gap and an end are said here"]
pub enum Next {
    /// Events are in the batch.
    Events,
    /// Something was lost; the subscription goes on after it.
    Missed(Missed),
    /// The connection has lost its slot and gets nothing more.
    Closed(ClosingReason),
}

/// Events read in one go, in order. Reuse it: it keeps its allocation.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events; the id is absent on streams that cannot be resumed.
    pub events: Vec<(Option<EventId>, Frame)>,
}

impl Batch {
    /// Events in one batch.
    pub const MAX_EVENTS: usize = 256;
    /// JSON bytes in one batch; a larger event comes alone.
    pub const MAX_BYTES: usize = 32 << 10;
}

/// What comes next, in some form.
enum Told<T> {
    Events(T),
    Missed(Missed),
    Closed(ClosingReason),
}

/// A connection to a user's log: a position, and a slot that is freed on drop.
///
/// # Who sees what
///
/// Every event of the broadcaster's channels that is appended after the position at which the subscription
/// began, once, in the log's order; with a scope, only those of that thread or task.
///
/// # Slow readers
///
/// Nothing is queued for a reader. One whose position has left the log is told [`Next::Missed`] and goes on
/// with the oldest event that is still there.
///
/// # Closing
///
/// After [`Next::Closed`] there is nothing more. Dropping the subscription frees its slot at once.
pub struct Subscription {
    store: LogStore,
    log: Arc<UserLog>,
    view: Arc<ViewState>,
    key: usize,
    connection: ConnectionId,
    primed: EventId,
    missed: Option<Missed>,
    transport: Transport,
    n_written: u64,
}

impl Subscription {
    pub(crate) fn new(
        store: LogStore,
        log: Arc<UserLog>,
        view: Arc<ViewState>,
        key: usize,
        connection: ConnectionId,
        primed: EventId,
        missed: Option<Missed>,
    ) -> Self {
        Self {
            store,
            log,
            view,
            key,
            connection,
            primed,
            missed,
            transport: Transport::default(),
            n_written: 0,
        }
    }

    /// Returns the connection's id.
    #[must_use]
    pub const fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    /// Returns the user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.log.user
    }

    /// Returns the cursor with which a client can come back before it has seen an event.
    #[must_use]
    pub const fn primed(&self) -> EventId {
        self.primed
    }

    /// Returns the gap that will be told first, because the client's cursor could not be followed.
    #[must_use]
    pub const fn missed(&self) -> Option<&Missed> {
        self.missed.as_ref()
    }

    /// Returns when the event at the reader's position was appended, in milliseconds of the log's clock; none if it has
    /// left the log.
    ///
    /// Takes the lock of the log: for some of the batches, not for each.
    #[must_use]
    pub fn last_read_ms(&self) -> Option<i64> {
        let state = self.log.lock();
        let Intake::Cursor(cursor) = &state.watchers[self.key].intake else {
            return None;
        };
        let index = state.index_after(cursor.position).checked_sub(1)?;
        let entry = state.ring.get(index)?;
        (entry.seq == cursor.position).then_some(entry.at_ms)
    }

    /// Notes by what this reader's events go to its client, and so many more bytes on that way; operators see them from
    /// the next reading on.
    pub const fn note_written(&mut self, transport: Transport, n_bytes: usize) {
        self.transport = transport;
        self.n_written += n_bytes as u64;
    }

    /// Goes on with the next event, whatever has been read, and returns the new cursor.
    ///
    /// For readers of a stream with a fold: what lies before is told to them in another way.
    pub fn skip_to_end(&mut self) -> EventId {
        self.missed = None;
        let mut state = self.log.lock();
        let last = state.last;
        Self::cursor(&mut state, self.key).position = last.seq;
        last.id(self.store.inner.epoch)
    }

    /// Returns the JSON of the events that this reader has yet to read and that `wants` picks by their JSON.
    ///
    /// Looks at every event after the position: for a reader that has just come back, not for each batch.
    #[must_use]
    pub fn unread(&self, wants: impl Fn(&[u8]) -> bool) -> Vec<Bytes> {
        let state = self.log.lock();
        let watcher = &state.watchers[self.key];
        let position = match &watcher.intake {
            Intake::Cursor(cursor) => cursor.position,
            Intake::Sender(_) => return Vec::new(),
        };
        state
            .ring
            .range(state.index_after(position)..)
            .filter(|entry| watcher.wants(entry) && wants(&entry.json))
            .map(|entry| entry.json.clone())
            .collect()
    }

    /// Reads the next events into `batch`, which is emptied first.
    ///
    /// `Pending` means that there is nothing for this reader now; its task is woken when there is.
    pub fn poll_next(&mut self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<Next> {
        batch.events.clear();
        let told = self.poll_log(context, |me, state, span, _position| {
            let scope = state.watchers[me.key].scope.as_ref();
            batch.events.extend(me.frames(state, *span, scope));
        });
        told.map(|told| match told {
            Told::Events(()) => Next::Events,
            Told::Missed(missed) => Next::Missed(missed),
            Told::Closed(reason) => Next::Closed(reason),
        })
    }

    /// Reads the next events as they go out: as [`Subscription::poll_next`], and each as
    /// [`encode_frame`](events_sse::encode_frame) writes it.
    ///
    /// At most [`Batch::MAX_EVENTS`] events with [`Batch::MAX_BYTES`] bytes of JSON; a larger event comes alone, and its
    /// payload is not copied. What several connections read is encoded once.
    pub fn poll_wire(&mut self, context: &mut Context<'_>) -> Poll<NextWire> {
        let told = self.poll_log(context, Self::wire);
        told.map(|told| match told {
            Told::Events(wire) => NextWire::Events(wire),
            Told::Missed(missed) => NextWire::Missed(missed),
            Told::Closed(reason) => NextWire::Closed(reason),
        })
    }

    /// Reads what comes next, for every form of it; `take` is given the events and the position before them.
    fn poll_log<T>(
        &mut self,
        context: &mut Context<'_>,
        take: impl FnOnce(&Self, &mut UserState, &Span, u64) -> T,
    ) -> Poll<Told<T>> {
        let mut guard = self.log.lock();
        let state = &mut *guard;
        let watcher = &state.watchers[self.key];
        if let Some(reason) = watcher.closing {
            return Poll::Ready(Told::Closed(reason));
        }
        if let Some(missed) = self.missed.take() {
            return Poll::Ready(Told::Missed(missed));
        }
        let Intake::Cursor(cursor) = &watcher.intake else {
            unreachable!("a subscription's watcher is a cursor")
        };
        // One that waits may be looked at before a flusher has come to it.
        if !cursor.parked || cursor.position < state.last.seq {
            let position = cursor.position;
            if let Some(missed) = self.overflow(state, position, watcher.scope.is_some()) {
                Self::cursor(state, self.key).position = missed.to.seq;
                count(&self.store.inner.stats.gaps_overflow);
                return Poll::Ready(Told::Missed(missed));
            }
            let span = state.span(position, &self.view.view, watcher.scope.as_ref());
            let taken = (span.n_events > 0).then(|| take(self, state, &span, position));
            let cursor = Self::cursor(state, self.key);
            cursor.position = span.read_to;
            cursor.transport = self.transport;
            cursor.n_written = self.n_written;
            if let Some(taken) = taken {
                if std::mem::take(&mut cursor.parked) {
                    cursor.waker = None;
                }
                cursor.behind_since = self.store.inner.clock.now_ms();
                return Poll::Ready(Told::Events(taken));
            }
            cursor.parked = true;
        }
        let cursor = Self::cursor(state, self.key);
        cursor.transport = self.transport;
        cursor.n_written = self.n_written;
        match &mut cursor.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes the wire of a span from whoever has read the same, or makes it.
    fn wire(&self, state: &mut UserState, span: &Span, position: u64) -> Wire {
        let (view, budget) = (self.view.index, &self.store.inner.budget);
        let scope = state.watchers[self.key].scope.as_ref();
        let range = (position, span.read_to);
        if let Some((wire, n_freed)) = state.wires.take(view, scope, range) {
            budget.release(n_freed);
            return wire;
        }
        let wire = {
            let mut frames = self.frames(state, *span, scope);
            if span.n_bytes > Batch::MAX_BYTES
                && let Some((id, frame)) = frames.next()
            {
                Wire::encode_large(id, frame)
            } else {
                Wire::encode(frames, span.n_events, span.n_bytes)
            }
        };
        let is_shared = state.watchers.len() > 1 && !budget.is_exceeded();
        let n_readers = if is_shared {
            state.readers_beside(self.key, position)
        } else {
            0
        };
        if n_readers > 0 {
            let key = WireKey {
                view,
                scope: scope.cloned(),
                from: position,
                to: span.read_to,
            };
            let (n_taken, n_freed) = state.wires.keep(key, wire.clone(), n_readers);
            budget.charge(n_taken);
            budget.release(n_freed);
        }
        wire
    }

    /// Makes the frames of a span.
    fn frames<'a>(
        &'a self,
        state: &'a UserState,
        span: Span,
        scope: Option<&'a Arc<str>>,
    ) -> impl Iterator<Item = (Option<EventId>, Frame)> + 'a {
        let (view, epoch) = (&self.view.view, self.store.inner.epoch);
        state
            .events_of(span, view, scope)
            .map(move |entry| (self.id(entry, epoch), view.frame(entry)))
    }

    /// Waits for the next events and reads them into `batch`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has not been returned is read by the next call.
    pub async fn next(&mut self, batch: &mut Batch) -> Next {
        poll_fn(|context| self.poll_next(context, batch)).await
    }

    fn cursor(state: &mut UserState, key: usize) -> &mut Cursor {
        match &mut state.watchers[key].intake {
            Intake::Cursor(cursor) => cursor,
            Intake::Sender(_) => unreachable!("a subscription's watcher is a cursor"),
        }
    }

    /// Says what this reader was too slow for.
    fn overflow(&self, state: &UserState, position: u64, scoped: bool) -> Option<Missed> {
        let epoch = self.store.inner.epoch;
        let counts = self.store.counts_by_places();
        let missed = state.missed(epoch, position, self.view.view.follows, scoped, counts)?;
        let tag = state.entry(position).map_or(0, |entry| entry.tag);
        let from = Some(EventId::new(epoch, position, tag).to_string());
        Some(Missed {
            reason: GapReason::Overflow,
            from,
            ..missed
        })
    }

    fn id(&self, entry: &Entry, epoch: events_core::Epoch) -> Option<EventId> {
        (!self.view.view.ephemeral).then(|| entry.position().id(epoch))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        let watcher = state.remove(self.key);
        if watcher.holds_slot() {
            self.view.connections.fetch_sub(1, Ordering::Relaxed);
        }
        if state.watchers.len() <= 1 {
            self.store.inner.budget.release(state.wires.clear());
        }
        // While there are others, the log is in use whatever the time.
        if state.watchers.is_empty() {
            state.touched_ms = self.store.inner.clock.now_ms();
        }
        self.store.release_live_buffer(&mut state);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("user", &self.log.user)
            .field("connection", &self.connection)
            .field("stream", &self.view.view.name)
            .finish_non_exhaustive()
    }
}
