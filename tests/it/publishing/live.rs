//! Publishing line by line, with receipts while the request is still being sent.

use events_tests::deadline::PATIENCE;
use events_tests::hub::{Hub, ids_of};
use events_tests::raw_client::LivePost;
use events_tests::sample;
use serde_json::Value;

const PATH: &str = "/publish/agui/ada/live?user=ada";

async fn receipt(post: &mut LivePost) -> Value {
    let line = post.next_line(PATIENCE).await.unwrap();
    serde_json::from_str(&line.expect("a receipt")).unwrap()
}

#[tokio::test]
async fn each_line_is_answered_and_delivered_before_the_next_is_sent() {
    let hub = Hub::plain().await.unwrap();
    let mut stream = hub.stream("/agui?user=ada").await.unwrap();
    let mut post = LivePost::open(hub.address(), PATH, &[]).await.unwrap();
    let head = post.head(PATIENCE).await.unwrap();
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("application/x-ndjson"))
    );
    let lines = sample::run("t", "r", 30);
    for (index, line) in lines.iter().enumerate() {
        if index % 2 == 0 {
            post.send_line(line).await.unwrap();
        } else {
            for piece in format!("{line}\n").as_bytes().chunks(17) {
                post.send_bytes(piece).await.unwrap();
            }
        }
        let receipt = receipt(&mut post).await;
        assert_eq!(receipt["line"], index as u64 + 1, "{receipt}");
        let event = stream.next_event(PATIENCE).await.unwrap();
        assert_eq!(event.id, ids_of(&receipt).pop());
        assert_eq!(
            event.json().unwrap(),
            serde_json::from_str::<Value>(line).unwrap()
        );
    }
    post.finish().await.unwrap();
    assert_eq!(post.next_line(PATIENCE).await.unwrap(), None);
}

#[tokio::test]
async fn keep_alives_are_not_answered_and_a_bad_line_does_not_end_the_request() {
    let hub = Hub::plain().await.unwrap();
    let mut post = LivePost::open(hub.address(), PATH, &[]).await.unwrap();
    let lines = sample::run("t", "r", 0);
    post.send_line(":").await.unwrap();
    post.send_line(": still here").await.unwrap();
    post.send_line(&lines[0]).await.unwrap();
    assert_eq!(receipt(&mut post).await["line"], 3);
    for (line, number, status, rule) in [
        ("{", 4, 400, None),
        (r#"{"type":"NOTHING"}"#, 5, 422, None),
        (
            r#"{"type":"TEXT_MESSAGE_END","messageId":"none"}"#,
            6,
            422,
            Some(4),
        ),
    ] {
        post.send_line(line).await.unwrap();
        let receipt = receipt(&mut post).await;
        assert_eq!(
            (&receipt["line"], &receipt["error"]["status"]),
            (&number.into(), &status.into())
        );
        assert_eq!(receipt["error"]["rule"].as_u64(), rule, "{receipt}");
        assert_eq!(receipt.get("ids"), None);
    }
    let large = format!(
        r#"{{"type":"CUSTOM","name":"n","value":"{}"}}"#,
        "x".repeat(1 << 20)
    );
    post.send_line(&large).await.unwrap();
    assert_eq!(receipt(&mut post).await["error"]["status"], 413);
    post.send_line(lines.last().unwrap()).await.unwrap();
    assert_eq!(ids_of(&receipt(&mut post).await).len(), 1);
}

#[tokio::test]
async fn a_producer_that_breaks_off_leaves_what_was_whole() {
    let hub = Hub::plain().await.unwrap();
    let mut stream = hub.stream("/agui?user=ada").await.unwrap();
    let lines = sample::run("t", "r", 1);
    let mut post = LivePost::open(hub.address(), PATH, &[]).await.unwrap();
    post.send_line(&lines[0]).await.unwrap();
    receipt(&mut post).await;
    let half = &lines[1].as_bytes()[..lines[1].len() - 1];
    post.send_bytes(half).await.unwrap();
    post.reset().unwrap();
    assert_eq!(
        stream.next_event(PATIENCE).await.unwrap().json().unwrap()["type"],
        "RUN_STARTED"
    );
    // The next event is of the producer's second attempt.
    let path = "/publish/agui/ada?user=ada";
    let again = hub.post(path, &lines[1..].join("\n")).await.unwrap();
    assert_eq!(again.status(), 200, "{}", again.text());
    let next = stream.next_event(PATIENCE).await.unwrap();
    assert_eq!(next.id.as_ref(), ids_of(&again.json().unwrap()).first());
}

#[tokio::test]
async fn a_drain_ends_a_live_request_with_a_word() {
    let mut hub = Hub::plain().await.unwrap();
    let mut post = LivePost::open(hub.address(), PATH, &[]).await.unwrap();
    post.send_line(&sample::run("t", "r", 0)[0]).await.unwrap();
    assert_eq!(receipt(&mut post).await["line"], 1);
    hub.signal();
    let last = receipt(&mut post).await;
    assert_eq!(
        (&last["line"], &last["error"]["status"]),
        (&0.into(), &503.into())
    );
    assert_eq!(post.next_line(PATIENCE).await.unwrap(), None);
    // Its body has no end, and still it does not hold up the server.
    hub.ended(PATIENCE).await.unwrap();
}
