//! A reader of one A2A task: the Task object first, then what follows.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use events_broadcast::{Batch, ConnectError, Missed, Next, Start, Subscription, Transport};
use events_core::{ConnectionId, EventId, Frame, TaskId, UserId};
use events_models::{A2AEvent, A2AEventType, TaskState};
use events_sse::{ClosingReason, GapReason};

use crate::{EventRouter, Subscribe, tasks::TaskTelling};

/// When a subscription to a running task ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskEnd {
    /// After a terminal state, as A2A 1.0 (3.1.6) demands.
    #[default]
    Terminal,
    /// Also after a state that waits for somebody (11.7 reads so): input or authentication required.
    Interrupted,
}

impl TaskEnd {
    /// Tells whether nothing comes after a state; no state is that of a message, which is a whole answer.
    fn is_reached(self, state: Option<TaskState>) -> bool {
        state.is_none_or(|state| {
            state.is_terminal() || (self == Self::Interrupted && state.is_interrupted())
        })
    }
}

/// Why a running task cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The user has no such task that is known.
    #[error("task not found")]
    Unknown,
    /// The task has ended, so nothing follows.
    #[error("task is in a terminal state")]
    Ended,
    /// The task has grown beyond what is kept, and its Task object cannot be made.
    #[error("task is too large to be told from its beginning")]
    TooLarge,
    /// There is no connection to be had.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// What a [`TaskSubscription`] hands out next.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a gap and an end are said here"]
pub enum TaskNext {
    /// Events are in the batch.
    Events,
    /// Something was lost, and the task cannot be told anew: it is too large, or was forgotten.
    Missed(Missed),
    /// The task has ended; only of subscriptions to a running task.
    Ended,
    /// The connection has lost its slot and gets nothing more.
    Closed(ClosingReason),
}

/// A connection to one task: the task as it is now, then what follows, in the order of the log.
///
/// # Who sees what
///
/// A reader that is new, or comes back with a cursor that cannot be followed, first gets the Task object. Then every
/// event of the task, once: what the object says and what follows meet without gap and overlap. All readers get the
/// same events in the same order.
///
/// # Slow readers
///
/// Nothing is queued for a reader. One whose position has left the log is given the Task object anew, which says all
/// that it has missed.
///
/// # Closing
///
/// After [`TaskNext::Closed`] or [`TaskNext::Ended`] there is nothing more. Dropping it frees its slot at once.
#[derive(Debug)]
pub struct TaskSubscription {
    router: EventRouter,
    inner: Subscription,
    task: Arc<str>,
    end: Option<TaskEnd>,
    /// The event that says where the task stands, until it is handed out.
    told: Option<Bytes>,
    /// What cannot be told, until it is said.
    missed: Option<Missed>,
    /// The cursor that goes with `told`.
    cursor: EventId,
    has_ended: bool,
    /// For [`TaskSubscription::next_event`].
    read: VecDeque<A2AEvent>,
}

impl TaskSubscription {
    pub(crate) fn attach(wish: Subscribe, task: &TaskId) -> Result<Self, ConnectError> {
        let Subscribe {
            router,
            user,
            attach,
            ..
        } = wish;
        let task = task.to_shared();
        let inner = &router.inner;
        // Under the lane's lock nothing is published: what is told and what follows meet without a seam.
        let attached = inner.lanes.in_lane(&user, &*inner.clock, |state| {
            let is_fresh = attach.start == Start::Now;
            let inner = router
                .a2a()
                .connect(&user, attach.scoped(Arc::clone(&task)))?;
            let mut subscription = Self::new(router.clone(), inner, &task, None);
            let missed = subscription.inner.missed().cloned();
            if is_fresh || missed.is_some() {
                let telling = state.tasks.telling(&task);
                subscription.tell(telling, missed);
            }
            Ok(subscription)
        });
        attached.map_err(ConnectError::NoLog)?
    }

    pub(crate) fn attach_running(
        wish: Subscribe,
        task: &TaskId,
        end: TaskEnd,
    ) -> Result<Self, TaskError> {
        let Subscribe {
            router,
            user,
            attach,
            ..
        } = wish;
        let task = task.to_shared();
        // Whoever asks for what is not there leaves no trace.
        let lane = router.inner.lanes.find(&user).ok_or(TaskError::Unknown)?;
        let mut state = lane.lock();
        let telling = match state.tasks.telling(&task) {
            TaskTelling::Told(_, Some(state)) | TaskTelling::TooLarge(Some(state))
                if state.is_terminal() =>
            {
                return Err(TaskError::Ended);
            }
            TaskTelling::Unknown | TaskTelling::Told(_, None) => return Err(TaskError::Unknown),
            TaskTelling::TooLarge(_) => return Err(TaskError::TooLarge),
            telling @ TaskTelling::Told(..) => telling,
        };
        let attach = events_broadcast::Attach {
            start: Start::Now,
            ..attach
        };
        let inner = router
            .a2a()
            .connect(&user, attach.scoped(Arc::clone(&task)))?;
        let mut subscription = Self::new(router, inner, &task, Some(end));
        subscription.tell(telling, None);
        drop(state);
        Ok(subscription)
    }

    fn new(
        router: EventRouter,
        inner: Subscription,
        task: &Arc<str>,
        end: Option<TaskEnd>,
    ) -> Self {
        Self {
            router,
            cursor: inner.primed(),
            inner,
            task: Arc::clone(task),
            end,
            told: None,
            missed: None,
            has_ended: false,
            read: VecDeque::new(),
        }
    }

    /// Puts in place of all events up to now what is told of them; the lane must be locked.
    fn tell(&mut self, telling: TaskTelling, missed: Option<Missed>) {
        self.cursor = self.inner.skip_to_end();
        match telling {
            TaskTelling::Told(json, state) => {
                self.told = Some(json);
                self.has_ended = self.end.is_some_and(|end| end.is_reached(state));
            }
            TaskTelling::Unknown => {
                self.missed = missed.map(|missed| Missed {
                    to: self.cursor,
                    ..missed
                });
            }
            TaskTelling::TooLarge(state) => {
                self.missed = Some(Missed {
                    reason: missed
                        .as_ref()
                        .map_or(GapReason::Trimmed, |missed| missed.reason),
                    from: missed.and_then(|missed| missed.from),
                    to: self.cursor,
                    lost: None,
                });
                self.has_ended = state
                    .is_some_and(|state| self.end.is_some_and(|end| end.is_reached(Some(state))));
            }
        }
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
        (self.told.is_none() && self.missed.is_none()).then_some(self.cursor)
    }

    /// Reads the next events into `batch`, which is emptied first.
    ///
    /// `Pending` means that there is nothing for this reader now; its task is woken when there is.
    pub fn poll_next(&mut self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<TaskNext> {
        batch.events.clear();
        loop {
            if let Some(json) = self.told.take() {
                batch.events.push((Some(self.cursor), Frame::json(json)));
                return Poll::Ready(TaskNext::Events);
            }
            if let Some(missed) = self.missed.take() {
                return Poll::Ready(TaskNext::Missed(missed));
            }
            if self.has_ended {
                return Poll::Ready(TaskNext::Ended);
            }
            match ready!(self.inner.poll_next(context, batch)) {
                Next::Events => {
                    self.look_for_end(batch);
                    return Poll::Ready(TaskNext::Events);
                }
                Next::Missed(missed) => self.catch_up(missed),
                Next::Closed(reason) => return Poll::Ready(TaskNext::Closed(reason)),
            }
        }
    }

    /// Waits for the next events and reads them into `batch`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has not been returned is read by the next call.
    pub async fn next(&mut self, batch: &mut Batch) -> TaskNext {
        poll_fn(|context| self.poll_next(context, batch)).await
    }

    /// Waits for the next event; none when the subscription has ended. It says nothing of what was missed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: what has not been returned is read by the next call.
    pub async fn next_event(&mut self) -> Option<A2AEvent> {
        let mut batch = Batch::default();
        loop {
            if let Some(event) = self.read.pop_front() {
                return Some(event);
            }
            match self.next(&mut batch).await {
                TaskNext::Events => self.read.extend(
                    // What is in the log was written from a legal event.
                    batch
                        .events
                        .iter()
                        .filter_map(|(_, frame)| A2AEvent::from_json(&frame.data).ok()),
                ),
                TaskNext::Missed(_) => {}
                TaskNext::Ended | TaskNext::Closed(_) => return None,
            }
        }
    }

    /// Notes whether a batch ends the task. Artifacts, which are most events, are not looked into.
    fn look_for_end(&mut self, batch: &mut Batch) {
        let Some(end) = self.end else {
            return;
        };
        let ends = |(_, frame): &(Option<EventId>, Frame)| {
            A2AEventType::of_json(&frame.data)
                .is_some_and(|kind| kind != A2AEventType::ArtifactUpdate)
                && A2AEvent::from_json(&frame.data).is_ok_and(|event| end.is_reached(event.state()))
        };
        if let Some(last) = batch.events.iter().position(ends) {
            batch.events.truncate(last + 1);
            self.has_ended = true;
        }
    }

    /// Brings a reader whose position has left the log to the present.
    fn catch_up(&mut self, missed: Missed) {
        let lane = self.router.inner.lanes.find(self.inner.user());
        let Some(lane) = lane else {
            return self.tell(TaskTelling::Unknown, Some(missed));
        };
        let mut state = lane.lock();
        let telling = state.tasks.telling(&self.task);
        self.tell(telling, Some(missed));
    }
}
