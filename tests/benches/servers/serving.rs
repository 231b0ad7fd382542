//! How our own two servers are served: with all bounds lifted, behind our loop or `axum::serve`.

use std::future::pending;

use axum::Router;
use events_axum::serve::{ConnectionLimits, Server};
use events_broadcast::Limits;
use tokio::{net::TcpListener, task::JoinSet};

use crate::{Outcome, announce, options::Options};

/// More than any load test wants.
pub(crate) const LIFTED: usize = 1_000_000;

/// Any number of users, and of connections of each.
pub(crate) fn lifted() -> Limits {
    Limits {
        connections_per_user: LIFTED,
        users: LIFTED,
        ..Limits::default()
    }
}

/// Listens, and serves until the process is ended; `flush` is run once for each worker.
pub(crate) async fn run<F: Future<Output = ()> + Send + 'static>(
    options: &Options,
    app: Router,
    flush: impl Fn() -> F,
) -> Outcome<()> {
    let mut flushers = JoinSet::new();
    for _ in 0..options.workers {
        flushers.spawn(flush());
    }
    let listener = TcpListener::bind(options.listen).await?;
    announce(listener.local_addr()?);
    if options.is_served_by_axum {
        // Not the router itself: axum would copy all of it for each connection, 11 KB for the hub.
        return Ok(axum::serve(listener, app.into_make_service()).await?);
    }
    let limits = ConnectionLimits {
        connections: LIFTED,
        per_address: LIFTED,
        ..ConnectionLimits::default()
    };
    Server::new(listener, app)
        .with_limits(limits)
        .take_over(options.takes_over)
        .run(pending())
        .await;
    Ok(())
}
