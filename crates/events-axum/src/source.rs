//! What a stream reads: a user's log, or one thread or task of it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use events_broadcast::{Batch, Missed, NextWire, Subscription, Transport, Wire};
use events_core::{ConnectionId, EventId, UserId};
use events_models::{A2AEvent, a2a::A2AVersion};
use events_router::{TaskNext, TaskSubscription, ThreadNext, ThreadSubscription};
use events_sse::ClosingReason;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{agents::Opening, frames::Frames};

/// What comes next on a stream.
pub(crate) enum Step {
    /// Events as they go out.
    Wire(Wire),
    /// Events that are still to be written.
    Events(Batch),
    /// Something was lost, and the client must be told.
    Missed(Missed),
    /// The slot is lost.
    Closed(ClosingReason),
    /// What the client asked for has ended, by this name.
    Ended(&'static str),
}

pub(crate) enum Source {
    /// All that a broadcaster carries for the user.
    Log(Subscription),
    /// One thread, with its prelude.
    Thread {
        subscription: Box<ThreadSubscription>,
        /// When a client that waits for an unknown thread is answered at the latest.
        waits: Option<Pin<Box<Sleep>>>,
        /// How its run began for the client that asked for it.
        opening: Option<Box<Opening>>,
    },
    /// One task, which begins with the Task.
    Task {
        subscription: Box<TaskSubscription>,
        /// The version of an official client, which cannot be told of a gap.
        official: Option<A2AVersion>,
    },
    /// Frames of another origin than a log.
    Frames(Box<Frames>),
}

impl Source {
    pub(crate) fn thread(subscription: ThreadSubscription, waits_until: Option<Instant>) -> Self {
        Self::Thread {
            waits: waits_until.map(|until| Box::pin(sleep_until(until))),
            subscription: Box::new(subscription),
            opening: None,
        }
    }

    /// The run that a client has asked an agent for, from its beginning.
    pub(crate) fn run(subscription: ThreadSubscription, opening: Opening) -> Self {
        Self::Thread {
            waits: None,
            subscription: Box::new(subscription),
            opening: Some(Box::new(opening)),
        }
    }

    /// A task for a client that can be told of gaps.
    pub(crate) fn task(subscription: TaskSubscription) -> Self {
        Self::Task {
            subscription: Box::new(subscription),
            official: None,
        }
    }

    /// A task for an official client of a version.
    pub(crate) fn official_task(subscription: TaskSubscription, version: A2AVersion) -> Self {
        Self::Task {
            subscription: Box::new(subscription),
            official: Some(version),
        }
    }

    pub(crate) const fn connection(&self) -> &ConnectionId {
        match self {
            Self::Log(subscription) => subscription.connection(),
            Self::Thread { subscription, .. } => subscription.connection(),
            Self::Task { subscription, .. } => subscription.connection(),
            Self::Frames(frames) => frames.connection(),
        }
    }

    pub(crate) fn user(&self) -> &UserId {
        match self {
            Self::Log(subscription) => subscription.user(),
            Self::Thread { subscription, .. } => subscription.user(),
            Self::Task { subscription, .. } => subscription.user(),
            Self::Frames(frames) => frames.user(),
        }
    }

    /// Returns when the event was appended that was read last, in milliseconds of the log's clock; none if it is gone
    /// or nobody knows.
    pub(crate) fn last_read_ms(&self) -> Option<i64> {
        match self {
            Self::Log(subscription) => subscription.last_read_ms(),
            Self::Thread { subscription, .. } => subscription.last_read_ms(),
            Self::Task { subscription, .. } => subscription.last_read_ms(),
            Self::Frames(_) => None,
        }
    }

    /// Notes for operators by what the client is written to, and so many more bytes on that way.
    pub(crate) fn note_written(&mut self, transport: Transport, n_bytes: usize) {
        match self {
            Self::Log(subscription) => subscription.note_written(transport, n_bytes),
            Self::Thread { subscription, .. } => subscription.note_written(transport, n_bytes),
            Self::Task { subscription, .. } => subscription.note_written(transport, n_bytes),
            // Frames of another origin are in no list.
            Self::Frames(_) => {}
        }
    }

    /// Returns the cursor that the client may come back with at once; none if something must be told first.
    pub(crate) fn primed(&self) -> Option<EventId> {
        match self {
            Self::Log(subscription) => subscription
                .missed()
                .is_none()
                .then(|| subscription.primed()),
            Self::Thread { subscription, .. } => subscription.primed(),
            Self::Task { subscription, .. } => subscription.primed(),
            Self::Frames(_) => None,
        }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        // Without an allocation until there is an event.
        let mut batch = Batch::default();
        match self {
            Self::Log(subscription) => subscription.poll_wire(context).map(|next| match next {
                NextWire::Events(wire) => Step::Wire(wire),
                NextWire::Missed(missed) => Step::Missed(missed),
                NextWire::Closed(reason) => Step::Closed(reason),
            }),
            Self::Thread {
                subscription,
                waits,
                opening,
            } => {
                let held = opening.as_mut().and_then(|opening| opening.held.take());
                let mut next = if let Some(held) = held {
                    batch = held;
                    Poll::Ready(ThreadNext::Events)
                } else {
                    subscription.poll_next(context, &mut batch)
                };
                if let (Poll::Ready(ThreadNext::Events), Some(open)) = (&next, opening.as_mut()) {
                    batch = std::task::ready!(open.poll_batch(context, batch));
                    *opening = None;
                }
                if next.is_pending()
                    && let Some(wait) = waits
                    && wait.as_mut().poll(context).is_ready()
                {
                    *waits = None;
                    subscription.stop_waiting();
                    next = subscription.poll_next(context, &mut batch);
                }
                next.map(|next| match next {
                    ThreadNext::Events => Step::Events(batch),
                    ThreadNext::Closed(reason) => Step::Closed(reason),
                    ThreadNext::Ended => Step::Ended("run_ended"),
                })
            }
            Self::Task {
                subscription,
                official,
            } => {
                let next = std::task::ready!(subscription.poll_next(context, &mut batch));
                Poll::Ready(match (next, official) {
                    (TaskNext::Events, Some(A2AVersion::V0_3)) => write_v0_3(batch),
                    (TaskNext::Events, _) => Step::Events(batch),
                    (TaskNext::Missed(missed), None) => Step::Missed(missed),
                    // The task cannot be told anew, and a stream with a hole would look whole.
                    (TaskNext::Missed(_), Some(_)) => Step::Closed(ClosingReason::Slow),
                    (TaskNext::Closed(reason), _) => Step::Closed(reason),
                    (TaskNext::Ended, _) => Step::Ended("task_ended"),
                })
            }
            Self::Frames(frames) => frames.poll_next(context),
        }
    }
}

/// Gives events the form of 0.3.
fn write_v0_3(mut batch: Batch) -> Step {
    for (_, frame) in &mut batch.events {
        let mut json = Vec::with_capacity(frame.data.len() + 64);
        let event = A2AEvent::from_json(&frame.data);
        // What is in the log was written from a legal event, and every event has a form in 0.3.
        if !event.is_ok_and(|event| event.write_json_v0_3(&mut json).is_ok()) {
            return Step::Closed(ClosingReason::Other);
        }
        frame.data = json.into();
    }
    Step::Events(batch)
}
