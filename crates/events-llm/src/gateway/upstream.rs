//! The HTTP client to providers.

mod tls;

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioIo, TokioTimer},
};
use tokio::{net::TcpStream, time::timeout};
use tower::Service;

use super::{
    GatewayConfig, GatewayError,
    failure::{ConnectTimeout, UnknownHost},
    tasks::{ConnectionTasks, Tasks},
    upload::Upload,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Tcp = HttpConnector<Resolver>;
type MaybeTls = hyper_rustls::MaybeHttpsStream<TokioIo<TcpStream>>;

/// What is asked of every connection, so that a provider that is gone is noticed in about a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What a provider may send ahead of its reader on one HTTP/2 stream, in bytes.
const STREAM_WINDOW: u32 = 64 << 10;

/// The same for all streams of a connection: large enough that streams whose readers have stopped do not stop the
/// others.
const CONNECTION_WINDOW: u32 = 64 << 20;

/// Clients for HTTP/1.1 and for HTTP/2 where TLS agrees on it, each with its pool.
///
/// A connection serves one HTTP/1.1 request at a time. A pooled one that its peer closed before anything of a request
/// was written is replaced without a word; nothing is ever sent twice.
#[derive(Clone)]
pub(crate) struct Upstream {
    http1: Client<Connector, Upload>,
    http2: Client<Connector, Upload>,
}

impl Upstream {
    pub(crate) fn new(
        config: &GatewayConfig,
        needs_tls: bool,
        tasks: &Arc<Tasks>,
    ) -> Result<Self, GatewayError> {
        let tls = if needs_tls {
            tls::config(&config.authorities_pem)?
        } else {
            tls::unused()?
        };
        let client = |connector: HttpsConnector<Tcp>| {
            let limits = &config.limits;
            let max_head = limits.max_answer_head_bytes.max(8 << 10);
            Client::builder(ConnectionTasks(Arc::clone(tasks)))
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(config.timeouts.idle_connection)
                .pool_max_idle_per_host(limits.max_idle_connections_per_host)
                .http1_max_buf_size(max_head)
                .http1_max_headers(limits.max_answer_headers)
                .http2_max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
                .http2_keep_alive_interval(KEEP_ALIVE)
                .http2_keep_alive_timeout(KEEP_ALIVE)
                .build(Connector {
                    inner: connector,
                    limit: config.timeouts.connect,
                })
        };
        let https = |tls| {
            HttpsConnectorBuilder::new()
                .with_tls_config(tls)
                .https_or_http()
        };
        Ok(Self {
            http1: client(https(tls.clone()).enable_http1().wrap_connector(tcp())),
            http2: client(
                https(tls)
                    .enable_http1()
                    .enable_http2()
                    .wrap_connector(tcp()),
            ),
        })
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    ///
    /// There is no answer; [`Failure::of`](super::failure::Failure::of) says why.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request is given up: an HTTP/1.1 connection is closed, an HTTP/2 stream is reset.
    pub(crate) async fn send(
        &self,
        request: Request<Upload>,
        is_http2: bool,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        let client = if is_http2 { &self.http2 } else { &self.http1 };
        client.request(request).await
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

fn tcp() -> Tcp {
    let mut tcp = HttpConnector::new_with_resolver(Resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE / 3));
    tcp.set_keepalive_retries(Some(3));
    tcp
}

/// Connects within a limit, names and TLS included.
#[derive(Clone)]
struct Connector {
    inner: HttpsConnector<Tcp>,
    limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = MaybeTls;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<MaybeTls, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.limit, self.inner.call(uri));
        Box::pin(async move { connecting.await.map_err(|_elapsed| ConnectTimeout)? })
    }
}

/// Resolves names as the system does, with an error that can be told from others.
#[derive(Clone)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = UnknownHost;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, UnknownHost>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), UnknownHost>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses: Vec<_> = found.map_err(UnknownHost)?.collect();
            Ok(addresses.into_iter())
        })
    }
}
