//! The body of a request on its way to a provider.

use std::{
    fmt,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::idle::{Idle, IdleError};

/// Why the body of a request breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the body is larger than the limit")]
    TooLarge,
    #[error("the body did not come in time")]
    TimedOut,
    #[error("the client broke the body off")]
    Client,
    #[error("the answer has ended before the body")]
    Answered,
}

impl From<IdleError<axum::Error>> for UploadError {
    fn from(error: IdleError<axum::Error>) -> Self {
        match error {
            IdleError::TimedOut => Self::TimedOut,
            IdleError::Body(_) => Self::Client,
        }
    }
}

/// Dropped when an answer is over, so that the rest of its request is not sent.
pub(crate) type AnswerEnd = oneshot::Sender<()>;

/// A body that is sent on: one that was read before, or one that is read meanwhile.
pub(crate) enum Upload {
    Whole {
        bytes: Bytes,
        /// Room among all bodies that are held; free once this one is sent.
        _room: Option<OwnedSemaphorePermit>,
    },
    Stream {
        body: Pin<Box<Idle<Body>>>,
        /// How many bytes may still come.
        n_left: u64,
        /// Closed when the answer is over; nobody reads the rest then.
        answered: oneshot::Receiver<()>,
    },
}

impl Upload {
    /// Makes a body that is read while it is sent, and what its answer keeps until its own end.
    pub(crate) fn stream(body: Body, limit: u64, idle: Duration) -> (Self, AnswerEnd) {
        let (end, answered) = oneshot::channel();
        let stream = Self::Stream {
            body: Box::pin(Idle::new(body, idle)),
            n_left: limit,
            answered,
        };
        (stream, end)
    }

    /// The bytes, if they were read before.
    pub(crate) const fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole { bytes, .. } => Some(bytes),
            Self::Stream { .. } => None,
        }
    }

    /// Puts other bytes in the place of those that were read before.
    pub(crate) fn replace(&mut self, new: Bytes) {
        if let Self::Whole { bytes, .. } = self {
            *bytes = new;
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match self.get_mut() {
            Self::Whole { bytes, .. } => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream {
                body,
                n_left,
                answered,
            } => {
                if Pin::new(answered).poll(context).is_ready() {
                    return Poll::Ready(Some(Err(UploadError::Answered)));
                }
                let frame = std::task::ready!(body.as_mut().poll_frame(context));
                Poll::Ready(frame.map(|frame| {
                    let frame = frame?;
                    let n_bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                    *n_left = n_left.checked_sub(n_bytes).ok_or(UploadError::TooLarge)?;
                    Ok(frame)
                }))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { bytes, .. } => bytes.is_empty(),
            Self::Stream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream { body, .. } => body.size_hint(),
        }
    }
}

/// Room for bodies that are held, in KiB.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let n_kib = (bytes >> 10).min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(n_kib)))
    }

    /// Takes room, if there is.
    pub(crate) fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let n_kib = u32::try_from(bytes.div_ceil(1 << 10)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(n_kib).ok()
    }
}

/// Reads a body of a known length, and stops at more than that.
pub(crate) async fn collect(
    body: Body,
    length: usize,
    idle: Duration,
) -> Result<Bytes, UploadError> {
    let mut body = Box::pin(Idle::new(body, idle));
    let mut bytes = BytesMut::with_capacity(length);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
    {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() + data.len() > length {
                return Err(UploadError::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}
