//! A socket whose client has to say something soon.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// Fails to read if the first bytes do not come in time.
///
/// hyper's own limit begins once it knows the version of HTTP, for which it waits without one: a client that connects
/// and says nothing would stay for ever.
#[derive(Debug)]
pub(super) struct FirstBytes<S> {
    socket: S,
    /// How many bytes are still to come before hyper knows the version.
    n_missing: usize,
    /// Gone once they have come, or once something has been answered.
    limit: Option<Pin<Box<Sleep>>>,
}

/// The length of `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, which begins an HTTP/2 connection.
const PREFACE_LEN: usize = 24;

impl<S> FirstBytes<S> {
    pub(super) fn new(socket: S, limit: Duration) -> Self {
        Self {
            socket,
            n_missing: PREFACE_LEN,
            limit: Some(Box::pin(sleep(limit))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n_before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(context, buffer);
        let n_read = buffer.filled().len() - n_before;
        self.n_missing = self.n_missing.saturating_sub(n_read);
        if self.n_missing == 0 {
            self.limit = None;
        }
        if polled.is_pending()
            && let Some(limit) = &mut self.limit
            && limit.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.limit = None;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.limit = None;
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_given_up_and_a_speaking_one_is_not() {
        let (mut client, socket) = duplex(64);
        let mut first_bytes = FirstBytes::new(socket, LIMIT);
        client.write_all(b"PRI * HT").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(first_bytes.read(&mut buffer).await.unwrap(), 8);
        let error = first_bytes.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (mut client, socket) = duplex(64);
        let mut first_bytes = FirstBytes::new(socket, LIMIT);
        client.write_all(&[b'x'; PREFACE_LEN]).await.unwrap();
        assert_eq!(first_bytes.read(&mut buffer).await.unwrap(), PREFACE_LEN);
        let waiting = tokio::time::timeout(LIMIT * 2, first_bytes.read(&mut buffer)).await;
        assert!(waiting.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_lifts_the_limit() {
        let (_client, socket) = duplex(64);
        let mut first_bytes = FirstBytes::new(socket, LIMIT);
        first_bytes.write_all(b"ok").await.unwrap();
        let mut buffer = [0; 64];
        let waiting = tokio::time::timeout(LIMIT * 2, first_bytes.read(&mut buffer)).await;
        assert!(waiting.is_err());
    }
}
