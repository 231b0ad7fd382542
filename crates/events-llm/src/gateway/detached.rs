//! An answer that is read to its end, with its client or without.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// Frames that wait for the client. A client that is there holds the provider back as without this.
const MAX_FRAMES: usize = 16;

/// The answer broke off.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub(crate) struct BrokenOff;

/// A frame, the failure, or `None` for the end, so that a task that was cut off is no end.
type Sent = Option<Result<Frame<Bytes>, BrokenOff>>;

/// The client's end of a body that a task reads.
pub(crate) struct Attached {
    frames: mpsc::Receiver<Sent>,
    /// Of the body that the task reads, before anything of it was read.
    size: SizeHint,
    n_bytes: u64,
    is_empty: bool,
    is_at_end: bool,
}

/// The task's end.
pub(crate) struct Feed(mpsc::Sender<Sent>);

/// Makes both ends for a body.
pub(crate) fn attach(body: &impl Body) -> (Feed, Attached) {
    let (sender, frames) = mpsc::channel(MAX_FRAMES);
    let attached = Attached {
        frames,
        size: body.size_hint(),
        n_bytes: 0,
        is_empty: body.is_end_stream(),
        is_at_end: false,
    };
    (Feed(sender), attached)
}

impl Feed {
    /// Reads a body to its end, and hands it to the client as long as there is one.
    pub(crate) async fn pump<B>(self, body: B)
    where
        B: Body<Data = Bytes>,
    {
        let mut body = std::pin::pin!(body);
        while let Some(frame) =
            std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
        {
            let is_broken = frame.is_err();
            // The error says that the client has left; it is read on.
            let _is_sent = self.0.send(Some(frame.map_err(|_error| BrokenOff))).await;
            if is_broken {
                return;
            }
        }
        let _is_sent = self.0.send(None).await;
    }
}

impl Body for Attached {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.is_at_end {
            return Poll::Ready(None);
        }
        let sent = std::task::ready!(self.frames.poll_recv(context));
        let frame = sent.unwrap_or(Some(Err(BrokenOff)));
        match &frame {
            Some(Ok(frame)) => {
                self.n_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            Some(Err(_)) | None => self.is_at_end = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty || self.is_at_end
    }

    fn size_hint(&self) -> SizeHint {
        match self.size.exact() {
            Some(size) => SizeHint::with_exact(size.saturating_sub(self.n_bytes)),
            None => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}
