//! Serves an axum application of your own with the serving loop of this crate, in place of `axum::serve`.
//!
//! `cargo run -p events-axum --features serve --example serve`, then `curl -N http://127.0.0.1:3000/events/agui`.
//! `/health` is answered over connections that live on; each open stream has its socket to itself.

use std::time::Duration;

use axum::{Extension, Router, routing::get};
use events_axum::{
    RequestContext, StreamState,
    serve::{ConnectionLimits, Server},
    stream_router,
};
use events_core::UserId;
use events_router::EventRouter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let router = EventRouter::default();
    let streams = StreamState::new(router.clone());
    let app = Router::new()
        .route("/health", get(async || "well\n"))
        .nest("/events", stream_router(streams.clone()))
        // Your authentication goes here; see the example `own_auth`.
        .layer(Extension(RequestContext::new(UserId::new("ada"))));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    // Defaults are good; behind a proxy, all clients have its address.
    let limits = ConnectionLimits {
        head_time: Duration::from_secs(5),
        ..ConnectionLimits::default()
    };
    let serving = Server::new(listener, app)
        .with_limits(limits)
        .with_edge(streams.edge().clone())
        .run(streams.drain_on(interrupted));
    tokio::select! {
        () = serving => {}
        // Wakes the streams of users with many connections away from the publish call; it never ends.
        () = router.flush() => {}
    }
    Ok(())
}
