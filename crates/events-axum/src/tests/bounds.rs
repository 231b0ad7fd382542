//! Each bound of the edge: it is hit, the client is told, and the counter moves.

use std::convert::Infallible;

use axum::body::Bytes;
use futures_util::{StreamExt, stream};

use super::*;

const HEARTBEAT: &str = r#"{"type":"HEARTBEAT","timestamp":1}"#;

fn hub(change: impl FnOnce(&mut StreamConfig)) -> Hub {
    let mut config = StreamConfig::default();
    change(&mut config);
    Hub::of(RouterConfig::default(), config)
}

/// A body that begins and does not go on.
fn unfinished(begun: &str) -> Body {
    let begun = Bytes::from(begun.to_owned());
    let begun = stream::iter([Ok::<_, Infallible>(begun)]);
    Body::from_stream(begun.chain(stream::pending()))
}

async fn metrics(hub: &Hub) -> String {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let body = hub.send(request).await.into_body();
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn hits(hub: &Hub, bound: &str) -> u32 {
    let name = format!("events_bound_hits_total{{bound=\"{bound}\"}} ");
    let metrics = metrics(hub).await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value
        .unwrap_or_else(|| panic!("{bound} is not in\n{metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_stream_beyond_all_streams_is_told_to_come_back() {
    let hub = hub(|config| config.streams = 1);
    let mut first = hub.stream("/agui").await;
    first.read().await.unwrap();
    assert_eq!(hits(&hub, "streams").await, 0);
    let mut second = hub.stream("/contexts").await;
    assert!(second.read().await.unwrap().contains("event: closing"));
    assert_eq!(second.read().await, None);
    assert_eq!(hits(&hub, "streams").await, 1);
    drop(first);
    let mut third = hub.stream("/agui").await;
    assert!(!third.read().await.unwrap().contains("event: closing"));
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_bound() {
    let limits = Limits {
        event_bytes: 2_000,
        ..Limits::default()
    };
    let config = RouterConfig {
        limits,
        ..RouterConfig::default()
    };
    let streams = StreamConfig {
        ndjson_bytes: 10_000,
        user_id_bytes: 8,
        ..StreamConfig::default()
    };
    let hub = Hub::of(config, streams);
    let long = format!(
        r#"{{"type":"CONTEXT_CREATED","contextId":"{}"}}"#,
        "x".repeat(2_500)
    );
    let many = format!("{HEARTBEAT}\n").repeat(400);
    for (user, content_type, body, status, bound) in [
        ("ada", NDJSON, &many, 413, "body_bytes"),
        ("ada", NDJSON, &long, 413, "event_bytes"),
        (
            "ada",
            "application/json",
            &"x".repeat(4_000),
            413,
            "event_bytes",
        ),
        (
            "ada-lovelace",
            "application/json",
            &HEARTBEAT.to_owned(),
            400,
            "user_id_bytes",
        ),
    ] {
        let before = hits(&hub, bound).await;
        let path = format!("/publish/system/{user}");
        let (refused, problem) = hub.post(&path, content_type, body.clone()).await;
        assert_eq!(refused, status, "{problem}");
        assert_eq!(hits(&hub, bound).await, before + 1, "{bound}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_wait_for_their_turn_and_not_for_ever() {
    let path = "/publish/system/ada";
    let large = " ".repeat(StreamConfig::SMALL_BODY + 1);
    for (bound, begun, second) in [
        ("bodies", " ", HEARTBEAT.to_owned()),
        ("large_bodies", &*large, format!("{large}{HEARTBEAT}")),
    ] {
        let hub = hub(|config| {
            config.bodies = if bound == "bodies" { 1 } else { 2 };
            config.large_bodies = 1;
        });
        let (slow, waiting) = tokio::join!(
            hub.post(path, NDJSON, unfinished(begun)),
            hub.post(path, NDJSON, second.clone()),
        );
        assert_eq!((slow.0, waiting.0), (408, 429), "{} {}", slow.1, waiting.1);
        assert_eq!(hits(&hub, bound).await, 1);
        assert_eq!(hits(&hub, "body_time").await, 1);
        let (status, answer) = hub.post(path, NDJSON, second).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn live_requests_are_bounded_in_number_and_silence() {
    let hub = hub(|config| config.live_requests = 1);
    let open = async || {
        let request = Request::post("/publish/system/ada/live");
        hub.send(request.body(unfinished(": hello\n")).unwrap())
            .await
    };
    let first = open().await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(open().await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(hits(&hub, "live_requests").await, 1);
    let receipts = first.into_body().collect().await.unwrap().to_bytes();
    let receipt: Value = serde_json::from_slice(&receipts).unwrap();
    assert_eq!(
        (&receipt["line"], &receipt["error"]["status"]),
        (&json!(0), &json!(408))
    );
    assert_eq!(hits(&hub, "live_idle").await, 1);
    assert_eq!(open().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn metrics_have_what_is_in_use_and_what_was_forgotten() {
    let config = RouterConfig {
        threads_per_user: 1,
        ..RouterConfig::default()
    };
    let hub = Hub::with(config);
    hub.publish("t").await;
    hub.publish("u").await;
    let metrics = metrics(&hub).await;
    for line in [
        "events_log_users 1",
        "events_order_users 1",
        "events_threads 1",
        "events_order_threads_forgotten_total 1",
        "events_order_refused_full_total 0",
        "events_log_refused_full_total 0",
        "events_sockets 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    for name in ["events_log_bytes ", "events_order_bytes "] {
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        assert!(value.unwrap().parse::<u64>().unwrap() > 100, "{name}");
    }
}

#[tokio::test]
async fn a_large_event_is_sent_whole_and_in_its_envelope() {
    let hub = Hub::new();
    let mut stream = hub.stream("/contexts?last_event_id=x").await;
    for _ in 0..3 {
        stream.read().await.unwrap();
    }
    let delta = "x".repeat(100_000);
    let name = format!(r#"{{"type":"CUSTOM","name":"n","value":"{delta}"}}"#);
    let body = format!(
        "{}\n{name}",
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#
    );
    let (status, answer) = hub.post("/publish/agui/ada", NDJSON, body).await;
    assert_eq!(status, 200, "{answer}");
    stream.read().await.unwrap();
    let mut event = String::new();
    while !event.ends_with("\n\n") {
        event.push_str(&stream.read().await.unwrap());
    }
    let id = answer["ids"][1].as_str().unwrap();
    let head = format!("id: {id}\ndata: {{\"protocol\":\"agui\",\"thread\":\"t\",\"event\":");
    assert!(event.starts_with(&head), "{}", &event[..200]);
    assert!(event.ends_with("\"}}\n\n") && event.contains(&delta));
}
