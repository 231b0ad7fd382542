//! One connection, from accept to its end.

use std::{
    error::Error,
    future::{Future, poll_fn},
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};

use super::{
    ConnectionLimits,
    direct::{Direct, End},
    handover::Handover,
    limit::AddressPlace,
    opening::{Version, read_version},
    proxies::Proxies,
    requests::Requests,
    socket::Socket,
    stream_tasks::StreamTasks,
    turns::Turns,
};
use crate::{Bound, Edge, parting::Parting};

/// What the system buffers for a client that does not read, in bytes.
const SEND_BUFFER: usize = 64 << 10;

/// How often an HTTP/2 client is asked whether it is there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// What all connections of a server are served with.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) app: Router,
    pub(super) limits: ConnectionLimits,
    pub(super) edge: Edge,
    pub(super) takes_over: bool,
    pub(super) proxies: Arc<Proxies>,
    /// Becomes true when requests under way are the last ones.
    pub(super) goodbye: watch::Receiver<bool>,
    /// For those that begin.
    pub(super) turns: Turns,
}

/// A connection that is served until the client leaves, or until goodbye is said and what it is doing is done.
///
/// Dropping it closes the socket. What each phase needs is in a box of its own, which is gone with the phase: so the
/// connection is small while a stream has the socket to itself, and while hyper has it, nothing is kept beside hyper.
pub(super) struct Connection {
    phase: Phase,
    _place: AddressPlace,
    _permit: OwnedSemaphorePermit,
}

enum Phase {
    /// What the client speaks is not known yet.
    Opening(Pin<Box<dyn Future<Output = Option<Serving>> + Send>>),
    /// hyper has it.
    Requests(Serving),
    /// A stream has it.
    Direct(Direct),
    /// The last bytes are on their way.
    Parting(Pin<Box<dyn Future<Output = ()> + Send>>),
    Over,
}

/// Serves requests. Ends with what was taken over from hyper, if something was; dropping it closes the socket.
type Serving = Pin<Box<dyn Future<Output = Option<Direct>> + Send>>;

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        terms: Terms,
        place: AddressPlace,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let (peer, turns) = (place.address(), terms.turns.clone());
        Self {
            phase: Phase::Opening(Box::pin(turns.run(open(stream, terms, peer)))),
            _place: place,
            _permit: permit,
        }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let phase = &mut self.phase;
        loop {
            *phase = match phase {
                Phase::Opening(opening) => match ready!(opening.as_mut().poll(context)) {
                    Some(serving) => Phase::Requests(serving),
                    None => Phase::Over,
                },
                Phase::Requests(serving) => match ready!(serving.as_mut().poll(context)) {
                    Some(direct) => Phase::Direct(direct),
                    None => Phase::Over,
                },
                Phase::Direct(direct) => match ready!(direct.poll_end(context)) {
                    End::Gone => Phase::Over,
                    End::Written => match std::mem::replace(phase, Phase::Over) {
                        Phase::Direct(direct) => Phase::Parting(Box::pin(direct.part())),
                        other => other,
                    },
                },
                Phase::Parting(parting) => {
                    ready!(parting.as_mut().poll(context));
                    Phase::Over
                }
                Phase::Over => return Poll::Ready(()),
            };
        }
    }
}

/// Waits for what the client speaks, and has it served.
///
/// # Cancel safety
///
/// Dropping the future closes the socket.
async fn open(mut stream: TcpStream, mut terms: Terms, peer: IpAddr) -> Option<Serving> {
    if let Err(error) = tune(&stream, &terms.limits) {
        tracing::debug!(%error, "socket option refused");
    }
    let opening = tokio::select! {
        opening = timeout(terms.limits.head_time, read_version(&mut stream)) => opening,
        () = said(&mut terms.goodbye) => return None,
    };
    match opening {
        Ok(Ok((Version::Http1, before))) => Some(serve_http1((stream, before), terms, peer)),
        Ok(Ok((Version::Http2, before))) => Some(serve_http2((stream, before), terms, peer)),
        Ok(Err(error)) => {
            if let Some(bound) = bound_of(&error) {
                terms.edge.hit(bound);
            }
            tracing::debug!(%error, "connection ended");
            None
        }
        Err(_elapsed) => {
            terms.edge.hit(Bound::HeadTime);
            None
        }
    }
}

/// Says how hyper's part of a connection has failed.
fn note_failure(edge: &Edge, error: &hyper::Error) {
    if let Some(bound) = bound_of(error) {
        edge.hit(bound);
    }
    tracing::debug!(error = error as &dyn Error, "connection ended");
}

// Not async functions: what they are given would be kept twice, as arguments and as what was made of them.

fn serve_http1((stream, before): (TcpStream, Bytes), terms: Terms, peer: IpAddr) -> Serving {
    let handover = terms.takes_over.then(Arc::<Handover>::default);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(terms.limits.head_time)
        .max_buf_size(terms.limits.head_bytes)
        .serve_connection(
            TokioIo::new(Socket::new(stream, before, handover.clone())),
            Requests::new(
                terms.app,
                (peer, terms.proxies),
                handover.clone(),
                terms.edge.clone(),
            ),
        );
    let (edge, mut goodbye) = (terms.edge, terms.goodbye);
    Box::pin(async move {
        let mut goodbye = pin!(goodbye.wait_for(|said| *said));
        let mut is_said = false;
        let ended = poll_fn(|context| {
            if !is_said && goodbye.as_mut().poll(context).is_ready() {
                is_said = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            let polled = Pin::new(&mut connection).poll(context);
            let is_agreed = handover
                .as_ref()
                .is_some_and(|handover| handover.is_agreed());
            if polled.is_pending() && is_agreed {
                return Poll::Ready(Ok(()));
            }
            polled
        })
        .await;
        if let Err(error) = ended {
            note_failure(&edge, &error);
            if bound_of(&error) == Some(Bound::Unacknowledged) {
                Parting::UNACKNOWLEDGED.of_dropping(connection);
            }
            return None;
        }
        let handover = handover.filter(|handover| handover.is_agreed())?;
        let parts = connection.into_parts();
        // hyper's half has been dropped with its body, which is left behind for us.
        let body = handover.take()?;
        edge.count_taken_over();
        let stream = parts.io.into_inner().into_stream();
        Some(Direct::new(stream, body, parts.read_buf.len()))
    })
}

fn serve_http2((stream, before): (TcpStream, Bytes), terms: Terms, peer: IpAddr) -> Serving {
    let tasks = StreamTasks::default();
    let connection = http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(ConnectionLimits::HTTP2_STREAMS)
        .max_header_list_size(ConnectionLimits::HTTP2_HEAD_BYTES)
        .max_pending_accept_reset_streams(ConnectionLimits::HTTP2_RESETS)
        .max_local_error_reset_streams(ConnectionLimits::HTTP2_ERRORS)
        .initial_connection_window_size(ConnectionLimits::HTTP2_WINDOW)
        .initial_stream_window_size(ConnectionLimits::HTTP2_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .serve_connection(
            TokioIo::new(Socket::new(stream, before, None)),
            Requests::new(terms.app, (peer, terms.proxies), None, terms.edge.clone()),
        );
    let (edge, mut goodbye) = (terms.edge, terms.goodbye);
    Box::pin(async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            result = connection.as_mut() => Some(result),
            () = said(&mut goodbye) => None,
        };
        let result = match ended {
            Some(result) => result,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        tasks.abort_all();
        if let Err(error) = result {
            note_failure(&edge, &error);
        }
        None
    })
}

/// Tells which bound ended a connection, if one did.
fn bound_of(error: &(dyn Error + 'static)) -> Option<Bound> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| {
        let of_hyper = error.downcast_ref::<hyper::Error>();
        let of_socket = error.downcast_ref::<io::Error>();
        if of_hyper.is_some_and(hyper::Error::is_parse_too_large) {
            Some(Bound::HeadBytes)
        } else if of_hyper.is_some_and(hyper::Error::is_timeout) {
            Some(Bound::HeadTime)
        } else if of_socket.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            Some(Bound::Unacknowledged)
        } else {
            None
        }
    })
}

/// Waits for goodbye. It is said before its sender goes, so a lost sender has said it.
async fn said(goodbye: &mut watch::Receiver<bool>) {
    let _said = goodbye.wait_for(|said| *said).await;
}

fn tune(stream: &TcpStream, limits: &ConnectionLimits) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // Keep-alive probes do not do this: they stop while something is unacknowledged, which a heartbeat soon is.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(limits.unacknowledged))?;
    #[cfg(not(target_os = "linux"))]
    let _ = limits;
    socket.set_send_buffer_size(SEND_BUFFER)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stays for each open stream: together with the body, a task's own 128 bytes, and what tokio keeps for a socket.
    #[test]
    fn a_connection_that_has_its_socket_is_small() {
        let n_bytes = size_of::<Connection>();
        assert!(n_bytes <= 144, "{n_bytes} bytes");
    }
}
