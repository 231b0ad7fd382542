//! How a hub ends while streams are open.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::middleware::map_response_with_state;
use axum::response::sse::{Event as SseEvent, Sse};
use axum::{Extension, Router, routing};
use events_axum::serve::Server;
use events_axum::{
    RequestContext, StreamConfig, StreamState, create_sse_stream, end_on_drain, stream_router,
};
use events_core::UserId;
use events_router::EventRouter;
use events_tests::deadline::{PATIENCE, within};
use events_tests::hub::{Hub, HubOptions};
use events_tests::raw_client::{RawFrame, RawSse, Request, get};
use events_tests::sample;
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const WINDOW: Duration = Duration::from_secs(2);
/// The deadline that the documentation wants around a server.
const OUTER: Duration = Duration::from_secs(3);

async fn hub() -> Hub {
    let streams = StreamConfig {
        drain_window: WINDOW,
        ..StreamConfig::default()
    };
    Hub::start(HubOptions {
        streams,
        ..HubOptions::default()
    })
    .await
    .unwrap()
}

/// Checks that a stream's last frame says why it ends, and when to come back.
fn check_end(frames: &[RawFrame]) {
    let closing = frames.last().unwrap();
    assert_eq!(closing.event.as_deref(), Some("closing"), "{frames:?}");
    assert_eq!(closing.json().unwrap()["reason"], "draining");
    assert_eq!(closing.id, None);
    let retry = frames.iter().rev().find_map(|frame| frame.retry).unwrap();
    assert!((2_000..=5_000).contains(&retry), "{retry}");
}

#[tokio::test]
async fn open_streams_are_told_and_end_properly_within_the_window() {
    let mut hub = hub().await;
    let mut streams = Vec::new();
    for user in 0..4 {
        for path in ["agui", "agui", "contexts", "contexts", "analytics"] {
            streams.push(hub.stream(&format!("/{path}?user=u{user}")).await.unwrap());
        }
    }
    let begun = Instant::now();
    hub.signal();
    let mut readers = JoinSet::new();
    for mut stream in streams {
        readers.spawn(async move {
            // Anything but the last chunk of the body is an error here.
            let frames = stream.read_to_end(PATIENCE).await.unwrap();
            check_end(&frames);
            begun.elapsed()
        });
    }
    hub.ended(OUTER).await.unwrap();
    let took = begun.elapsed();
    let ends = readers.join_all().await;
    assert_eq!(ends.len(), 20);
    let (first, last) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
    assert!(
        *last <= WINDOW && took <= OUTER,
        "last stream {last:?}, server {took:?}"
    );
    assert!(
        *last - *first > WINDOW / 10,
        "all clients would come back at once: {ends:?}"
    );
    get(hub.address(), "/health/live", &[]).await.unwrap_err();
}

#[tokio::test]
async fn a_draining_hub_turns_streams_away_softly_and_the_rest_hard() {
    let hub = hub().await;
    let mut open = Vec::new();
    for path in [
        "/agui?user=bob",
        "/contexts?user=bob",
        "/analytics?user=bob",
    ] {
        open.push(hub.stream(path).await.unwrap());
    }
    hub.state().drain();
    for path in [
        "/agui?user=ada",
        "/contexts?user=ada",
        "/analytics?user=ada",
    ] {
        let mut stream = hub.stream(path).await.unwrap();
        check_end(&stream.read_to_end(PATIENCE).await.unwrap());
    }
    // Nothing but the drain itself wakes these: the server has had no signal.
    for mut stream in open {
        check_end(&stream.read_to_end(OUTER).await.unwrap());
    }
    for path in [
        "/publish/agui/ada?user=ada",
        "/publish/agui/ada/live?user=ada",
    ] {
        let answer = hub
            .post(path, &sample::run("t", "r", 0).join("\n"))
            .await
            .unwrap();
        assert_eq!(answer.status(), 503, "{path}");
        assert_eq!(
            answer.head.header("content-type"),
            Some("application/problem+json")
        );
        assert!(answer.head.header("retry-after").is_some());
    }
    for (path, status) in [("/health/ready", 503), ("/health/live", 200)] {
        assert_eq!(
            get(hub.address(), path, &[]).await.unwrap().status(),
            status,
            "{path}"
        );
    }
}

/// A client on a runtime of its own, so that it stalls while the server does not.
#[test]
fn a_client_that_does_not_read_ends_with_the_server() {
    let of_server = Runtime::new().unwrap();
    let of_client = Runtime::new().unwrap();
    let mut hub = of_server.block_on(hub());
    let address = hub.address();
    let request = Request::get("/agui?user=ada").receive_buffer(4_096);
    let mut stalled = of_client.block_on(RawSse::open(address, &request)).unwrap();
    for run in 0..8 {
        let lines = sample::padded_run("t", &format!("r{run}"), 16, 60_000);
        of_client
            .block_on(hub.publish_lines("ada", &lines))
            .unwrap();
    }
    let error = of_server.block_on(hub.shutdown(OUTER)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    // The server owns its connections: they go with it, and the process may live on.
    let router = hub.router().clone();
    of_server.block_on(async {
        hub.abort().await;
        within("the end of the connection", PATIENCE, async {
            while router.agui().total() > 0 {
                tokio::task::yield_now().await;
            }
            Ok(())
        })
        .await
        .unwrap();
    });
    let end = of_client
        .block_on(stalled.read_to_end(PATIENCE))
        .unwrap_err();
    assert_ne!(end.kind(), std::io::ErrorKind::TimedOut);
}

/// An application with a stream of its own that never ends, one made by hand from a broadcaster, and ours.
fn your_app(state: &StreamState) -> Router {
    let ticking = async || {
        let events =
            futures_util::stream::iter([SseEvent::default().data("here")]).map(Ok::<_, Infallible>);
        Sse::new(events.chain(futures_util::stream::pending()))
    };
    let by_hand = async |State(state): State<StreamState>, context: RequestContext| {
        create_sse_stream(context, state.router().agui(), "by_hand").await
    };
    Router::new()
        .route("/ticking", routing::get(ticking))
        .route("/by_hand", routing::get(by_hand))
        .with_state(state.clone())
        .nest("/events", stream_router(state.clone()))
        .layer(Extension(RequestContext::new(UserId::new("ada"))))
        .layer(map_response_with_state(state.clone(), end_on_drain))
}

#[tokio::test]
async fn a_drain_wraps_any_application_and_either_server() {
    for is_axums in [true, false] {
        let state = StreamState::with_config(
            EventRouter::default(),
            StreamConfig {
                drain_window: WINDOW,
                ..StreamConfig::default()
            },
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let draining = state.drain_on(async { stopped.await.unwrap_or_default() });
        let mut server = JoinSet::new();
        let app = your_app(&state);
        if is_axums {
            server.spawn(async move {
                let serving = axum::serve(listener, app).with_graceful_shutdown(draining);
                serving.await.unwrap();
            });
        } else {
            server.spawn(Server::new(listener, app).run(draining));
        }
        let mut streams = Vec::new();
        for path in ["/ticking", "/by_hand", "/events/agui", "/events/contexts"] {
            for _ in 0..3 {
                let mut stream = RawSse::connect(address, path, &[]).await.unwrap();
                stream.next_frame(PATIENCE).await.unwrap();
                streams.push(stream);
            }
        }
        let begun = Instant::now();
        stop.send(()).unwrap();
        let mut ends = Vec::new();
        let mut readers = JoinSet::new();
        for mut stream in streams {
            readers.spawn(async move {
                check_end(&stream.read_to_end(PATIENCE).await.unwrap());
                begun.elapsed()
            });
        }
        while let Some(end) = readers.join_next().await {
            ends.push(end.unwrap());
        }
        within("the server's end", OUTER, async {
            Ok(server.join_next().await)
        })
        .await
        .unwrap();
        let (first, last) = (ends.iter().min().unwrap(), ends.iter().max().unwrap());
        assert!(*last <= WINDOW && *last - *first > WINDOW / 2, "{ends:?}");
    }
}
