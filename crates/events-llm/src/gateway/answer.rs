//! An answer on its way to a client, and what it holds until it is gone.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;

/// What a request takes up until its end.
pub(crate) struct Hold {
    /// A place among all requests.
    pub(crate) _stream: OwnedSemaphorePermit,
    /// The gateway, whose connections end with it.
    pub(crate) _gateway: Arc<Shared>,
}

pin_project! {
    /// A body that frees what its request took up when it is dropped, after what is within.
    pub(crate) struct Held<B, H> {
        #[pin]
        inner: B,
        hold: H,
        // The method was HEAD: no length is made up for a body that is not there.
        is_head: bool,
    }
}

impl<B, H> Held<B, H> {
    pub(crate) const fn new(inner: B, hold: H, is_head: bool) -> Self {
        Self {
            inner,
            hold,
            is_head,
        }
    }
}

impl<B: Body, H> Body for Held<B, H> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().inner.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_head {
            SizeHint::default()
        } else {
            self.inner.size_hint()
        }
    }
}

impl<B, H> fmt::Debug for Held<B, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}
