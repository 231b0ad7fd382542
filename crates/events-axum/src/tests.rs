//! Heads, frames, resume, caps and refusals, through the router and without a socket.
//!
//! Over 400 lines because the tests are many and small and share their few helpers.

use std::time::Duration;

use axum::{
    Extension, Router,
    body::Body,
    http::{Request, Response, StatusCode},
};
use events_broadcast::Limits;
use events_core::UserId;
use events_models::AgUiEventBuilder;
use events_router::{EventRouter, RouterConfig};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{RequestContext, StreamConfig, StreamState, create_sse_stream, hub_router};

struct Hub {
    state: StreamState,
    app: Router,
}

impl Hub {
    fn new() -> Self {
        Self::with(RouterConfig::default())
    }

    fn with(config: RouterConfig) -> Self {
        let state = StreamState::with_config(EventRouter::new(config), StreamConfig::default());
        let app = hub_router(state.clone()).layer(Extension(RequestContext::operator(ada())));
        Self { state, app }
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.expect("infallible")
    }

    async fn stream(&self, path: &str) -> Stream {
        let response = self
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(
            response.headers()["cache-control"],
            "no-cache, no-store, no-transform"
        );
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Stream {
            body: response.into_body(),
        }
    }

    async fn post(&self, path: &str, content_type: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::post(path)
            .header("content-type", content_type)
            .body(body.into())
            .unwrap();
        let response = self.send(request).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn publish(&self, thread: &str) -> String {
        let events = [
            AgUiEventBuilder::run_started(thread, "r", None),
            AgUiEventBuilder::run_finished(thread, "r", None),
        ];
        let mut last = String::new();
        for event in events {
            last = self
                .state
                .router()
                .publish(&ada(), event)
                .await
                .unwrap()
                .ids[0]
                .to_string();
        }
        last
    }
}

struct Stream {
    body: Body,
}

impl Stream {
    /// Reads one write of the server; `None` at the end.
    async fn read(&mut self) -> Option<String> {
        let frame = tokio::time::timeout(Duration::from_secs(60), self.body.frame())
            .await
            .expect("in time")?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }
}

fn ada() -> UserId {
    UserId::new("ada")
}

fn ids(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect()
}

const NDJSON: &str = "application/x-ndjson";

#[tokio::test]
async fn the_first_bytes_come_at_once_and_carry_a_valid_cursor() {
    let hub = Hub::new();
    let mut stream = hub.stream("/agui").await;
    let first = stream.read().await.unwrap();
    assert!(
        first.starts_with("retry: ") && first.contains("\n: connected\n"),
        "{first:?}"
    );
    let cursor = ids(&first)[0].to_owned();
    drop(stream);
    hub.publish("t").await;
    let mut again = hub.stream(&format!("/agui?last_event_id={cursor}")).await;
    let first = again.read().await.unwrap();
    assert_eq!(ids(&first), [cursor.as_str()]);
    let events = again.read().await.unwrap();
    assert_eq!(ids(&events).len(), 2, "{events}");
    assert!(!events.contains("event:") && !events.contains('\r'));
}

#[tokio::test]
async fn the_header_wins_over_the_query_and_a_foreign_cursor_gets_a_gap() {
    let hub = Hub::new();
    let last = hub.publish("t").await;
    let request = Request::get("/agui?last_event_id=nonsense").header("last-event-id", &last);
    let response = hub.send(request.body(Body::empty()).unwrap()).await;
    let mut stream = Stream {
        body: response.into_body(),
    };
    assert_eq!(ids(&stream.read().await.unwrap()), [last.as_str()]);

    let mut stream = hub.stream("/agui?last_event_id=nonsense").await;
    assert!(
        ids(&stream.read().await.unwrap()).is_empty(),
        "the cursor comes with the gap"
    );
    let gap = stream.read().await.unwrap();
    let data = format!(r#"{{"reason":"unknown","from":"nonsense","to":"{last}","lost":null}}"#);
    assert_eq!(gap, format!("id: {last}\nevent: gap\ndata: {data}\n\n"));

    let mut quiet = hub.stream("/agui?last_event_id=nonsense&control=off").await;
    quiet.read().await.unwrap();
    assert_eq!(quiet.read().await.unwrap(), format!("id: {last}\n\n"));
}

#[tokio::test]
async fn contexts_begin_with_a_snapshot_whose_last_frame_has_the_cursor() {
    let hub = Hub::new();
    let last = hub.publish("t").await;
    let mut stream = hub.stream("/contexts").await;
    assert!(ids(&stream.read().await.unwrap()).is_empty());
    let prelude = stream.read().await.unwrap();
    let (connected, snapshot) = prelude.trim_end().split_once("\n\n").unwrap();
    assert!(
        connected.starts_with(r#"data: {"protocol":"system","event":{"type":"CONNECTED""#),
        "{connected}"
    );
    assert!(
        snapshot.starts_with(&format!("id: {last}\ndata: ")),
        "{snapshot}"
    );
    assert!(
        snapshot.contains(r#""type":"CONTEXTS_SNAPSHOT""#)
            && snapshot.contains(r#""contextId":"t""#)
    );
    hub.publish("u").await;
    let live = stream.read().await.unwrap();
    assert!(
        live.contains(r#"data: {"protocol":"agui","thread":"u","event":{"type":"RUN_STARTED""#),
        "{live}"
    );

    let mut resumed = hub.stream(&format!("/contexts?last_event_id={last}")).await;
    assert_eq!(ids(&resumed.read().await.unwrap()), [last.as_str()]);
    let events = resumed.read().await.unwrap();
    assert!(
        !events.contains("CONNECTED") && ids(&events).len() == 2,
        "{events}"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_heartbeats_in_the_form_that_was_asked_for() {
    let hub = Hub::new();
    for (query, heartbeat) in [
        ("", ": {\"type\":\"heartbeat\"}\n\n"),
        (
            "?heartbeat=event",
            "event: heartbeat\ndata: {\"type\":\"heartbeat\"}\n\n",
        ),
    ] {
        let mut stream = hub.stream(&format!("/agui{query}")).await;
        stream.read().await.unwrap();
        let begun = tokio::time::Instant::now();
        for beat in 1..=3 {
            assert_eq!(stream.read().await.unwrap(), heartbeat);
            assert_eq!(begun.elapsed().as_secs(), 15 * beat);
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        hub.publish("t").await;
        stream.read().await.unwrap();
        let since = tokio::time::Instant::now();
        assert_eq!(stream.read().await.unwrap(), heartbeat);
        assert_eq!(
            since.elapsed().as_secs(),
            15,
            "an event postpones the heartbeat"
        );
    }
}

#[tokio::test]
async fn over_the_cap_the_answer_is_429_and_a_dropped_body_frees_the_slot() {
    let limits = Limits {
        connections_per_user: 1,
        ..Limits::default()
    };
    let hub = Hub::with(RouterConfig {
        limits,
        ..RouterConfig::default()
    });
    let stream = hub.stream("/agui").await;
    let refused = hub
        .send(Request::get("/agui").body(Body::empty()).unwrap())
        .await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    assert!(refused.headers().contains_key("retry-after"));
    drop(stream);
    hub.stream("/agui").await;
}

#[tokio::test]
async fn without_a_context_the_answer_is_401() {
    let state = StreamState::new(EventRouter::default());
    let app = hub_router(state);
    for path in ["/agui", "/contexts", "/analytics", "/connections"] {
        let response = app
            .clone()
            .oneshot(Request::get(path).body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_user_may_publish_for_themselves_only() {
    let state = StreamState::new(EventRouter::default());
    let app = hub_router(state).layer(Extension(RequestContext::new(ada())));
    for (user, status) in [("ada", 200), ("bob", 403)] {
        let request = Request::post(format!("/publish/system/{user}"))
            .header("content-type", "application/json");
        let body = Body::from(r#"{"type":"HEARTBEAT","timestamp":1}"#);
        let response = app
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{user}");
    }
}

#[tokio::test]
async fn publish_refusals_say_what_is_wrong_and_where() {
    let hub = Hub::new();
    let started = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;
    let cases = [
        (
            "/publish/agui/ada",
            "application/json",
            "not json".to_owned(),
            400,
            "",
            None,
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            format!("{started}\n{{"),
            400,
            "line 2: ",
            Some(2),
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            format!("{started}\n{{\"type\":\"STEP_STARTED\"}}"),
            422,
            "line 2: ",
            Some(2),
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            format!("{started}\n\n{started}"),
            422,
            "line 3: ",
            Some(3),
        ),
        (
            "/publish/agui/ada",
            "application/json",
            r#"{"type":"STEP_STARTED","stepName":"s"}"#.to_owned(),
            422,
            "ambiguous thread",
            None,
        ),
        (
            "/publish/agui/ada?thread=u",
            "application/json",
            started.to_owned(),
            422,
            "thread mismatch",
            None,
        ),
        (
            "/publish/agui/ada",
            "text/plain",
            started.to_owned(),
            415,
            "",
            None,
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            "\n\n".to_owned(),
            400,
            "",
            None,
        ),
        (
            "/publish/nothing/ada",
            "application/json",
            started.to_owned(),
            404,
            "",
            None,
        ),
        (
            "/publish/agui/ada?msg_id=a%20b",
            "application/json",
            started.to_owned(),
            400,
            "a message id",
            None,
        ),
        (
            "/publish/agui/ada",
            "application/json",
            format!("\"{}\"", "x".repeat(2 << 20)),
            413,
            "",
            None,
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            format!("\"{}\"", "x".repeat(2 << 20)),
            413,
            "line 1: ",
            Some(1),
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            "\n".repeat(5 << 20),
            413,
            "",
            None,
        ),
    ];
    for (path, content_type, body, status, detail, line) in cases {
        let shown = body.chars().take(80).collect::<String>();
        let (got, problem) = hub.post(path, content_type, body).await;
        assert_eq!(got, status, "{path} {shown}: {problem}");
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{problem}"
        );
        assert_eq!(
            problem.get("line").and_then(Value::as_u64),
            line,
            "{problem}"
        );
    }
    assert_eq!(
        hub.state.router().log().store().last(&ada()).seq,
        0,
        "a refused request leaves nothing behind"
    );
}

#[tokio::test]
async fn a_publish_is_answered_with_ids_and_safe_to_retry() {
    let hub = Hub::new();
    let mut stream = hub.stream("/agui").await;
    stream.read().await.unwrap();
    let body = "{\"type\":\"RUN_STARTED\",\"threadId\":\"t\",\"runId\":\"r\"}\n{\"type\":\"RUN_FINISHED\",\"threadId\":\"t\",\"runId\":\"r\"}\n";
    let (status, answer) = hub.post("/publish/agui/ada?msg_id=k", NDJSON, body).await;
    assert_eq!(
        (
            status,
            answer["duplicates"].as_u64(),
            answer["connections"].as_u64()
        ),
        (200, Some(0), Some(1))
    );
    let (_, again) = hub.post("/publish/agui/ada?msg_id=k", NDJSON, body).await;
    assert_eq!(
        (&again["ids"], again["duplicates"].as_u64()),
        (&answer["ids"], Some(2))
    );
    let events = stream.read().await.unwrap();
    let sent: Vec<_> = answer["ids"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(ids(&events), sent);
}

#[tokio::test]
async fn live_lines_are_answered_one_by_one() {
    let hub = Hub::new();
    let body = concat!(
        "{\"type\":\"RUN_STARTED\",\"threadId\":\"t\",\"runId\":\"r\"}\n",
        ": still here\n",
        "{\"type\":\"TEXT_MESSAGE_END\",\"messageId\":\"m\"}\n",
        "{\"type\":\"RUN_FINISHED\",\"threadId\":\"t\",\"runId\":\"r\"}",
    );
    let request = Request::post("/publish/agui/ada/live")
        .body(Body::from(body))
        .unwrap();
    let answer = hub
        .send(request)
        .await
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    let receipts: Vec<Value> = answer
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(receipts.len(), 3);
    assert_eq!(
        (
            &receipts[0]["line"],
            receipts[0]["ids"].as_array().map(Vec::len)
        ),
        (&json!(1), Some(1))
    );
    assert_eq!(
        (&receipts[1]["line"], &receipts[1]["error"]["status"]),
        (&json!(3), &json!(422))
    );
    assert_eq!(receipts[1]["error"]["rule"], 4);
    assert_eq!(
        (
            &receipts[2]["line"],
            receipts[2]["ids"].as_array().map(Vec::len)
        ),
        (&json!(4), Some(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_every_stream_within_its_window() {
    let hub = Hub::new();
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = hub.stream("/agui").await;
        stream.read().await.unwrap();
        streams.push(stream);
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let drained = hub
        .state
        .drain_on(async { stopped.await.unwrap_or_default() });
    stop.send(()).unwrap();
    drained.await;
    let begun = tokio::time::Instant::now();
    let mut ends = Vec::new();
    for mut stream in streams {
        let last = stream.read().await.unwrap();
        assert!(
            last.starts_with("retry: ")
                && last.contains("event: closing\ndata: {\"reason\":\"draining\"}"),
            "{last}"
        );
        assert_eq!(stream.read().await, None);
        ends.push(begun.elapsed());
    }
    assert!(begun.elapsed() <= Duration::from_secs(10));
    let mut late = hub.stream("/agui").await;
    assert!(late.read().await.unwrap().contains("event: closing"));
    assert_eq!(late.read().await, None);
    let ready = hub
        .send(Request::get("/health/ready").body(Body::empty()).unwrap())
        .await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(hub.state.router().agui().total(), 0);
}

#[tokio::test]
async fn operators_see_connections_and_metrics_and_end_streams() {
    let hub = Hub::new();
    let mut stream = hub.stream("/agui?thread=t").await;
    stream.read().await.unwrap();
    let listed = hub
        .send(
            Request::get("/connections?user=ada")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    let listed: Value =
        serde_json::from_slice(&listed.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(
        (&listed[0]["stream"], &listed[0]["thread"]),
        (&json!("agui"), &json!("t"))
    );
    let ended = hub
        .send(
            Request::delete("/connections?user=ada")
                .body(Body::empty())
                .unwrap(),
        )
        .await;
    assert_eq!(ended.status(), StatusCode::OK);
    let last = stream.read().await.unwrap();
    assert!(last.contains("{\"reason\":\"revoked\"}"), "{last}");
    drop(stream);
    let metrics = hub
        .send(Request::get("/metrics").body(Body::empty()).unwrap())
        .await;
    let metrics = String::from_utf8(
        metrics
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap();
    for line in [
        "events_stream_ends_total{stream=\"agui\",reason=\"revoked\"} 1",
        "events_connections{stream=\"agui\"} 0",
        "events_log_connected_total 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_hand_made_handler_streams_any_broadcaster() {
    let router = EventRouter::default();
    let context = RequestContext::new(ada());
    let response = create_sse_stream(&context, router.agui(), "mine").await;
    let mut stream = Stream {
        body: response.into_body(),
    };
    stream.read().await.unwrap();
    router
        .publish(&ada(), AgUiEventBuilder::run_started("t", "r", None))
        .await
        .unwrap();
    assert!(stream.read().await.unwrap().contains("RUN_STARTED"));
    assert_eq!(router.agui().count(&ada()), 1);
    drop(stream);
    assert_eq!(router.agui().count(&ada()), 0);
}
