//! How to test handlers of your own: an application that mounts our streams, one that looks on, and a line that is cut.
//!
//! It needs nothing but this crate and yours; write your application in place of `your_app`.

use std::io;

use axum::{Extension, Router, extract::State, routing::post};
use events_axum::{RequestContext, StreamState, stream_router};
use events_core::UserId;
use events_models::{AgUiEventBuilder, MessageRole};
use events_router::EventRouter;
use events_tests::{
    deadline::PATIENCE,
    fault_proxy::{FaultProxy, Faults},
    raw_client::{RawFrame, RawSse, post as send},
};
use tokio::{net::TcpListener, task::JoinSet};

async fn ask(State(router): State<EventRouter>) -> Result<(), String> {
    let told = async {
        let mut run = router.run(&UserId::new("ada"), "thread");
        run.publish(AgUiEventBuilder::text_message_start(
            "m",
            MessageRole::Assistant,
        ))
        .await?;
        for word in ["Nothing ", "is ", "lost."] {
            run.publish(AgUiEventBuilder::text_message_content("m", word))
                .await?;
        }
        run.publish(AgUiEventBuilder::text_message_end("m")).await?;
        run.finish(None).await
    };
    told.await.map(drop).map_err(|error| error.to_string())
}

fn your_app(router: EventRouter) -> Router {
    Router::new()
        .route("/ask", post(ask))
        .with_state(router.clone())
        .nest("/events", stream_router(StreamState::new(router)))
        .layer(Extension(RequestContext::new(UserId::new("ada"))))
}

fn texts(frames: &[RawFrame]) -> io::Result<String> {
    let deltas = frames.iter().filter(|frame| frame.is_event()).map(|frame| {
        let event = frame.json()?;
        Ok(event["delta"].as_str().unwrap_or_default().to_owned())
    });
    deltas.collect()
}

#[tokio::test]
async fn a_screen_whose_line_is_cut_misses_nothing_of_your_app() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(axum::serve(listener, your_app(EventRouter::default())).into_future());

    // The line holds for 720 bytes: the head, the beginning, and a piece of the run.
    let line = FaultProxy::start(address).await?;
    line.set_faults_of_new(Faults {
        cut_after: Some(720),
        ..Faults::default()
    });
    let mut screen = RawSse::connect(line.address(), "/events/agui", &[]).await?;
    assert_eq!(send(address, "/ask", "text/plain", "").await?.status(), 200);
    let cut = screen.read_to_end(PATIENCE).await.unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    let before = texts(screen.frames())?;

    // It comes back with the last id that it has seen, as every EventSource does.
    line.set_faults_of_new(Faults::default());
    let seen = [("last-event-id", screen.last_id().expect("a cursor"))];
    let mut again = RawSse::connect(line.address(), "/events/agui", &seen).await?;
    let is_last = |frame: &RawFrame| frame.raw.contains("RUN_FINISHED");
    let rest = again.read_until(PATIENCE, is_last).await?;
    assert!(
        !before.is_empty() && before != "Nothing is lost.",
        "cut elsewhere, after {before:?}"
    );
    assert_eq!(before + &texts(&rest)?, "Nothing is lost.");
    Ok(())
}
