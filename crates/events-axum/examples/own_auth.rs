//! Plugs in an authentication of your own: whatever inserts a `RequestContext` will do.
//!
//! `cargo run -p events-axum --example own_auth`, then `curl -N -H 'x-api-key: ada-key' http://127.0.0.1:3000/agui`.

use axum::{
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use events_axum::{Problem, RequestContext, StreamState, hub_router};
use events_core::UserId;
use events_router::EventRouter;

/// Knows two keys: one of a user, one of an agent that may publish for everybody.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let key = request
        .headers()
        .get("x-api-key")
        .map(|value| value.as_bytes());
    let context = match key {
        Some(b"ada-key") => RequestContext::new(UserId::new("ada")),
        Some(b"agent-key") => RequestContext::operator(UserId::new("agent")),
        _ => {
            return Problem::new(StatusCode::UNAUTHORIZED, "send a known x-api-key")
                .into_response();
        }
    };
    request.extensions_mut().insert(context);
    next.run(request).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let streams = StreamState::new(EventRouter::default());
    let app = hub_router(streams.clone()).layer(from_fn(authenticate));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    axum::serve(listener, app.into_make_service())
        .with_graceful_shutdown(streams.drain_on(interrupted))
        .await
}
