//! Streams for operators that come from elsewhere than a log.

use std::sync::{Arc, Mutex};

use axum::Router;
use events_core::Frame;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;

struct Feed {
    state: StreamState,
    frames: mpsc::Sender<Frame>,
    app: Router,
}

impl Feed {
    /// Serves one reader what is sent; a second reader gets nothing but silence.
    fn new(is_operator: bool, most: usize) -> Self {
        let state = StreamState::new(EventRouter::default());
        let (frames, receiver) = mpsc::channel(1_000);
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        let open = move || match receiver.lock().unwrap().take() {
            Some(receiver) => ReceiverStream::new(receiver).boxed(),
            None => stream::pending().boxed(),
        };
        let context = if is_operator {
            RequestContext::operator(ada())
        } else {
            RequestContext::new(ada())
        };
        let app = Router::new()
            .route("/feed", state.operator_stream("feed", most, open))
            .layer(Extension(context));
        Self { state, frames, app }
    }

    async fn get(&self, path: &str) -> Response<Body> {
        let request = Request::get(path).body(Body::empty()).unwrap();
        self.app.clone().oneshot(request).await.expect("infallible")
    }

    async fn stream(&self, path: &str) -> Stream {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Stream {
            body: response.into_body(),
        }
    }
}

#[tokio::test]
async fn frames_come_after_the_head_without_ids_and_large_ones_alone() {
    let feed = Feed::new(true, 4);
    let mut stream = feed.stream("/feed").await;
    let first = stream.read().await.unwrap();
    assert!(first.starts_with("retry: ") && ids(&first).is_empty());
    let large = format!("\"{}\"", "x".repeat(100_000));
    for json in ["{\"n\":1}", "{\"n\":2}", large.as_str(), "{\"n\":3}"] {
        feed.frames
            .send(Frame::json(json.to_owned()))
            .await
            .unwrap();
    }
    let mut all = String::new();
    while !all.contains("{\"n\":3}") {
        let part = stream.read().await.unwrap();
        assert!(!all.is_empty() || part == "data: {\"n\":1}\n\ndata: {\"n\":2}\n\n");
        all.push_str(&part);
    }
    let expected =
        format!("data: {{\"n\":1}}\n\ndata: {{\"n\":2}}\n\ndata: {large}\n\ndata: {{\"n\":3}}\n\n");
    assert!(all == expected);
    let Feed { frames, .. } = feed;
    drop(frames);
    assert_eq!(
        stream.read().await,
        None,
        "the end of the frames is the end"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_has_heartbeats_of_either_form() {
    let feed = Feed::new(true, 4);
    for (path, heartbeat) in [
        ("/feed", ": {\"type\":\"heartbeat\"}\n\n"),
        (
            "/feed?heartbeat=event",
            "event: heartbeat\ndata: {\"type\":\"heartbeat\"}\n\n",
        ),
    ] {
        let mut stream = feed.stream(path).await;
        let _first = stream.read().await;
        let begun = tokio::time::Instant::now();
        assert_eq!(stream.read().await.unwrap(), heartbeat);
        assert_eq!(begun.elapsed().as_secs(), 15);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_a_silent_stream_with_its_reason() {
    let feed = Feed::new(true, 4);
    let mut stream = feed.stream("/feed").await;
    let _first = stream.read().await;
    let state = feed.state.clone();
    let (last, ()) = tokio::join!(stream.read(), async move { state.drain() });
    let last = last.unwrap();
    assert!(
        last.ends_with("event: closing\ndata: {\"reason\":\"draining\"}\n\n"),
        "{last}"
    );
    assert_eq!(stream.read().await, None);
    let mut late = feed.stream("/feed").await;
    let told = late.read().await.unwrap();
    assert!(told.contains("event: closing"), "{told}");
}

#[tokio::test]
async fn only_operators_read_and_only_so_many() {
    let refused = Feed::new(false, 4).get("/feed").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let feed = Feed::new(true, 1);
    let first = feed.stream("/feed").await;
    let mut second = feed.stream("/feed").await;
    assert!(second.read().await.unwrap().contains("event: closing"));
    drop(first);
    let mut third = feed.stream("/feed").await;
    assert!(third.read().await.unwrap().contains(": connected"));
}

#[tokio::test]
async fn further_metrics_stand_on_the_same_page() {
    let hub = Hub::new();
    hub.state
        .add_metrics(|out| out.push_str("# TYPE other counter\nother_total 7\n"));
    let response = hub
        .send(Request::get("/metrics").body(Body::empty()).unwrap())
        .await;
    let page = response.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.contains("\nevents_sockets "), "{page}");
    assert!(page.ends_with("other_total 7\n# EOF\n"), "{page}");
    assert_eq!(page.matches("# EOF").count(), 1);
}
