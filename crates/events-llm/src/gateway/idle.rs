//! A body that may not be silent for too long.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

/// Why an [`Idle`] body breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdleError<E> {
    #[error("nothing came in time")]
    TimedOut,
    #[error("the body broke off")]
    Body(#[source] E),
}

pin_project! {
    /// A body that fails when its next frame is waited for longer than a limit. A reader that does not ask for it is
    /// no silence of the body.
    pub(crate) struct Idle<B> {
        #[pin]
        inner: B,
        #[pin]
        timer: Sleep,
        limit: Duration,
        is_waiting: bool,
    }
}

impl<B> Idle<B> {
    pub(crate) fn new(inner: B, limit: Duration) -> Self {
        Self {
            inner,
            timer: sleep(limit),
            limit,
            is_waiting: false,
        }
    }
}

impl<B: Body> Body for Idle<B> {
    type Data = B::Data;
    type Error = IdleError<B::Error>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(context) {
            *this.is_waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(IdleError::Body)));
        }
        if !std::mem::replace(this.is_waiting, true) {
            this.timer.as_mut().reset(Instant::now() + *this.limit);
        }
        std::task::ready!(this.timer.poll(context));
        Poll::Ready(Some(Err(IdleError::TimedOut)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for Idle<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}
