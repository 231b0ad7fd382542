//! Mounts the streams in an existing axum application, behind a layer that says who asks.
//!
//! `cargo run -p events-axum --example mount`, then `curl -N http://127.0.0.1:3000/events/agui` and, elsewhere,
//! `curl -X POST http://127.0.0.1:3000/ask`.

use axum::{Extension, Router, extract::State, routing::post};
use events_axum::{RequestContext, StreamState, stream_router};
use events_core::UserId;
use events_models::{AgUiEventBuilder, MessageRole};
use events_router::{EventRouter, PublishError};

/// What your application does: here, a run of one sentence for Ada.
async fn ask(State(router): State<EventRouter>) -> Result<&'static str, String> {
    let answer = async || {
        let mut run = router.run(&UserId::new("ada"), "thread");
        run.publish(AgUiEventBuilder::text_message_start(
            "m1",
            MessageRole::Assistant,
        ))
        .await?;
        run.publish(AgUiEventBuilder::text_message_content(
            "m1",
            "It is mounted.",
        ))
        .await?;
        run.finish(None).await
    };
    answer()
        .await
        .map(|_published| "asked\n")
        .map_err(|error: PublishError| error.to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let router = EventRouter::default();
    let streams = StreamState::new(router.clone());
    let app = Router::new()
        .route("/ask", post(ask))
        .with_state(router)
        .nest("/events", stream_router(streams.clone()))
        // Your authentication goes here; see the example `own_auth`.
        .layer(Extension(RequestContext::new(UserId::new("ada"))));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
    // Without the drain, an open stream would keep the server from ending. Given the router itself, axum would copy all
    // routes for each connection.
    axum::serve(listener, app.into_make_service())
        .with_graceful_shutdown(streams.drain_on(interrupted))
        .await
}
