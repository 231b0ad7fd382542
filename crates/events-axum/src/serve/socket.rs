//! The socket as hyper sees it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::handover::Handover;

/// Pieces of so many bytes together are written as one.
const MOST_JOINED: usize = 512;

/// A socket of which some bytes have been read already, and of which somebody may want to know what passes.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// What was read before hyper had it.
    before: Bytes,
    /// Sees what hyper reads and writes.
    watched: Option<Arc<Handover>>,
}

impl Socket {
    pub(super) const fn new(
        stream: TcpStream,
        before: Bytes,
        watched: Option<Arc<Handover>>,
    ) -> Self {
        Self {
            stream,
            before,
            watched,
        }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n_before = buffer.filled().len();
        if self.before.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        } else {
            let n = self.before.len().min(buffer.remaining());
            buffer.put_slice(&self.before[..n]);
            self.before.advance(n);
            if self.before.is_empty() {
                self.before = Bytes::new();
            }
        }
        if let Some(handover) = &self.watched {
            handover.has_read(&buffer.filled()[n_before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n_written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        if let Some(handover) = &self.watched {
            handover.has_written(&[IoSlice::new(bytes)], n_written);
        }
        Poll::Ready(Ok(n_written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let n_bytes = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let n_written = if n_bytes <= MOST_JOINED {
            // A head and a short answer: a copy costs less than a gathered write.
            let (mut bytes, mut end) = ([0; MOST_JOINED], 0);
            for slice in slices {
                bytes[end..end + slice.len()].copy_from_slice(slice);
                end += slice.len();
            }
            ready!(stream.poll_write(context, &bytes[..end]))?
        } else {
            ready!(stream.poll_write_vectored(context, slices))?
        };
        if let Some(handover) = &self.watched {
            handover.has_written(slices, n_written);
        }
        Poll::Ready(Ok(n_written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when its own buffer is empty, and not before.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(handover) = &self.watched {
            handover.has_flushed();
        }
        // A TCP socket has nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
