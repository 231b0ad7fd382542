//! Sockets and connections: accepting, bounding, ending.

mod backoff;
mod connection;
mod direct;
mod handover;
mod limit;
mod opening;
mod proxies;
mod requests;
mod socket;
mod stream_tasks;
mod turns;

use std::{
    future::{Future, pending},
    net::IpAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinError, JoinSet},
};

use crate::{Bound, Edge};
use backoff::Backoff;
use connection::{Connection, Terms};
use limit::Addresses;
use turns::Turns;

pub use crate::head::TakeOver;
pub use limit::ConnectionLimits;
pub use proxies::{NotProxies, Proxies};

/// Serves an axum application, in place of `axum::serve`, with the bounds that a server of long streams needs.
///
/// HTTP/1.1, and HTTP/2 by prior knowledge, without TLS. A long answer over HTTP/1.1 is given the socket: see
/// [`Server::take_over`]. Against `axum::serve` it has: a time for the head of a request,
/// caps of connections over all clients and of one address, the client's address for the application, a bound on what the system keeps for a client that does not
/// read, a time after which a client that acknowledges nothing is given up, a back-off when the process is out of
/// file descriptors, and an end with a limit.
///
/// ```no_run
/// use axum::Router;
/// use events_axum::serve::Server;
///
/// # async fn serve(app: Router, stop: impl Future<Output = ()>) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// Server::new(listener, app).run(stop).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    app: Router,
    limits: ConnectionLimits,
    edge: Edge,
    takes_over: bool,
    proxies: Proxies,
}

/// How serving ends.
#[derive(Debug)]
pub struct Ending<B, O> {
    /// Completes when it should begin to end: nothing is accepted from then on.
    pub begins: B,
    /// Completes when it should end without delay.
    pub at_once: O,
    /// How long connections may take to end by themselves.
    pub limit: Duration,
}

impl Server {
    /// How long connections may take to end with [`Server::run`]: the default drain window and a second.
    pub const END_LIMIT: Duration = Duration::from_secs(11);

    /// After how many tasks a worker of the runtime had best look at its sockets, for
    /// [`Builder::event_interval`](tokio::runtime::Builder::event_interval).
    ///
    /// With tokio's own 61, a worker that has enough to do writes to many readers before it takes in the next events, and
    /// each write carries few of them. With this it takes in more and writes less often: 1,000 users with a stream each
    /// are brought half as many events again for the same time of the processor. Where a worker can wait it is the same.
    pub const EVENT_INTERVAL: u32 = 16;

    /// Serves an application on a listener, with the default limits.
    #[must_use]
    pub fn new(listener: TcpListener, app: Router) -> Self {
        Self {
            listener,
            app,
            limits: ConnectionLimits::default(),
            edge: Edge::default(),
            takes_over: true,
            proxies: Proxies::default(),
        }
    }

    /// Sets the bounds of connections.
    #[must_use]
    pub const fn with_limits(mut self, limits: ConnectionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Believes these proxies about where a request comes from. Their own sockets are not counted by address.
    #[must_use]
    pub fn with_proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Counts sockets and bounds that were hit where a state shows them; see [`StreamState::edge`](crate::StreamState::edge).
    #[must_use]
    pub fn with_edge(mut self, edge: Edge) -> Self {
        self.edge = edge;
        self
    }

    /// Sets whether the socket of a long answer is taken over, once its head has been written; by default it is.
    ///
    /// It is done for answers that have the extension [`TakeOver`], to GET over HTTP/1.1, without a request body, an
    /// upgrade, a content coding or anything that the client has sent behind the request. Such an answer says
    /// `Connection: close`. When hyper has written the head and exactly the first chunk, it is dropped; from then on
    /// the body, with all layers of the application around it, is written to the socket without its buffers. That is a
    /// tenth of the memory of an idle connection. In all other cases hyper goes on with the same body.
    #[must_use]
    pub const fn take_over(mut self, takes_over: bool) -> Self {
        self.takes_over = takes_over;
        self
    }

    /// Serves until `begins` completes, and then until the connections are gone or [`Server::END_LIMIT`] is over.
    ///
    /// Hand it [`StreamState::drain_on`](crate::StreamState::drain_on), so that open streams end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the listener and all connections.
    pub async fn run(self, begins: impl Future<Output = ()>) {
        self.run_until(Ending {
            begins,
            at_once: pending(),
            limit: Self::END_LIMIT,
        })
        .await;
    }

    /// Accepts connections and serves them until the ending has begun and they are gone.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the listener and all connections.
    pub async fn run_until<B, O>(self, ending: Ending<B, O>)
    where
        B: Future<Output = ()>,
        O: Future<Output = ()>,
    {
        let Self {
            listener,
            app,
            limits,
            edge,
            takes_over,
            proxies,
        } = self;
        let max_connections = limits.most();
        let addresses = Addresses::default();
        tracing::info!(max_connections, "accepting connections");
        let permits = Arc::new(Semaphore::new(max_connections));
        let (say_goodbye, goodbye) = watch::channel(false);
        let terms = Terms {
            app,
            limits,
            edge: edge.clone(),
            takes_over,
            proxies: Arc::new(proxies),
            goodbye,
            turns: Turns::of_workers(),
        };
        // Ends with us.
        let mut passes = JoinSet::new();
        passes.spawn(terms.turns.clone().renew());
        let mut connections = JoinSet::new();
        let mut backoff = Backoff::default();
        let mut begins = pin!(ending.begins);
        loop {
            tokio::select! {
                biased;
                () = &mut begins => break,
                Some(ended) = connections.join_next() => {
                    report(ended);
                    edge.set_sockets(connections.len());
                }
                (stream, address, permit) = next_connection(&listener, &permits, &edge, &mut backoff) => {
                    let address = address.to_canonical();
                    let most = if terms.proxies.has(address) { usize::MAX } else { limits.per_address };
                    let Some(place) = addresses.take(address, most) else {
                        edge.hit(Bound::ConnectionsPerAddress);
                        continue;
                    };
                    connections.spawn(Connection::new(stream, terms.clone(), place, permit));
                    edge.set_sockets(connections.len());
                }
            }
        }
        drop(listener);
        say_goodbye.send_replace(true);
        tracing::info!(connections = connections.len(), "ending connections");
        let all_gone = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        };
        let how = tokio::select! {
            () = all_gone => "all connections have ended",
            () = tokio::time::sleep(ending.limit) => "the time is up: dropping what is left",
            () = ending.at_once => "asked again: dropping what is left",
        };
        tracing::info!(connections = connections.len(), "{how}");
        connections.shutdown().await;
    }
}

/// Waits for a free place, then for a client.
///
/// # Cancel safety
///
/// No client is lost: a place that was taken is freed.
async fn next_connection(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    edge: &Edge,
    backoff: &mut Backoff,
) -> (TcpStream, IpAddr, OwnedSemaphorePermit) {
    if permits.available_permits() == 0 {
        edge.hit(Bound::Connections);
    }
    let permit = loop {
        // The semaphore is never closed.
        if let Ok(permit) = Arc::clone(permits).acquire_owned().await {
            break permit;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                backoff.reset();
                return (stream, address.ip(), permit);
            }
            Err(error) if backoff::is_of_one_client(&error) => {}
            Err(error) => {
                edge.hit(Bound::OpenFiles);
                let delay = backoff.next_delay();
                tracing::warn!(%error, ?delay, "cannot accept; trying again");
                tokio::time::sleep(delay).await;
            }
        }
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection failed");
    }
}
