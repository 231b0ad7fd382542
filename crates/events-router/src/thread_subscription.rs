//! A reader of one thread that is never told of a gap.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use events_broadcast::{Batch, ConnectError, Next, Subscription, Transport};
use events_core::{ConnectionId, EventId, Frame, TaskId, ThreadId, UserId};
use events_models::{
    AgUiEvent, AgUiEventType, RunAgentInput,
    agui::{
        StateSnapshot,
        fold::{Generation, OpenSet, Reader},
        legacy,
    },
};
use events_sse::ClosingReason;

use crate::{
    EventRouter, Subscribe,
    telling::{self, Telling},
};

/// What a [`ThreadSubscription`] hands out next.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an end is said here"]
pub enum ThreadNext {
    /// Events are in the batch.
    Events,
    /// The run that an official client asked for has ended.
    Ended,
    /// The connection has lost its slot and gets nothing more.
    Closed(ClosingReason),
}

/// A connection to one thread: what has been said so far, then what is said, in a form that official AG-UI clients
/// accept at any moment.
///
/// # Who sees what
///
/// A reader that is new, or comes back with a cursor that cannot be followed, first gets the thread's prelude: the
/// shortest valid events that put it in the right state. Then every event of the thread, once, in the log's order.
/// Only the last event of a prelude has an id, so a cut inside it brings the whole prelude again.
///
/// # Slow readers
///
/// Nothing is queued for a reader. One whose position has left the log is caught up: it gets the ends of what it has
/// open and is over, snapshots, and the beginnings of what is open now. It is never told of a gap.
///
/// # Closing
///
/// After [`ThreadNext::Closed`] or [`ThreadNext::Ended`] there is nothing more. Dropping it frees its slot at once.
#[derive(Debug)]
pub struct ThreadSubscription {
    router: EventRouter,
    inner: Subscription,
    thread: Arc<str>,
    input: Option<Box<RunAgentInput>>,
    generation: Generation,
    /// What this reader has been sent the beginning of and not the end.
    open: OpenSet,
    /// What stands for events that this reader is not sent, as far as it has not been handed out.
    told: VecDeque<Bytes>,
    /// The cursor that the last of [`ThreadSubscription::told`] gets.
    cursor: EventId,
    is_known: bool,
    /// The run that this reader has asked for and that has not begun for it: nothing is told before.
    awaits: Option<TaskId>,
    /// This reader has asked for the run, so it knows with which state it began.
    has_asked: bool,
    /// For this reader the active run is over: it was told that the thread is too large.
    is_cut_off: bool,
    /// Nothing follows what has been told.
    has_ended: bool,
    /// For [`ThreadSubscription::next_event`].
    read: VecDeque<AgUiEvent>,
}

impl ThreadSubscription {
    pub(crate) fn attach(wish: Subscribe, thread: &ThreadId) -> Result<Self, ConnectError> {
        let Subscribe {
            router,
            user,
            attach,
            input,
            generation,
            awaits,
        } = wish;
        let thread = thread.to_shared();
        let lanes = &router.inner.lanes;
        // Under the lane's lock nothing is published: what is told and what follows meet without a seam.
        let attached = lanes.in_lane(&user, &*router.inner.clock, |state| {
            let is_fresh = attach.start == events_broadcast::Start::Now;
            let mut inner = router
                .agui()
                .connect(&user, attach.scoped(Arc::clone(&thread)))?;
            if awaits.is_some() {
                let cursor = inner.skip_to_end();
                return Ok((inner, cursor, Telling::nothing()));
            }
            let reader = reader(input.as_deref(), generation);
            if is_fresh || inner.missed().is_some() {
                let cursor = inner.skip_to_end();
                return Ok((inner, cursor, state.threads.prelude(&thread, &reader)));
            }
            let after = inner.unread(|json| {
                AgUiEventType::of_json(json).is_some_and(AgUiEventType::is_structural)
            });
            let after: Vec<_> = after
                .iter()
                .filter_map(|json| AgUiEvent::from_json(json).ok())
                .collect();
            let head = state.threads.open(&thread);
            let telling = Telling {
                open: OpenSet::before(&head, &after),
                ..Telling::nothing()
            };
            let cursor = inner.primed();
            Ok((inner, cursor, telling))
        });
        let (inner, cursor, telling) = attached.map_err(ConnectError::NoLog)??;
        let is_over = !telling.is_active || telling.is_cut_off;
        let has_ended = input.is_some() && telling.is_known && is_over;
        Ok(Self {
            inner,
            thread,
            input,
            generation,
            open: telling.open,
            told: telling.events.iter().cloned().collect(),
            cursor,
            is_known: telling.is_known,
            has_asked: awaits.is_some(),
            awaits,
            is_cut_off: telling.is_cut_off,
            has_ended,
            read: VecDeque::new(),
            router,
        })
    }

    /// Returns the connection's id.
    #[must_use]
    pub const fn connection(&self) -> &ConnectionId {
        self.inner.connection()
    }

    /// Returns the user.
    #[must_use]
    pub fn user(&self) -> &UserId {
        self.inner.user()
    }

    /// Returns when the event that was read last was appended, in milliseconds of the log's clock; none if it is gone.
    #[must_use]
    pub fn last_read_ms(&self) -> Option<i64> {
        self.inner.last_read_ms()
    }

    /// Notes by what this reader's events go to its client, and so many more bytes on that way.
    pub const fn note_written(&mut self, transport: Transport, n_bytes: usize) {
        self.inner.note_written(transport, n_bytes);
    }

    /// Returns the cursor with which a client can come back before it has seen an event; none if it is told
    /// something first.
    #[must_use]
    pub fn primed(&self) -> Option<EventId> {
        self.told.is_empty().then_some(self.cursor)
    }

    /// Tells whether anything had been said in the thread when this reader came.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// Ends an official client's wait for a thread that nothing has been said in: it gets an empty run in its own
    /// ids. No effect on others, or once something has been said.
    pub fn stop_waiting(&mut self) {
        if let Some(input) = &self.input
            && !self.is_known
        {
            let reader = reader(Some(&**input), self.generation);
            self.told
                .extend(telling::empty_run(&reader).iter().cloned());
            self.has_ended = true;
        }
    }

    /// Reads the next events into `batch`, which is emptied first.
    ///
    /// `Pending` means that there is nothing for this reader now; its task is woken when there is.
    pub fn poll_next(&mut self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<ThreadNext> {
        batch.events.clear();
        loop {
            if !self.told.is_empty() {
                self.hand_out(batch);
                return Poll::Ready(ThreadNext::Events);
            }
            if self.has_ended {
                return Poll::Ready(ThreadNext::Ended);
            }
            match ready!(self.inner.poll_next(context, batch)) {
                Next::Events => {
                    self.follow(batch);
                    if !batch.events.is_empty() {
                        return Poll::Ready(ThreadNext::Events);
                    }
                }
                Next::Missed(_) => self.catch_up(),
                Next::Closed(reason) => return Poll::Ready(ThreadNext::Closed(reason)),
            }
        }
    }

    /// Waits for the next events and reads them into `batch`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has not been returned is read by the next call.
    pub async fn next(&mut self, batch: &mut Batch) -> ThreadNext {
        poll_fn(|context| self.poll_next(context, batch)).await
    }

    /// Waits for the next event; none when the subscription has ended.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has not been returned is read by the next call.
    pub async fn next_event(&mut self) -> Option<AgUiEvent> {
        let mut batch = Batch::default();
        loop {
            if let Some(event) = self.read.pop_front() {
                return Some(event);
            }
            match self.next(&mut batch).await {
                ThreadNext::Events => self.read.extend(
                    // What is in the log was written from a legal event.
                    batch
                        .events
                        .iter()
                        .filter_map(|(_, frame)| AgUiEvent::from_json(&frame.data).ok()),
                ),
                ThreadNext::Ended | ThreadNext::Closed(_) => return None,
            }
        }
    }

    /// Moves a batch of what is told out; the last of all gets the cursor.
    fn hand_out(&mut self, batch: &mut Batch) {
        let mut bytes = 0;
        while let Some(json) = self.told.front() {
            bytes += json.len();
            let is_full = batch.events.len() == Batch::MAX_EVENTS || bytes > Batch::MAX_BYTES;
            if is_full && !batch.events.is_empty() {
                return;
            }
            if let Some(json) = self.told.pop_front() {
                let id = self.told.is_empty().then_some(self.cursor);
                batch.events.push((id, Frame::json(json)));
            }
        }
    }

    /// Notes what a batch begins and ends for this reader, and gives it the form that the reader knows.
    fn follow(&mut self, batch: &mut Batch) {
        self.is_known = true;
        self.seed(batch);
        let (open, generation, ends) = (&mut self.open, self.generation, self.input.is_some());
        let (has_ended, is_cut_off) = (&mut self.has_ended, &mut self.is_cut_off);
        let awaits = &mut self.awaits;
        batch.events.retain_mut(|(_, frame)| {
            if *has_ended || awaits.as_ref().is_some_and(|run| !begins(&frame.data, run)) {
                return false;
            }
            *awaits = None;
            let Some(kind) = AgUiEventType::of_json(&frame.data) else {
                return !*is_cut_off;
            };
            // After RUN_ERROR nothing is valid but the next run.
            *is_cut_off &= kind != AgUiEventType::RunStarted;
            if *is_cut_off {
                return false;
            }
            let is_legacy = generation == Generation::V0_0_59 && legacy::may_differ(kind);
            if !kind.is_structural() && !is_legacy {
                return true;
            }
            let Ok(event) = AgUiEvent::from_json(&frame.data) else {
                return true;
            };
            open.see(&event);
            *has_ended =
                ends && matches!(kind, AgUiEventType::RunFinished | AgUiEventType::RunError);
            if !is_legacy || !legacy::differs(&event) {
                return true;
            }
            match legacy::to_v0_0_59(event) {
                Some(event) => {
                    let mut json = Vec::new();
                    let is_written = event.write_json(&mut json).is_ok();
                    frame.data = json.into();
                    is_written
                }
                None => false,
            }
        });
    }

    /// Puts the state with which a run begins behind its RUN_STARTED, for an official client: it takes the messages
    /// of a run's input from there, and not the state, which it would have sent itself.
    fn seed(&self, batch: &mut Batch) {
        if self.input.is_none() || self.has_asked {
            return;
        }
        for at in (0..batch.events.len()).rev() {
            let (id, frame) = &mut batch.events[at];
            if AgUiEventType::of_json(&frame.data) != Some(AgUiEventType::RunStarted) {
                continue;
            }
            let Ok(AgUiEvent::RunStarted(start)) = AgUiEvent::from_json(&frame.data) else {
                continue;
            };
            let Some(state) = start.input.and_then(|input| input.state) else {
                continue;
            };
            let mut json = Vec::new();
            let snapshot = AgUiEvent::from(StateSnapshot::new(state));
            if snapshot.write_json(&mut json).is_ok() {
                // Whoever comes back with the id has seen both.
                let id = id.take();
                batch.events.insert(at + 1, (id, Frame::json(json)));
            }
        }
    }

    /// Brings a reader whose position has left the log to the present.
    fn catch_up(&mut self) {
        let Self {
            router,
            inner,
            thread,
            input,
            generation,
            open,
            awaits,
            ..
        } = self;
        let user = inner.user().clone();
        let reader = reader(input.as_deref(), *generation);
        let caught_up = router
            .inner
            .lanes
            .in_lane(&user, &*router.inner.clock, |state| {
                let cursor = inner.skip_to_end();
                let telling = match awaits.take() {
                    None => state.threads.catch_up(thread, open, &reader),
                    Some(_) => state.threads.prelude(thread, &reader),
                };
                (cursor, telling)
            });
        match caught_up {
            Ok((cursor, telling)) => {
                self.cursor = cursor;
                self.open = telling.open;
                self.told = telling.events.iter().cloned().collect();
                self.is_cut_off = telling.is_cut_off;
                let is_over = !telling.is_active || telling.is_cut_off;
                self.has_ended = self.input.is_some() && is_over;
            }
            // There is no room for the user's lane: without it nothing is known of the thread either.
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "reader not caught up"
                );
                self.has_ended = true;
            }
        }
    }
}

/// Tells whether an event begins this run.
fn begins(json: &[u8], run: &TaskId) -> bool {
    AgUiEventType::of_json(json) == Some(AgUiEventType::RunStarted)
        && AgUiEvent::from_json(json).is_ok_and(|event| event.run_id() == Some(run.as_str()))
}

const fn reader(input: Option<&RunAgentInput>, generation: Generation) -> Reader<'_> {
    Reader { input, generation }
}
