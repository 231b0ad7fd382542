//! One request and its answer, passed on as they are.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{Buf, Bytes};
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{
    AnswerHead, LlmMetrics, Observer, PriceSource, RequestInfo, StreamEventBroadcaster, TapLimits,
    reading::Reading,
    session::{Cause, Session},
};

/// One request to a provider. However it ends, watchers are told so exactly once.
///
/// Dropped without an answer, the client was gone before there was one.
#[must_use = "an exchange that is dropped counts as one whose client has left"]
pub struct Exchange {
    passing: Passing,
    limits: TapLimits,
}

impl Exchange {
    pub(crate) fn begin(
        request: RequestInfo,
        broadcaster: Arc<StreamEventBroadcaster>,
        prices: Arc<dyn PriceSource>,
        metrics: Arc<LlmMetrics>,
        limits: TapLimits,
    ) -> Self {
        Self {
            passing: Passing {
                reading: Reading::Nothing,
                session: Session::begin(request, broadcaster, prices, metrics),
                handed_on: None,
                is_at_end: false,
            },
            limits,
        }
    }

    /// Adds somebody who is told all that is read from the answer.
    pub fn observe(&mut self, observer: Box<dyn Observer>) {
        self.passing.session.observe(observer);
    }

    /// Ends the exchange without an answer. The message is shown to watchers: no address with a key may be in it.
    pub fn fail(mut self, message: impl Into<String>) {
        self.passing.session.end(Cause::NotAnswered(message.into()));
    }

    /// Taps a response; its head is not changed.
    pub fn tap_response<B>(self, response: http::Response<B>) -> http::Response<TappedBody<B>>
    where
        B: Body,
    {
        let (parts, body) = response.into_parts();
        let body = self.tap_body(&AnswerHead::of(parts.status, &parts.headers), body);
        http::Response::from_parts(parts, body)
    }

    /// Taps a body.
    pub fn tap_body<B: Body>(mut self, head: &AnswerHead<'_>, body: B) -> TappedBody<B> {
        self.answer(head);
        self.passing.is_at_end = is_at_end(&body);
        TappedBody {
            inner: body,
            passing: self.passing,
        }
    }

    /// Taps a stream of bytes.
    pub fn tap_stream<S>(mut self, head: &AnswerHead<'_>, stream: S) -> TappedStream<S> {
        self.answer(head);
        TappedStream {
            inner: stream,
            passing: self.passing,
        }
    }

    fn answer(&mut self, head: &AnswerHead<'_>) {
        self.passing.reading = Reading::of(head, &self.limits, &mut self.passing.session);
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("request", self.passing.session.request())
            .finish_non_exhaustive()
    }
}

/// An answer on its way, and its end, also when it is dropped.
struct Passing {
    reading: Reading,
    session: Session,
    /// What was handed on and is not read yet.
    handed_on: Option<Bytes>,
    /// Nothing more will come from the body, though nobody may ask it any more.
    is_at_end: bool,
}

impl Passing {
    /// Keeps a copy of what is handed on now; for [`Bytes`] that is a reference.
    fn hand_on<D: Buf + Clone>(&mut self, data: &D) {
        if !matches!(self.reading, Reading::Nothing) {
            let mut copy = data.clone();
            self.handed_on = Some(copy.copy_to_bytes(copy.remaining()));
        }
    }

    /// Reads what was handed on before.
    fn catch_up(&mut self) {
        if let Some(bytes) = self.handed_on.take() {
            let began = Instant::now();
            self.reading.feed(&bytes, &mut self.session);
            self.session.count_chunk(began.elapsed());
        }
    }

    fn end(&mut self, cause: Cause) {
        self.catch_up();
        if cause == Cause::BodyEnded {
            self.reading.finish(&mut self.session);
        }
        self.session.end(cause);
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // A reader that counts bytes does not ask for the end.
        let cause = if self.is_at_end {
            Cause::BodyEnded
        } else {
            Cause::ReaderLeft
        };
        self.end(cause);
    }
}

/// Whether all data has come, so that a reader may stop asking.
fn is_at_end<B: Body>(body: &B) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

pin_project! {
    /// A body that is read as it passes by: the same frames, size hint and end as the body within.
    ///
    /// A frame is handed on first, and read when the next one is asked for. When this body is dropped before its
    /// end, its reader has left.
    pub struct TappedBody<B> {
        #[pin]
        inner: B,
        passing: Passing,
    }
}

impl<B> Body for TappedBody<B>
where
    B: Body,
    B::Data: Clone,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let polled = this.inner.as_mut().poll_frame(context);
        this.passing.catch_up();
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    this.passing.hand_on(data);
                }
                this.passing.is_at_end = is_at_end(&*this.inner);
            }
            Poll::Ready(Some(Err(_))) => this.passing.end(Cause::BodyFailed),
            Poll::Ready(None) => this.passing.end(Cause::BodyEnded),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for TappedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TappedBody")
            .field("request", self.passing.session.request())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A stream of bytes that is read as it passes by, as [`TappedBody`] is.
    pub struct TappedStream<S> {
        #[pin]
        inner: S,
        passing: Passing,
    }
}

impl<S, D, E> Stream for TappedStream<S>
where
    S: Stream<Item = Result<D, E>>,
    D: Buf + Clone,
{
    type Item = Result<D, E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let polled = this.inner.poll_next(context);
        this.passing.catch_up();
        match &polled {
            Poll::Ready(Some(Ok(data))) => this.passing.hand_on(data),
            Poll::Ready(Some(Err(_))) => this.passing.end(Cause::BodyFailed),
            Poll::Ready(None) => this.passing.end(Cause::BodyEnded),
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<S> fmt::Debug for TappedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TappedStream")
            .field("request", self.passing.session.request())
            .finish_non_exhaustive()
    }
}
