//! Streams of an application's own handlers, which a drain ends as it ends ours.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    task::{self, Context, Poll},
};

use axum::{body::Body, extract::State, http::header, response::Response};
use bytes::Bytes;
use events_sse::ClosingReason;
use http_body::{Body as HttpBody, Frame};
use tokio::time::{Sleep, sleep_until};

use crate::{StreamState, drain::Drain, head::last_bytes};

/// Says that an answer is a stream that looks after its end itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndsItself;

/// Has a drain end the event streams of your own handlers: put it around your application.
///
/// Such a stream never ends by itself, so that a server that waits for it never does either. Each gets a place in the
/// drain window as the streams of this crate do, and ends there, between two of its body's frames (axum's `Sse` has a
/// frame for each event): a jittered `retry:`, a `closing` frame with the reason `draining`, and a clean end. Streams of
/// this crate, and answers that are no event streams or have a content coding, are left alone.
///
/// ```
/// use axum::{Router, middleware::map_response_with_state, routing::get};
/// use events_axum::{StreamState, end_on_drain};
/// use events_router::EventRouter;
///
/// # async fn your_stream() {}
/// let state = StreamState::new(EventRouter::default());
/// let app: Router = Router::new()
///     .route("/your/stream", get(your_stream))
///     .layer(map_response_with_state(state.clone(), end_on_drain));
/// // axum::serve(listener, app).with_graceful_shutdown(state.drain_on(signal))
/// # let _ = app;
/// ```
///
/// The future is ready: it is one because that is what `map_response_with_state` takes.
pub fn end_on_drain(State(state): State<StreamState>, response: Response) -> Ready<Response> {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_stream = content_type.is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(events_sse::CONTENT_TYPE.as_bytes())
    });
    let is_for_us = is_stream
        && !response.headers().contains_key(header::CONTENT_ENCODING)
        && response.extensions().get::<EndsItself>().is_none();
    if !is_for_us {
        return ready(response);
    }
    let mut response = response.map(|body| Body::new(Wrapped::new(body, &state)));
    response.extensions_mut().insert(EndsItself);
    ready(response)
}

/// A body that a drain ends.
struct Wrapped {
    /// Gone at the end.
    inner: Option<Body>,
    drain: Drain,
    /// Completes when a drain begins.
    begun: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// When this one ends, once a drain has begun.
    end: Option<Pin<Box<Sleep>>>,
}

impl Wrapped {
    fn new(inner: Body, state: &StreamState) -> Self {
        let drain = state.inner.drain.clone();
        let begun = {
            let drain = drain.clone();
            Box::pin(async move { drain.begun().await })
        };
        Self {
            inner: Some(inner),
            drain,
            begun: Some(begun),
            end: None,
        }
    }

    /// Ready when a drain has begun and this stream's time has come.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(begun) = &mut self.begun {
            task::ready!(begun.as_mut().poll(context));
            self.begun = None;
            self.end = self.drain.next_end().map(|end| Box::pin(sleep_until(end)));
        }
        match &mut self.end {
            Some(end) => end.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

impl HttpBody for Wrapped {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.inner.is_none() {
            return Poll::Ready(None);
        }
        if self.poll_end(context).is_ready() {
            // What the handler holds is free at once.
            self.inner = None;
            let last = last_bytes(ClosingReason::Draining, true);
            return Poll::Ready(Some(Ok(Frame::data(last.into()))));
        }
        match &mut self.inner {
            Some(inner) => Pin::new(inner).poll_frame(context),
            None => Poll::Ready(None),
        }
    }
}
