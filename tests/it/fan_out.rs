//! One publish, many streams.

use events_tests::client_log::{enveloped, seq_of};
use events_tests::deadline::PATIENCE;
use events_tests::hub::{Hub, ids_of};
use events_tests::raw_client::{RawFrame, RawSse};
use events_tests::sample;
use serde_json::Value;
use tokio::task::JoinSet;

async fn next_events(stream: &mut RawSse, n_events: usize) -> Vec<RawFrame> {
    let mut frames = Vec::new();
    for _ in 0..n_events {
        frames.push(stream.next_event(PATIENCE).await.unwrap());
    }
    frames
}

/// Opens the context stream and reads its prelude.
async fn contexts(hub: &Hub, user: &str) -> RawSse {
    let path = format!("/contexts?user={user}");
    let mut stream = hub.stream(&path).await.unwrap();
    next_events(&mut stream, 2).await;
    stream
}

fn ids(frames: &[RawFrame]) -> Vec<&str> {
    frames
        .iter()
        .filter_map(|frame| frame.id.as_deref())
        .collect()
}

#[tokio::test]
async fn one_publish_reaches_every_stream_of_its_user_and_nobody_else_s() {
    let hub = Hub::plain().await.unwrap();
    let mut agui = Vec::new();
    let mut envelopes = Vec::new();
    for _ in 0..3 {
        agui.push(hub.stream("/agui?user=ada").await.unwrap());
        envelopes.push(contexts(&hub, "ada").await);
    }
    let mut foreign_agui = hub.stream("/agui?user=bob").await.unwrap();
    let mut foreign_contexts = contexts(&hub, "bob").await;

    let lines = sample::run("t", "r", 20);
    let path = "/publish/agui/ada?user=ada";
    let answer = hub
        .post(path, &lines.join("\n"))
        .await
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(answer["connections"], 6);
    let published = ids_of(&answer);
    assert_eq!(published.len(), lines.len());
    for stream in &mut agui {
        let frames = next_events(stream, lines.len()).await;
        assert_eq!(ids(&frames), published);
        for (frame, line) in frames.iter().zip(&lines) {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(frame.json().unwrap(), event);
            assert_eq!(frame.event, None);
        }
    }
    for stream in &mut envelopes {
        let frames = next_events(stream, lines.len()).await;
        assert_eq!(ids(&frames), published);
        for (frame, line) in frames.iter().zip(&lines) {
            assert_eq!(frame.json().unwrap(), enveloped("t", line));
        }
    }
    // What comes first to the others is their own.
    let own = hub
        .publish_lines("bob", &sample::run("b", "r", 0))
        .await
        .unwrap();
    for stream in [&mut foreign_agui, &mut foreign_contexts] {
        let frame = stream.next_event(PATIENCE).await.unwrap();
        assert_eq!(frame.id.as_ref(), own.first());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_publishers_are_seen_in_one_order_by_all() {
    const PUBLISHERS: usize = 4;
    let hub = Hub::plain().await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(hub.stream("/agui?user=ada").await.unwrap());
        streams.push(contexts(&hub, "ada").await);
    }
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let address = hub.address();
        publishers.spawn(async move {
            let thread = format!("t{publisher}");
            let path = format!("/publish/agui/ada?user=ada&thread={thread}");
            let mut ids = Vec::new();
            for line in sample::run(&thread, "r", 21) {
                let kind = "application/json";
                let answer = events_tests::raw_client::post(address, &path, kind, line).await;
                ids.extend(ids_of(&answer.unwrap().json().unwrap()));
            }
            ids
        });
    }
    let of_publishers = publishers.join_all().await;
    let n_events = of_publishers.iter().map(Vec::len).sum();
    assert_eq!(n_events, PUBLISHERS * 25);
    let mut first: Option<Vec<String>> = None;
    for stream in &mut streams {
        let frames = next_events(stream, n_events).await;
        let seen: Vec<String> = ids(&frames).into_iter().map(str::to_owned).collect();
        let numbers: Vec<u64> = seen.iter().map(|id| seq_of(id).unwrap()).collect();
        assert!(
            numbers.is_sorted_by(|left, right| left < right),
            "{numbers:?}"
        );
        assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen);
    }
    // Each publisher's events are in the order in which it published them.
    let order = first.unwrap();
    for ids in of_publishers {
        let own: Vec<&String> = order.iter().filter(|id| ids.contains(id)).collect();
        assert_eq!(own, ids.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_stream_of_one_thread_shows_that_thread_only() {
    let hub = Hub::plain().await.unwrap();
    let mut stream = hub.stream("/agui?user=ada&thread=t").await.unwrap();
    hub.publish_lines("ada", &sample::run("other", "r", 3))
        .await
        .unwrap();
    let published = hub
        .publish_lines("ada", &sample::run("t", "r", 3))
        .await
        .unwrap();
    let frames = next_events(&mut stream, published.len()).await;
    assert_eq!(ids(&frames), published);
}

#[tokio::test]
async fn analytics_have_no_ids_and_no_past() {
    let hub = Hub::plain().await.unwrap();
    let mut stream = hub.stream("/analytics?user=ada").await.unwrap();
    let mut agui = hub.stream("/agui?user=ada").await.unwrap();
    let view =
        |n| format!(r#"{{"type":"PAGE_VIEW","timestamp":{n},"sessionId":"s","pageUrl":"/"}}"#);
    let path = "/publish/analytics/ada?user=ada";
    let answer = hub.post(path, &view(1)).await.unwrap().json().unwrap();
    assert_eq!(
        (ids_of(&answer).len(), &answer["connections"]),
        (0, &1.into())
    );
    assert_eq!(
        stream.next_event(PATIENCE).await.unwrap().json().unwrap()["timestamp"],
        1
    );
    assert!(stream.frames().iter().all(|frame| frame.id.is_none()));
    // A cursor means nothing here: no gap, and nothing of what was before.
    let mut again = hub
        .resume("/analytics?user=ada", "00000000.1.0")
        .await
        .unwrap();
    hub.post(path, &view(2)).await.unwrap();
    let next = again.next_event(PATIENCE).await.unwrap();
    assert_eq!(
        (next.event.as_deref(), &next.json().unwrap()["timestamp"]),
        (None, &2.into())
    );
    let own = hub
        .publish_lines("ada", &sample::run("t", "r", 0))
        .await
        .unwrap();
    assert_eq!(
        agui.next_event(PATIENCE).await.unwrap().id,
        own.first().cloned()
    );
}
