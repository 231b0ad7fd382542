//! For handlers that are written by hand around a broadcaster.

use std::{
    borrow::Borrow,
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::Body,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive},
    },
};
use events_broadcast::{Attach, ConnectionGuard, GenericBroadcaster};
use events_core::{Clock as _, SystemClock};
use events_sse::{HEARTBEAT_INTERVAL, HEARTBEAT_JSON};
use futures_util::Stream;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    Problem, RequestContext,
    body::{EventBody, Manner},
    head::stream_response,
    query::HeartbeatForm,
    source::Source,
    tenure::Tenure,
};

/// Answers with a live stream of a broadcaster's events for the context's user: ids, heartbeats, gaps, a slot that
/// is freed when the client leaves. At the cap the answer is 429.
///
/// `name` is the stream's name in logs. The stream begins with the next event; for resume, threads and drain use
/// [`stream_router`](crate::stream_router).
///
/// # Cancel safety
///
/// Completes at its first poll.
pub async fn create_sse_stream<E>(
    context: impl Borrow<RequestContext>,
    broadcaster: &GenericBroadcaster<E>,
    name: &str,
) -> Response {
    let subscription = match broadcaster.connect(context.borrow().user_id(), Attach::now()) {
        Ok(subscription) => subscription,
        Err(error) => return Problem::from(error).into_response(),
    };
    let manner = Manner {
        heartbeat: HEARTBEAT_INTERVAL,
        heartbeat_form: HeartbeatForm::Comment,
        has_control: true,
        has_ids: !broadcaster.is_ephemeral(),
        is_cut_short: false,
        before: None,
        state: None,
        name: name.to_owned().into(),
        tenure: Tenure::of(context.borrow(), SystemClock.now_ms()),
        _place: None,
    };
    stream_response(Body::new(EventBody::new(
        Source::Log(subscription),
        manner,
        None,
    )))
}

/// The keep-alive of a hand-made axum `Sse`: a heartbeat comment after 15 seconds of silence.
pub fn standard_keep_alive() -> KeepAlive {
    KeepAlive::new()
        .interval(HEARTBEAT_INTERVAL)
        .text(HEARTBEAT_JSON)
}

/// A stream that owns its connection's guard: when the response is dropped, the slot is free.
///
/// ```
/// use axum::response::Sse;
/// use events_axum::{StreamWithGuard, standard_keep_alive};
/// use events_broadcast::ConnectionGuard;
/// use events_core::{Broadcaster, ConnectionId, SSE_BUFFER, UserId};
/// use events_router::AGUI_BROADCASTER;
/// use tokio_stream::wrappers::ReceiverStream;
///
/// # async fn handler(user: UserId) -> impl axum::response::IntoResponse {
/// let connection = ConnectionId::generate();
/// let (sender, receiver) = tokio::sync::mpsc::channel(SSE_BUFFER);
/// AGUI_BROADCASTER.register(&user, &connection, sender).await;
/// let guard = ConnectionGuard::new(&AGUI_BROADCASTER, user, connection);
/// Sse::new(StreamWithGuard::new(ReceiverStream::new(receiver), guard)).keep_alive(standard_keep_alive())
/// # }
/// ```
pub struct StreamWithGuard<E, S = ReceiverStream<Result<Event, Infallible>>> {
    stream: S,
    guard: ConnectionGuard<E>,
}

impl<E, S> StreamWithGuard<E, S> {
    /// Ties a stream to a guard.
    pub const fn new(stream: S, guard: ConnectionGuard<E>) -> Self {
        Self { stream, guard }
    }
}

impl<E, S: Stream + Unpin> Stream for StreamWithGuard<E, S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.stream).poll_next(context)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<E, S> fmt::Debug for StreamWithGuard<E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWithGuard")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}
