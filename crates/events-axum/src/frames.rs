//! Streams of frames that come from elsewhere than a user's log, for operators.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use events_broadcast::Batch;
use events_core::{ConnectionId, Frame, UserId};
use events_sse::ClosingReason;
use futures_util::{Stream, StreamExt as _};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

use crate::{
    Problem, RequestContext, StreamState,
    drain::Drain,
    head::come_back_later,
    metrics::Bound,
    query::StreamQuery,
    revocations::Ended,
    source::{Source, Step},
    streams::stream,
};

/// How long frames are gathered after some were sent, so that a busy stream is written in pieces and not frame by
/// frame: people who watch do not see the difference, and those who are watched do not pay for each watcher.
const PACE: Duration = Duration::from_millis(20);

impl StreamState {
    /// Makes a GET stream of frames for operators, with the head, the heartbeats and the drain of all other streams.
    ///
    /// `open` makes the frames of one connection; they are asked for only as fast as the client reads,
    /// and gathered for 20 ms after some were sent. The stream has
    /// no ids, so a client that comes back begins anew. At most `most` clients read at the same time; each also has
    /// one of the places of all streams. `name` is that of the stream in metrics and spans.
    pub fn operator_stream<S>(
        &self,
        name: &'static str,
        most: usize,
        open: impl Fn() -> S + Clone + Send + Sync + 'static,
    ) -> MethodRouter
    where
        S: Stream<Item = Frame> + Send + 'static,
    {
        let state = self.clone();
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        get(async move |context: RequestContext, query: StreamQuery| {
            state.open_frames(name, &places, &context, &query, open)
        })
    }

    fn open_frames<S>(
        &self,
        name: &'static str,
        places: &Arc<Semaphore>,
        context: &RequestContext,
        query: &StreamQuery,
        open: impl FnOnce() -> S,
    ) -> Response
    where
        S: Stream<Item = Frame> + Send + 'static,
    {
        if !context.is_operator() {
            return Problem::not_operator("only an operator may read this stream").into_response();
        }
        let place = match self.place(context) {
            Ok(place) => place,
            Err(answer) => return *answer,
        };
        let Ok(own_place) = Arc::clone(places).try_acquire_owned() else {
            self.inner.metrics.hit(Bound::Streams);
            return come_back_later();
        };
        let source = Frames {
            frames: Box::pin(open().fuse()),
            _place: own_place,
            stash: None,
            rest: None,
            user: context.user_id().clone(),
            connection: ConnectionId::generate(),
            drain: Some(begun(self.inner.drain.clone())),
            closed: Some(closed(self, context.user_id().clone())),
        };
        let manner = self.manner(name, context, query, false, place);
        stream(Source::Frames(Box::new(source)), manner, (None, None))
    }
}

/// Waits for the beginning of a drain.
fn begun(drain: Drain) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move { drain.begun().await })
}

/// Waits until the user's streams are ended.
fn closed(
    state: &StreamState,
    user: UserId,
) -> Pin<Box<dyn Future<Output = ClosingReason> + Send>> {
    // Listens from here on, not from the first poll.
    let since_ms = state.router().clock().now_ms();
    let mut closings = state.inner.revocations.closings(user, since_ms);
    Box::pin(async move {
        match closings.next().await {
            Ended::Revoked => ClosingReason::Revoked,
            Ended::Closed { .. } => ClosingReason::MaxAge,
        }
    })
}

/// Frames on their way to one client.
pub(crate) struct Frames {
    frames: Pin<Box<dyn Stream<Item = Frame> + Send>>,
    /// A large frame that has to come alone.
    stash: Option<Frame>,
    /// Until when frames are gathered before they are looked at again.
    rest: Option<Pin<Box<Sleep>>>,
    /// The place among those who read this stream.
    _place: OwnedSemaphorePermit,
    user: UserId,
    connection: ConnectionId,
    /// Wakes the body when a drain begins; nothing else does while no frame comes.
    drain: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Completes when the user's streams are ended.
    closed: Option<Pin<Box<dyn Future<Output = ClosingReason> + Send>>>,
}

impl Frames {
    pub(crate) const fn connection(&self) -> &ConnectionId {
        &self.connection
    }

    pub(crate) const fn user(&self) -> &UserId {
        &self.user
    }

    /// Takes what is there, up to a batch.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if let Some(drain) = &mut self.drain
            && drain.as_mut().poll(context).is_ready()
        {
            self.drain = None;
            context.waker().wake_by_ref();
        }
        if let Some(closed) = &mut self.closed
            && let Poll::Ready(reason) = closed.as_mut().poll(context)
        {
            self.closed = None;
            return Poll::Ready(Step::Closed(reason));
        }
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
        }
        let (mut batch, mut n_bytes) = (Batch::default(), 0);
        while batch.events.len() < Batch::MAX_EVENTS && n_bytes < Batch::MAX_BYTES {
            let next = match self.stash.take() {
                Some(frame) => Poll::Ready(Some(frame)),
                None => self.frames.as_mut().poll_next(context),
            };
            let frame = match next {
                Poll::Ready(Some(frame)) => frame,
                Poll::Ready(None) if batch.events.is_empty() => {
                    return Poll::Ready(Step::Ended("ended"));
                }
                Poll::Ready(None) | Poll::Pending => break,
            };
            if frame.data.len() > Batch::MAX_BYTES && !batch.events.is_empty() {
                self.stash = Some(frame);
                break;
            }
            n_bytes += frame.data.len();
            batch.events.push((None, frame));
        }
        if batch.events.is_empty() {
            return Poll::Pending;
        }
        // Whoever is behind goes on at once.
        let is_full = batch.events.len() == Batch::MAX_EVENTS || n_bytes >= Batch::MAX_BYTES;
        if !is_full && self.stash.is_none() {
            self.rest = Some(Box::pin(sleep(PACE)));
        }
        Poll::Ready(Step::Events(batch))
    }
}
