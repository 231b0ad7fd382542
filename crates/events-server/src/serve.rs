//! Sockets and connections: accepting, bounding, ending.

mod backoff;
mod connection;
mod first_bytes;
mod limit;
mod stream_tasks;

use std::{net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use events_axum::{Bound, Edge};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinError, JoinSet},
};

use backoff::Backoff;
use limit::Addresses;

pub use limit::ConnectionLimits;

/// How serving ends.
pub(crate) struct Ending<B, O> {
    /// Completes when it should begin to end: nothing is accepted from then on.
    pub(crate) begins: B,
    /// Completes when it should end without delay.
    pub(crate) at_once: O,
    /// How long connections may take to end by themselves.
    pub(crate) limit: Duration,
}

/// Accepts connections and serves them until the ending has begun and they are gone.
///
/// # Cancel safety
///
/// Dropping the future drops the listener and all connections.
pub(crate) async fn serve<B, O>(
    listener: TcpListener,
    app: Router,
    limits: ConnectionLimits,
    edge: Edge,
    ending: Ending<B, O>,
) where
    B: Future<Output = ()>,
    O: Future<Output = ()>,
{
    let max_connections = limits.most();
    let addresses = Addresses::default();
    tracing::info!(max_connections, "accepting connections");
    let permits = Arc::new(Semaphore::new(max_connections));
    let (goodbye, listens_for_goodbye) = watch::channel(false);
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
                let Some(place) = addresses.take(address.to_canonical(), limits.per_address) else {
                    edge.hit(Bound::ConnectionsPerAddress);
                    continue;
                };
                let (app, edge_of_it) = (app.clone(), edge.clone());
                let goodbye = listens_for_goodbye.clone();
                connections.spawn(async move {
                    connection::serve(stream, app, limits, edge_of_it, goodbye).await;
                    drop((place, permit));
                });
                edge.set_sockets(connections.len());
            }
        }
    }
    drop(listener);
    goodbye.send_replace(true);
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
