//! One connection, from accept to its end.

use std::{error::Error, io, pin::pin, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{net::TcpStream, sync::watch};

use crate::{Bound, Edge};

use super::{ConnectionLimits, first_bytes::FirstBytes, stream_tasks::StreamTasks};

/// How long sent bytes may stay unacknowledged before the system gives the client up. Keep-alive probes do not do
/// this: they stop while something is unacknowledged, which a heartbeat soon is.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What the system buffers for a client that does not read, in bytes.
const SEND_BUFFER: usize = 64 << 10;

/// How often an HTTP/2 client is asked whether it is there, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Serves a connection until the client leaves, or until goodbye is said and what it is doing is done.
///
/// # Cancel safety
///
/// Dropping the future closes the socket.
pub(super) async fn serve(
    stream: TcpStream,
    app: Router,
    limits: ConnectionLimits,
    edge: Edge,
    mut goodbye: watch::Receiver<bool>,
) {
    if let Err(error) = tune(&stream) {
        tracing::debug!(%error, "socket option refused");
    }
    let tasks = StreamTasks::default();
    let mut builder = auto::Builder::new(tasks.clone());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(ConnectionLimits::HTTP2_STREAMS)
        .max_header_list_size(ConnectionLimits::HTTP2_HEAD_BYTES)
        .initial_connection_window_size(ConnectionLimits::HTTP2_WINDOW)
        .initial_stream_window_size(ConnectionLimits::HTTP2_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    let io = TokioIo::new(FirstBytes::new(stream, limits.head_time));
    let service = TowerToHyperService::new(app);
    let mut connection = pin!(builder.serve_connection(io, service));
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
        if let Some(bound) = bound_of(&*error) {
            edge.hit(bound);
        }
        tracing::debug!(error = &*error, "connection ended");
    }
}

/// Tells which bound ended a connection, if one did.
fn bound_of(error: &(dyn Error + 'static)) -> Option<Bound> {
    std::iter::successors(Some(error), |error| (*error).source()).find_map(|error| {
        let of_hyper = error.downcast_ref::<hyper::Error>();
        let of_socket = error.downcast_ref::<io::Error>();
        if of_hyper.is_some_and(hyper::Error::is_parse_too_large) {
            Some(Bound::HeadBytes)
        } else if of_hyper.is_some_and(hyper::Error::is_timeout)
            || of_socket.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        {
            Some(Bound::HeadTime)
        } else {
            None
        }
    })
}

/// Waits for goodbye. It is said before its sender goes, so a lost sender has said it.
async fn said(goodbye: &mut watch::Receiver<bool>) {
    let _said = goodbye.wait_for(|said| *said).await;
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.set_send_buffer_size(SEND_BUFFER)
}
