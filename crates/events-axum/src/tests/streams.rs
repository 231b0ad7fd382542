//! First bytes, cursors, preludes, heartbeats, caps.

use super::*;

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
