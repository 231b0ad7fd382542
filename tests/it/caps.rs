//! How many streams a user may have, and when a place is free again.

use std::time::Duration;

use events_broadcast::{CapPolicy, Limits};
use events_tests::deadline::{PATIENCE, within};
use events_tests::hub::Hub;
use events_tests::raw_client::{RawSse, Request, get};
use events_tests::sample;

async fn open(hub: &Hub, n_streams: usize) -> Vec<RawSse> {
    let mut streams = Vec::new();
    for _ in 0..n_streams {
        streams.push(hub.stream("/agui?user=ada").await.unwrap());
    }
    streams
}

async fn is_full(hub: &Hub) -> bool {
    // The answer of a stream that is accepted has no end.
    RawSse::connect(hub.address(), "/agui?user=ada", &[])
        .await
        .is_err()
}

#[tokio::test]
async fn the_eleventh_stream_is_refused_with_a_problem() {
    let hub = Hub::plain().await.unwrap();
    let _streams = open(&hub, 10).await;
    let refused = get(hub.address(), "/agui?user=ada", &[]).await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(
        refused.head.header("content-type"),
        Some("application/problem+json")
    );
    let retry_after = refused.head.header("retry-after").unwrap();
    assert!(retry_after.parse::<u32>().unwrap() > 0, "{retry_after}");
    let problem = refused.json().unwrap();
    assert_eq!(
        (&problem["status"], &problem["type"]),
        (&429.into(), &"about:blank".into())
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("10"),
        "{problem}"
    );
    // Other streams and other users have places of their own.
    hub.stream("/contexts?user=ada").await.unwrap();
    hub.stream("/agui?user=bob").await.unwrap();
}

#[tokio::test]
async fn a_place_is_free_once_its_client_has_closed_or_reset() {
    let hub = Hub::plain().await.unwrap();
    let mut streams = open(&hub, 10).await;
    for round in 0..4 {
        assert!(is_full(&hub).await);
        hub.wait_for_connections("ada", 10).await.unwrap();
        let gone = streams.remove(0);
        if round % 2 == 0 {
            drop(gone);
        } else {
            gone.reset().unwrap();
        }
        hub.wait_for_connections("ada", 9).await.unwrap();
        streams.extend(open(&hub, 1).await);
    }
}

#[tokio::test]
async fn the_stalest_stream_is_told_that_it_was_replaced() {
    let limits = Limits {
        connections_per_user: 2,
        cap_policy: CapPolicy::Replace,
        ..Limits::default()
    };
    let hub = Hub::with_limits(limits).await.unwrap();
    let mut streams = open(&hub, 3).await;
    let frames = streams[0].read_to_end(PATIENCE).await.unwrap();
    let closing = frames
        .iter()
        .find(|frame| frame.event.as_deref() == Some("closing"))
        .unwrap();
    assert_eq!(closing.json().unwrap()["reason"], "replaced");
    assert_eq!(closing.id, None);
    let retry = frames.iter().filter_map(|frame| frame.retry).next_back();
    assert_eq!(retry, Some(30_000));
    let published = hub
        .publish_lines("ada", &sample::run("t", "r", 0))
        .await
        .unwrap();
    for stream in &mut streams[1..] {
        assert_eq!(
            stream.next_event(PATIENCE).await.unwrap().id,
            published.first().cloned()
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_not_read_loses_its_place_to_a_new_one() {
    let limits = Limits {
        connections_per_user: 1,
        stalled_after: Duration::ZERO,
        ..Limits::default()
    };
    let hub = Hub::with_limits(limits).await.unwrap();
    let request = Request::get("/agui?user=ada").receive_buffer(4_096);
    let mut stalled = RawSse::open(hub.address(), &request).await.unwrap();
    assert!(
        is_full(&hub).await,
        "a stream that has nothing to read is not stalled"
    );
    for run in 0..8 {
        let lines = sample::padded_run("t", &format!("r{run}"), 16, 60_000);
        hub.publish_lines("ada", &lines).await.unwrap();
    }
    let mut fresh = hub.stream("/agui?user=ada").await.unwrap();
    let published = hub
        .publish_lines("ada", &sample::run("u", "r", 0))
        .await
        .unwrap();
    assert_eq!(
        fresh.next_event(PATIENCE).await.unwrap().id,
        published.first().cloned()
    );
    let reads = stalled.read_until(PATIENCE, |frame| frame.event.as_deref() == Some("closing"));
    let frames = within("the slow stream's end", PATIENCE, reads)
        .await
        .unwrap();
    assert_eq!(frames.last().unwrap().json().unwrap()["reason"], "slow");
    assert!(stalled.read_to_end(PATIENCE).await.unwrap().is_empty());
}
