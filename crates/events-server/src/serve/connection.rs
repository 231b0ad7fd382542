//! One connection, from accept to its end.

use std::{pin::pin, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{net::TcpStream, sync::watch};

use super::{first_bytes::FirstBytes, stream_tasks::StreamTasks};

/// How long a client may take to send the head of a request, and to send anything at all.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes. It is also what hyper buffers of an answer before it waits.
const HEAD_BYTES: usize = 64 << 10;

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
pub(super) async fn serve(stream: TcpStream, app: Router, mut goodbye: watch::Receiver<bool>) {
    if let Err(error) = tune(&stream) {
        tracing::debug!(%error, "socket option refused");
    }
    let tasks = StreamTasks::default();
    let mut builder = auto::Builder::new(tasks.clone());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    let io = TokioIo::new(FirstBytes::new(stream, HEAD_TIMEOUT));
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
        tracing::debug!(error = &*error, "connection ended");
    }
}

/// Waits for goodbye. It is said before its sender goes, so a lost sender has said it.
async fn said(goodbye: &mut watch::Receiver<bool>) {
    let _said = goodbye.wait_for(|said| *said).await;
}

fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    socket.set_send_buffer_size(SEND_BUFFER)
}
