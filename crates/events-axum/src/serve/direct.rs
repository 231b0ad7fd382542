//! A connection without hyper: a socket, and the body that is written to it.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use events_broadcast::Transport;
use http_body::Body as _;
use tokio::{
    io::{
        AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _, Interest, ReadBuf,
    },
    net::TcpStream,
    task::coop::has_budget_remaining,
    time::timeout,
};

use super::handover::{push_chunk, push_size};
use crate::{parting::Parting, transport};

/// Small pieces are gathered up to so many bytes before they are written.
const GATHERED: usize = 16 << 10;

/// A piece of more bytes is not copied to stand beside its framing.
const MOST_COPIED: usize = 16 << 10;

/// What a client may send although nothing is read any more, in bytes. Beyond it the connection is closed.
const MOST_IGNORED: usize = 16 << 10;

/// How long a client may take to see the end before its socket is closed.
const FAREWELL: Duration = Duration::from_millis(500);

thread_local! {
    /// Where small pieces are put together; one for each worker, because a connection needs it only while it is polled.
    static GATHERING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Writes a body to a socket as chunks, until it ends or the client leaves.
///
/// It asks the body for more only when everything has been written, and holds nothing while there is nothing to write.
/// A client that ends its sending side has left, as with hyper.
#[derive(Debug)]
pub(super) struct Direct {
    stream: TcpStream,
    body: Taken,
    /// What the socket did not take yet.
    unwritten: Option<Box<Unwritten>>,
    n_ignored: usize,
    /// Whom the system wakes when the client has left or said something.
    watcher: Option<Waker>,
}

/// A body that was taken over, gone once it has ended. It learns of that when it is dropped.
#[derive(Debug)]
struct Taken(Option<Body>);

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(body) = self.0.take() {
            Parting::TAKEN_OVER.of_dropping(body);
        }
    }
}

/// Bytes for the wire, in order.
#[derive(Debug, Default)]
struct Unwritten {
    /// Framing and small pieces.
    small: Bytes,
    /// A large piece, not copied.
    large: Bytes,
    /// The end of its framing.
    end: &'static [u8],
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has left, or has sent too much.
    Gone,
    /// The last byte has been given to the system.
    Written,
}

/// What there is behind a batch.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Nothing now; the body wakes us.
    IsAwaited,
    /// Perhaps something. It comes in the next turn.
    MayBeThere,
}

impl Direct {
    /// Goes on with a body behind the head and the first chunk. `n_ignored` bytes came early.
    pub(super) const fn new(stream: TcpStream, body: Body, n_ignored: usize) -> Self {
        Self {
            stream,
            body: Taken(Some(body)),
            unwritten: None,
            n_ignored,
            watcher: None,
        }
    }

    /// Ready at the end. One batch is written at a time, then others have their turn.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<End> {
        if self.poll_left(context).is_ready() {
            return Poll::Ready(End::Gone);
        }
        let polled = match ready!(self.poll_written(context)) {
            Ok(()) if self.body.0.is_none() => return Poll::Ready(End::Written),
            Ok(()) => self.poll_batch(context),
            Err(error) => Poll::Ready(Err(error)),
        };
        match ready!(polled) {
            Ok(Next::IsAwaited) => Poll::Pending,
            Ok(Next::MayBeThere) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Err(error) => {
                self.fail(&error);
                Poll::Ready(End::Gone)
            }
        }
    }

    /// Ready when the client has left. Costs no system call unless the system has said that there is something.
    fn poll_left(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_watched = |watcher: &Waker| watcher.will_wake(context.waker());
        // The closure runs only if the system has said something, which has used up the waker.
        if self.watcher.as_ref().is_some_and(is_watched)
            && self.stream.try_io(Interest::READABLE, || Ok(())).is_err()
        {
            return Poll::Pending;
        }
        self.watcher = None;
        let mut bytes = [0; 512];
        while self.n_ignored <= MOST_IGNORED {
            let mut buffer = ReadBuf::new(&mut bytes);
            let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, &mut buffer)
            else {
                // Without budget it was not looked at all; the runtime polls again.
                if has_budget_remaining() {
                    self.watcher = Some(context.waker().clone());
                }
                return Poll::Pending;
            };
            let n_read = buffer.filled().len();
            self.n_ignored += n_read;
            if let Err(error) = read {
                self.fail(&error);
                break;
            }
            if n_read == 0 {
                break;
            }
        }
        Poll::Ready(())
    }

    /// Lets go of the body, which may want to know whether the client was given up.
    fn fail(&mut self, error: &io::Error) {
        tracing::debug!(%error, "connection ended");
        let body = mem::replace(&mut self.body, Taken(None));
        if error.kind() == io::ErrorKind::TimedOut {
            Parting::UNACKNOWLEDGED.of_dropping(body);
        }
    }

    /// Asks the body for a batch and writes it. Pending while the socket takes no more.
    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Next>> {
        let mut small = GATHERING.take();
        small.clear();
        let gather = || self.gather(context, &mut small);
        let (large, next) = transport::polling(Transport::TakenOver, gather);
        let polled = if small.is_empty() {
            Poll::Ready(Ok(()))
        } else {
            self.write_batch(context, &small, large)
        };
        if small.capacity() <= 2 * (GATHERED + MOST_COPIED) {
            GATHERING.set(small);
        }
        polled.map_ok(|()| next)
    }

    /// Puts what the body says into `small`, until it has nothing more for now or that is enough; what is large is
    /// returned, and only the beginning of its framing is put there.
    fn gather(&mut self, context: &mut Context<'_>, small: &mut Vec<u8>) -> (Bytes, Next) {
        while let Some(body) = &mut self.body.0
            && small.len() < GATHERED
        {
            let Poll::Ready(said) = Pin::new(body).poll_frame(context) else {
                return (Bytes::new(), Next::IsAwaited);
            };
            match said {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if data.len() > MOST_COPIED {
                        push_size(data.len(), small);
                        return (data, Next::MayBeThere);
                    }
                    push_chunk(&data, small);
                }
                Some(Err(error)) => {
                    // Without the last chunk, so that the client does not take it for an end.
                    tracing::debug!(%error, "body ended");
                    self.body = Taken(None);
                }
                None => {
                    small.extend_from_slice(LAST_CHUNK);
                    self.body = Taken(None);
                }
            }
        }
        (Bytes::new(), Next::MayBeThere)
    }

    fn write_batch(
        &mut self,
        context: &mut Context<'_>,
        small: &[u8],
        large: Bytes,
    ) -> Poll<io::Result<()>> {
        let end: &'static [u8] = if large.is_empty() { b"" } else { b"\r\n" };
        // Asks for no waker as long as the socket takes everything; a gathered write of one piece costs more.
        let written = if large.is_empty() {
            self.stream.try_write(small)
        } else {
            let slices = [IoSlice::new(small), IoSlice::new(&large), IoSlice::new(end)];
            self.stream.try_write_vectored(&slices)
        };
        let n_written = match written {
            Ok(n_written) => n_written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if n_written == small.len() + large.len() + end.len() {
            return Poll::Ready(Ok(()));
        }
        let n_small = n_written.min(small.len());
        let mut unwritten = Unwritten {
            small: Bytes::copy_from_slice(&small[n_small..]),
            large,
            end,
        };
        unwritten.advance(n_written - n_small);
        self.unwritten = Some(Box::new(unwritten));
        self.poll_written(context)
    }

    /// Ready when the socket has taken everything.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(unwritten) = &mut self.unwritten {
            let slices = [
                IoSlice::new(&unwritten.small),
                IoSlice::new(&unwritten.large),
                IoSlice::new(unwritten.end),
            ];
            let n_written =
                ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &slices))?;
            unwritten.advance(n_written);
            if unwritten.is_empty() {
                self.unwritten = None;
            } else if n_written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Shuts the sending side down and waits for a moment until the client has seen the end.
    ///
    /// A socket that is closed while something from the client is unread is reset, and the last bytes may be lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket.
    pub(super) async fn part(self) {
        let mut stream = self.stream;
        let mut n_left = MOST_IGNORED;
        let parting = async {
            stream.shutdown().await?;
            let mut bytes = [0; 512];
            while n_left > 0 {
                let n_read = stream.read(&mut bytes).await?;
                if n_read == 0 {
                    break;
                }
                n_left = n_left.saturating_sub(n_read);
            }
            Ok::<_, io::Error>(())
        };
        if let Ok(Err(error)) = timeout(FAREWELL, parting).await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

impl Unwritten {
    fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty() && self.end.is_empty()
    }

    /// Forgets the first bytes.
    fn advance(&mut self, n_bytes: usize) {
        let n_small = n_bytes.min(self.small.len());
        self.small.advance(n_small);
        let n_large = (n_bytes - n_small).min(self.large.len());
        self.large.advance(n_large);
        self.end = &self.end[n_bytes - n_small - n_large..];
    }
}

/// Ends a chunked body (RFC 9112, 7.1), without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests;
