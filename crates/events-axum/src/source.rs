//! What a stream reads: a user's log, or one thread of it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use events_broadcast::{Batch, Missed, Next, Subscription};
use events_core::{ConnectionId, EventId, UserId};
use events_router::{ThreadNext, ThreadSubscription};
use events_sse::ClosingReason;
use tokio::time::{Instant, Sleep, sleep_until};

/// What comes next on a stream.
pub(crate) enum Step {
    /// Events are in the batch.
    Events,
    /// Something was lost, and the client must be told.
    Missed(Missed),
    /// The slot is lost.
    Closed(ClosingReason),
    /// What the client asked for has ended.
    Ended,
}

pub(crate) enum Source {
    /// All that a broadcaster carries for the user, or what of it has one scope.
    Log(Subscription),
    /// One thread, with its prelude.
    Thread {
        subscription: Box<ThreadSubscription>,
        /// When a client that waits for an unknown thread is answered at the latest.
        waits: Option<Pin<Box<Sleep>>>,
    },
}

impl Source {
    pub(crate) fn thread(subscription: ThreadSubscription, waits_until: Option<Instant>) -> Self {
        Self::Thread {
            waits: waits_until.map(|until| Box::pin(sleep_until(until))),
            subscription: Box::new(subscription),
        }
    }

    pub(crate) const fn connection(&self) -> &ConnectionId {
        match self {
            Self::Log(subscription) => subscription.connection(),
            Self::Thread { subscription, .. } => subscription.connection(),
        }
    }

    pub(crate) fn user(&self) -> &UserId {
        match self {
            Self::Log(subscription) => subscription.user(),
            Self::Thread { subscription, .. } => subscription.user(),
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
        }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<Step> {
        match self {
            Self::Log(subscription) => {
                subscription
                    .poll_next(context, batch)
                    .map(|next| match next {
                        Next::Events => Step::Events,
                        Next::Missed(missed) => Step::Missed(missed),
                        Next::Closed(reason) => Step::Closed(reason),
                    })
            }
            Self::Thread {
                subscription,
                waits,
            } => {
                let mut next = subscription.poll_next(context, batch);
                if next.is_pending()
                    && let Some(wait) = waits
                    && wait.as_mut().poll(context).is_ready()
                {
                    *waits = None;
                    subscription.stop_waiting();
                    next = subscription.poll_next(context, batch);
                }
                next.map(|next| match next {
                    ThreadNext::Events => Step::Events,
                    ThreadNext::Closed(reason) => Step::Closed(reason),
                    ThreadNext::Ended => Step::Ended,
                })
            }
        }
    }
}
