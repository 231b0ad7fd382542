//! How often, and how much: refusals, what they say, and that they end.

use std::net::IpAddr;

use axum::http::HeaderMap;

use super::*;
use crate::{ClientAddress, Rate, Rates};

const EVENT: &str = r#"{"type":"HEARTBEAT","timestamp":1}"#;

fn hub(change: impl FnOnce(&mut Rates)) -> Hub {
    let mut rates = Rates::default();
    change(&mut rates);
    let config = StreamConfig {
        rates,
        ..StreamConfig::default()
    };
    Hub::of(RouterConfig::default(), config)
}

impl Hub {
    /// Publishes so many events as one request; the status, `Retry-After`, and the answer.
    async fn publish_lines(&self, user: &str, n_events: usize) -> (u16, Option<u64>, Value) {
        let body = format!("{EVENT}\n").repeat(n_events);
        let request = Request::post(format!("/publish/system/{user}"))
            .header("content-type", NDJSON)
            .header("content-length", body.len())
            .body(body.into())
            .unwrap();
        let response = self.send(request).await;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            head.status.as_u16(),
            retry_after(&head.headers),
            serde_json::from_slice(&bytes).unwrap(),
        )
    }

    /// The last number of the user's log.
    fn last(&self, user: &str) -> u64 {
        self.state.router().store().last(&UserId::new(user)).seq
    }

    async fn hits(&self, bound: &str) -> u32 {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let body = self.send(request).await.into_body();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let name = format!("events_bound_hits_total{{bound=\"{bound}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap().parse().unwrap()
    }

    async fn open(&self, path: &str, address: Option<[u8; 4]>) -> Stream {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(address) = address {
            let address = ClientAddress(IpAddr::from(address));
            request.extensions_mut().insert(address);
        }
        let response = self.send(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        Stream {
            body: response.into_body(),
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get("retry-after")?.to_str().ok()?.parse().ok()
}

/// Whether a stream was told to come back, and after how many milliseconds.
async fn sent_away(mut stream: Stream) -> Option<u64> {
    let first = stream.read().await.unwrap();
    if !first.contains("event: closing") {
        return None;
    }
    assert_eq!(stream.read().await, None);
    let retry = first.lines().find_map(|line| line.strip_prefix("retry: "));
    Some(retry.unwrap().parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_user_who_opens_streams_too_often_is_told_to_come_back_when_he_may() {
    let hub = hub(|rates| rates.attach = Rate::new(1, 3));
    for path in ["/agui", "/a2a", "/contexts"] {
        assert_eq!(sent_away(hub.open(path, None).await).await, None);
    }
    for path in ["/agui", "/agui?thread=t", "/contexts", "/analytics"] {
        let retry = sent_away(hub.open(path, None).await).await.expect(path);
        assert!((3_000..=6_000).contains(&retry), "{path}: {retry}");
    }
    assert_eq!(hub.hits("attach_rate").await, 4);
    // Whoever is no browser gets a status.
    let input = json!({"threadId": "t", "runId": "r", "state": {}, "messages": [], "tools": [], "context": [],
        "forwardedProps": {}});
    let request = Request::post("/agui/connect").header("content-type", "application/json");
    let request = request.body(Body::from(input.to_string())).unwrap();
    let refused = hub.send(request).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(retry_after(refused.headers()), Some(1));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(sent_away(hub.open("/agui", None).await).await, None);
    assert!(sent_away(hub.open("/agui", None).await).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_address_has_a_rate_of_its_own_and_takes_nothing_from_its_user() {
    let hub = hub(|rates| {
        rates.attach = Rate::new(1, 3);
        rates.attach_per_address = Rate::new(1, 2);
    });
    let (one, other) = (Some([192, 0, 2, 1]), Some([192, 0, 2, 2]));
    for _ in 0..2 {
        assert_eq!(sent_away(hub.open("/agui", one).await).await, None);
    }
    for _ in 0..5 {
        assert!(sent_away(hub.open("/agui", one).await).await.is_some());
    }
    assert_eq!(hub.hits("attach_rate_per_address").await, 5);
    assert_eq!(hub.hits("attach_rate").await, 0);
    assert_eq!(sent_away(hub.open("/agui", other).await).await, None);
    assert!(sent_away(hub.open("/agui", None).await).await.is_some());
    assert_eq!(hub.hits("attach_rate").await, 1);
}

#[tokio::test(start_paused = true)]
async fn too_many_events_are_refused_whole_and_taken_after_the_time_that_was_said() {
    let hub = hub(|rates| rates.publish = Rate::new(10, 20));
    assert_eq!(hub.publish_lines("ada", 15).await.0, 200);
    let before = hub.last("ada");
    let (status, wait, problem) = hub.publish_lines("ada", 15).await;
    assert_eq!((status, wait), (429, Some(1)), "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("try again in 1 s")
    );
    assert_eq!(hub.last("ada"), before, "nothing of it is in the log");
    assert_eq!(hub.hits("publish_rate").await, 1);
    assert_eq!(hub.publish_lines("bob", 15).await.0, 200);
    tokio::time::advance(Duration::from_secs(1)).await;
    let (status, _, answer) = hub.publish_lines("ada", 15).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["ids"].as_array().unwrap().len(), 15);
    // One that is larger than the burst is not refused for ever, and is paid off.
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(hub.publish_lines("ada", 100).await.0, 200);
    let (status, wait, _) = hub.publish_lines("ada", 1).await;
    assert_eq!((status, wait), (429, Some(9)));
}

#[tokio::test(start_paused = true)]
async fn bytes_and_publishers_are_counted_too() {
    let bytes = u64::try_from(EVENT.len() + 1).unwrap();
    let hub = hub(|rates| rates.publish_bytes = Rate::new(bytes, 3 * bytes));
    assert_eq!(hub.publish_lines("ada", 3).await.0, 200);
    assert_eq!(hub.publish_lines("ada", 2).await.1, Some(2));
    assert_eq!(hub.hits("publish_bytes").await, 1);

    let hub = self::hub(|rates| rates.publisher = Rate::new(1, 3));
    assert_eq!(hub.publish_lines("ada", 2).await.0, 200);
    assert_eq!(hub.publish_lines("bob", 1).await.0, 200);
    assert_eq!(hub.publish_lines("eve", 1).await.1, Some(1));
    assert_eq!(hub.hits("publisher_rate").await, 1);

    let hub = self::hub(|rates| {
        rates.publish = Rate::new(1, 3);
        rates.publisher_bytes = Rate::new(bytes, 2 * bytes);
    });
    assert_eq!(hub.publish_lines("ada", 2).await.0, 200);
    for _ in 0..5 {
        assert_eq!(hub.publish_lines("ada", 1).await.0, 429);
    }
    assert_eq!(hub.hits("publisher_bytes").await, 5);
    // What one bound has refused costs nothing at the others.
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(hub.publish_lines("ada", 1).await.0, 200);
    assert_eq!(hub.hits("publish_rate").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_live_request_is_read_more_slowly_and_loses_no_line() {
    let hub = hub(|rates| rates.publish = Rate::new(10, 10));
    let begun = tokio::time::Instant::now();
    let pieces = (0..50).map(|_| Ok::<_, std::convert::Infallible>(format!("{EVENT}\n")));
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let request = Request::post("/publish/system/ada/live")
        .body(body)
        .unwrap();
    let answer = hub.send(request).await.into_body().collect().await.unwrap();
    let answer = String::from_utf8(answer.to_bytes().to_vec()).unwrap();
    assert_eq!(answer.lines().count(), 50);
    assert!(!answer.contains("error"), "{answer}");
    let took = begun.elapsed();
    let expected = Duration::from_secs(3)..Duration::from_secs(6);
    assert!(expected.contains(&took), "{took:?}");
    assert!(hub.hits("publish_rate").await > 0);
    assert_eq!(hub.hits("live_idle").await, 0);
}

#[tokio::test]
async fn a_coded_body_is_refused_and_told_what_is_taken() {
    // 20 MiB of zeros, as gzip makes them small: nothing looks inside.
    let bomb = [
        &b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..],
        &[0; 20_000],
    ]
    .concat();
    let hub = Hub::new();
    for path in [
        "/publish/agui/ada",
        "/publish/agui/ada/live",
        "/agui/connect",
        "/a2a/rpc",
    ] {
        for coding in [
            "gzip",
            "br",
            "deflate",
            "zstd",
            "identity, gzip",
            "x-unknown",
        ] {
            let request = Request::post(path)
                .header("content-type", "application/json")
                .header("content-encoding", coding);
            let refused = hub.send(request.body(bomb.clone().into()).unwrap()).await;
            assert_eq!(
                refused.status(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path}"
            );
            assert_eq!(refused.headers()["accept-encoding"], "identity");
        }
    }
    let request = Request::post("/publish/system/ada")
        .header("content-type", "application/json")
        .header("content-encoding", "identity");
    let taken = hub.send(request.body(EVENT.into()).unwrap()).await;
    assert_eq!(taken.status(), StatusCode::OK);
}
