//! Drain, connections, metrics, hand-made handlers.

use super::*;

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
async fn operators_see_how_much_goes_to_whom_and_by_what() {
    let hub = Hub::new();
    let get = |path: &'static str| hub.send(Request::get(path).body(Body::empty()).unwrap());
    let mut stream = hub.stream("/agui").await;
    let mut n_bytes = stream.read().await.unwrap().len();
    hub.publish("t").await;
    n_bytes += stream.read().await.unwrap().len();
    // What was handed over last is known once more is asked for.
    assert!(
        tokio::time::timeout(Duration::ZERO, stream.body.frame())
            .await
            .is_err()
    );
    let rows = get("/connections")
        .await
        .into_body()
        .collect()
        .await
        .unwrap();
    let rows: Value = serde_json::from_slice(&rows.to_bytes()).unwrap();
    assert_eq!(
        (&rows[0]["transport"], &rows[0]["written_bytes"]),
        (&json!("body"), &json!(n_bytes))
    );
    drop(stream);
    let page = get("/metrics").await.into_body().collect().await.unwrap();
    let page = String::from_utf8(page.to_bytes().to_vec()).unwrap();
    for (transport, n_bytes) in [("body", n_bytes), ("taken_over", 0)] {
        let line = format!("events_written_bytes_total{{transport=\"{transport}\"}} {n_bytes}\n");
        assert!(page.contains(&line), "{line} is not in\n{page}");
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
