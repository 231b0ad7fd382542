//! The prelude of the context stream, whole and in pieces.

use events_broadcast::Limits;
use events_tests::deadline::PATIENCE;
use events_tests::fault_proxy::{FaultProxy, Faults};
use events_tests::hub::Hub;
use events_tests::raw_client::{RawFrame, RawSse, Request};
use events_tests::sample;
use serde_json::Value;

/// Reads CONNECTED and CONTEXTS_SNAPSHOT and returns the snapshot's frame.
async fn prelude(stream: &mut RawSse) -> RawFrame {
    let connected = stream.next_event(PATIENCE).await.unwrap();
    let json = connected.json().unwrap();
    assert_eq!(
        (&json["protocol"], &json["event"]["type"]),
        (&"system".into(), &"CONNECTED".into())
    );
    assert_eq!(
        connected.id, None,
        "a cursor in the prelude would skip the rest of it"
    );
    let snapshot = stream.next_event(PATIENCE).await.unwrap();
    let json = snapshot.json().unwrap();
    let kind = &json["event"]["type"];
    assert_eq!(
        (&json["protocol"], kind),
        (&"system".into(), &"CONTEXTS_SNAPSHOT".into())
    );
    assert!(snapshot.id.is_some());
    snapshot
}

fn contexts_in(snapshot: &RawFrame) -> Vec<String> {
    let json = snapshot.json().unwrap();
    let contexts = json["event"]["contexts"].as_array().unwrap();
    let id = |context: &Value| context["contextId"].as_str().unwrap().to_owned();
    contexts.iter().map(id).collect()
}

#[tokio::test]
async fn the_snapshot_comes_first_and_the_stream_goes_on_behind_it() {
    let hub = Hub::plain().await.unwrap();
    let created = r#"{"type":"CONTEXT_CREATED","timestamp":1,"contextId":"soup","name":"Soup"}"#;
    hub.post("/publish/system/ada?user=ada", created)
        .await
        .unwrap();
    let before = hub
        .publish_lines("ada", &sample::run("t", "r", 2))
        .await
        .unwrap();
    let mut stream = hub.stream("/contexts?user=ada").await.unwrap();
    let snapshot = prelude(&mut stream).await;
    assert_eq!(contexts_in(&snapshot), ["soup", "t"]);
    assert_eq!(snapshot.id.as_ref(), before.last());

    let lines = sample::run("u", "r", 2);
    let ids = hub.publish_lines("ada", &lines).await.unwrap();
    for (id, line) in ids.iter().zip(&lines) {
        let frame = stream.next_event(PATIENCE).await.unwrap();
        assert_eq!(frame.id.as_ref(), Some(id));
        assert_eq!(
            frame.json().unwrap(),
            events_tests::client_log::enveloped("u", line)
        );
    }
    let deleted = r#"{"type":"CONTEXT_DELETED","timestamp":2,"contextId":"soup"}"#;
    hub.post("/publish/system/ada?user=ada", deleted)
        .await
        .unwrap();
    let frame = stream.next_event(PATIENCE).await.unwrap();
    let expected: Value = serde_json::from_str(deleted).unwrap();
    let json = frame.json().unwrap();
    assert_eq!(
        (&json["protocol"], &json["event"]),
        (&"system".into(), &expected)
    );
    assert_eq!(json.get("thread"), None);
    // A client with a cursor has no use for another prelude.
    let mut resumed = hub.resume("/contexts?user=ada", &ids[0]).await.unwrap();
    assert_eq!(
        resumed.next_event(PATIENCE).await.unwrap().id.as_ref(),
        Some(&ids[1])
    );
}

#[tokio::test]
async fn an_unknown_cursor_brings_the_prelude_and_a_gap() {
    let hub = Hub::plain().await.unwrap();
    hub.publish_lines("ada", &sample::run("t", "r", 2))
        .await
        .unwrap();
    let mut stream = hub.resume("/contexts?user=ada", "nonsense").await.unwrap();
    let frames = stream
        .read_until(PATIENCE, |frame| frame.event.is_some())
        .await
        .unwrap();
    let with_id: Vec<&RawFrame> = frames.iter().filter(|frame| frame.id.is_some()).collect();
    assert_eq!(
        with_id.len(),
        1,
        "the gap's is the first cursor: {frames:?}"
    );
    assert_eq!(with_id[0].event.as_deref(), Some("gap"));
    let is_snapshot = |frame: &RawFrame| {
        frame
            .data
            .as_ref()
            .is_some_and(|data| data.contains("CONTEXTS_SNAPSHOT"))
    };
    assert!(frames.iter().any(is_snapshot));
}

#[tokio::test]
async fn a_cut_at_any_byte_of_the_prelude_brings_all_of_it_again() {
    let hub = Hub::plain().await.unwrap();
    let proxy = FaultProxy::start(hub.address()).await.unwrap();
    let mut stream = RawSse::connect(proxy.address(), "/contexts?user=u00000", &[])
        .await
        .unwrap();
    prelude(&mut stream).await;
    let n_prelude = proxy.counters().n_bytes_down;
    drop(stream);
    let (mut n_fresh, mut n_resumed) = (0, 0);
    for n_bytes in 1..=n_prelude {
        let user = format!("u{n_bytes:05}");
        let path = format!("/contexts?user={user}");
        proxy.set_faults_of_new(Faults {
            cut_after: Some(n_bytes),
            ..Faults::default()
        });
        let mut cursor = None;
        if let Ok(mut stream) = RawSse::connect(proxy.address(), &path, &[]).await {
            stream.read_to_end(PATIENCE).await.unwrap_err();
            cursor = stream.last_id().map(str::to_owned);
        }
        // What happens while nobody listens is in the next snapshot, or in the stream behind the cursor.
        for event in sample::typed(&sample::run("t", "r", 0)) {
            hub.publish(&user, event).await.unwrap();
        }
        let Some(cursor) = cursor else {
            let mut stream = hub.stream(&path).await.unwrap();
            let snapshot = prelude(&mut stream).await;
            assert_eq!(contexts_in(&snapshot), ["t"], "cut after {n_bytes} bytes");
            n_fresh += 1;
            continue;
        };
        let mut stream = hub.resume(&path, &cursor).await.unwrap();
        for kind in [
            "RUN_STARTED",
            "TEXT_MESSAGE_START",
            "TEXT_MESSAGE_END",
            "RUN_FINISHED",
        ] {
            let json = stream.next_event(PATIENCE).await.unwrap().json().unwrap();
            assert_eq!(json["event"]["type"], kind, "cut after {n_bytes} bytes");
        }
        n_resumed += 1;
    }
    // The cursor is in the last frame; the chunk's end is behind it.
    assert!(
        n_fresh > 300 && (1..=5).contains(&n_resumed),
        "{n_fresh} fresh, {n_resumed} resumed"
    );
}

#[tokio::test]
async fn a_gap_in_mid_stream_is_followed_by_a_new_snapshot() {
    let limits = Limits {
        bytes: 256 << 10,
        ..Limits::default()
    };
    let hub = Hub::with_limits(limits).await.unwrap();
    let request = Request::get("/contexts?user=ada").receive_buffer(4_096);
    let mut slow = RawSse::open(hub.address(), &request).await.unwrap();
    let lines = sample::padded_run("t", "r", 3_000, 4_000);
    for some in lines.chunks(500) {
        hub.publish_lines("ada", some).await.unwrap();
    }
    let is_gap = |frame: &RawFrame| frame.event.as_deref() == Some("gap");
    slow.read_until(PATIENCE, is_gap).await.unwrap();
    let snapshot = slow.next_event(PATIENCE).await.unwrap();
    assert_eq!(
        snapshot.json().unwrap()["event"]["type"],
        "CONTEXTS_SNAPSHOT"
    );
    assert_eq!(contexts_in(&snapshot), ["t"]);
    assert_eq!(snapshot.id, None, "the gap has the cursor");
}
