use events_sse::ClosingReason;

use super::*;
use crate::test_server::{SSE_HEAD, TestServer, answer, within};

const REVOKED: &str = "event: closing\ndata: {\"reason\":\"revoked\"}\n\n";

/// A client that tries again almost at once.
fn client(server: &TestServer) -> Client {
    Client::builder(&server.url)
        .backoff(Duration::from_millis(1), Duration::from_millis(1))
        .build()
        .unwrap()
}

fn stream(server: &TestServer) -> EventStream {
    client(server)
        .subscribe(Subscribe::to(StreamKind::AgUi).user("ada"))
        .unwrap()
}

/// Waits for the next item, which must be there.
async fn next(stream: &mut EventStream) -> Item {
    within(stream.next()).await.unwrap().unwrap()
}

/// Returns the data of all events up to the end of the stream, and sees that ids and cursor agree.
async fn all_events(stream: &mut EventStream) -> Vec<String> {
    let mut events = Vec::new();
    while let Some(item) = within(stream.next()).await {
        if let Item::Event { id, event, data } = item.unwrap() {
            assert_eq!(event, "message");
            assert_eq!(stream.cursor(), id.as_deref());
            events.push(data);
        }
    }
    events
}

#[tokio::test]
async fn a_cut_at_any_byte_loses_nothing_and_repeats_nothing() {
    let blocks = [
        ": hello\n\nid: c0\n\n",
        "id: c1\ndata: {\"n\":1}\n\n",
        "id: c2\r\ndata: {\"n\":2}\r\n\r\n",
        "id: c3\ndata: {\"n\":\ndata: 3}\n\n",
    ];
    let whole = blocks.concat();
    let server = TestServer::start().await;
    for cut in 0..=whole.len() {
        let mut stream = stream(&server);
        let play = async {
            let first = server
                .answer(format!(
                    "{SSE_HEAD}{}",
                    &whole[10..].get(..cut).unwrap_or(&whole[10..])
                ))
                .await;
            assert_eq!(first.header("last-event-id"), None);
            let mut second = server.accept().await;
            let n_seen = match second.header("last-event-id") {
                None => 0,
                Some(cursor) => 1 + cursor.strip_prefix('c').unwrap().parse::<usize>().unwrap(),
            };
            let rest = blocks[n_seen.max(1)..].concat();
            second.send(format!("{SSE_HEAD}{rest}{REVOKED}")).await;
            second.end().await;
        };
        let (events, ()) = tokio::join!(all_events(&mut stream), play);
        assert_eq!(
            events,
            ["{\"n\":1}", "{\"n\":2}", "{\"n\":\n3}"],
            "cut at {cut}"
        );
        assert_eq!(stream.cursor(), Some("c3"));
    }
}

#[tokio::test]
async fn what_was_received_and_not_given_is_not_in_the_cursor() {
    let server = TestServer::start().await;
    let mut stream = stream(&server);
    let play = server.answer(format!("{SSE_HEAD}id: 1\ndata: a\n\nid: 2\ndata: b\n\n"));
    let read = async {
        assert!(matches!(
            next(&mut stream).await,
            Item::Connected { cursor: None }
        ));
        assert!(matches!(next(&mut stream).await, Item::Event { .. }));
    };
    tokio::join!(read, play);
    assert_eq!(stream.cursor(), Some("1"));
}

#[tokio::test]
async fn a_request_says_who_wants_what_from_where() {
    let server = TestServer::start().await;
    let client = Client::builder(&server.url)
        .user("default")
        .bearer_token("t0k")
        .build()
        .unwrap();
    let request = Subscribe::to(StreamKind::AgUi)
        .user("a b&c")
        .thread("t/1")
        .from("c9");
    let mut stream = client.subscribe(request).unwrap();
    let play = server.answer(format!("{SSE_HEAD}{REVOKED}"));
    let (item, exchange) = tokio::join!(next(&mut stream), play);
    assert!(matches!(item, Item::Connected { cursor: Some(cursor) } if cursor == "c9"));
    assert_eq!(
        exchange.request_line(),
        "GET /agui?user=a+b%26c&thread=t%2F1 HTTP/1.1"
    );
    assert_eq!(exchange.header("last-event-id"), Some("c9"));
    assert_eq!(exchange.header("authorization"), Some("Bearer t0k"));
    assert_eq!(exchange.header("accept"), Some("text/event-stream"));

    let mut stream = client
        .subscribe(Subscribe::to(StreamKind::A2a).task("x").from("\u{1}"))
        .unwrap();
    let play = server.answer(format!("{SSE_HEAD}{REVOKED}"));
    let (_item, exchange) = tokio::join!(next(&mut stream), play);
    let line = "GET /a2a?user=default&task=x&last_event_id=%01 HTTP/1.1";
    assert_eq!(exchange.request_line(), line);
    assert!(
        client
            .subscribe(Subscribe::to(StreamKind::A2a).thread("t"))
            .is_err()
    );
    assert!(
        client
            .subscribe(Subscribe::to(StreamKind::Contexts).task("t"))
            .is_err()
    );
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let server = TestServer::start().await;
        let mut stream = stream(&server);
        let body = r#"{"title":"Full","detail":"ten streams are open"}"#;
        let play = server.answer(answer(status, "retry-after: 7\r\n", body));
        let (item, _exchange) = tokio::join!(next(&mut stream), play);
        let Item::Reconnecting { after, cause } = item else {
            panic!("{item:?}");
        };
        assert!(after >= Duration::from_secs(7) && after < Duration::from_secs(8));
        assert!(
            cause.to_string().ends_with("ten streams are open"),
            "{cause}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    for status in ["400 Bad", "401 Who", "403 No", "404 None", "410 Gone"] {
        let server = TestServer::start().await;
        let mut stream = stream(&server);
        let play = server.answer(answer(status, "", r#"{"detail":"not today"}"#));
        let (item, _exchange) = tokio::join!(within(stream.next()), play);
        let Some(Err(Error::Status {
            status: found,
            problem,
        })) = item
        else {
            panic!("{item:?}");
        };
        assert!(status.starts_with(&found.to_string()));
        assert_eq!(problem.detail.as_deref(), Some("not today"));
        assert!(within(stream.next()).await.is_none());
    }
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_final() {
    let server = TestServer::start().await;
    let mut stream = stream(&server);
    let play = server.answer(answer("200 OK", "content-type: text/html\r\n", "<p>"));
    let (item, _exchange) = tokio::join!(within(stream.next()), play);
    assert!(matches!(item, Some(Err(Error::NotAStream(found))) if found == "text/html"));
    assert!(within(stream.next()).await.is_none());
}

#[tokio::test]
async fn a_gap_is_told_and_moves_the_cursor() {
    let server = TestServer::start().await;
    let mut stream = stream(&server);
    let gap = r#"{"reason":"trimmed","from":"a","to":"g","lost":null}"#;
    let play = async {
        let blocks = format!("id: g\nevent: gap\ndata: {gap}\n\nevent: heartbeat\ndata: {{}}\n\n");
        server.answer(format!("{SSE_HEAD}{blocks}")).await;
        server.answer(format!("{SSE_HEAD}{REVOKED}")).await
    };
    let read = async {
        assert!(matches!(next(&mut stream).await, Item::Connected { .. }));
        assert!(matches!(next(&mut stream).await, Item::Gap(gap) if gap.to == "g"));
        let item = next(&mut stream).await;
        assert!(
            matches!(
                item,
                Item::Reconnecting {
                    cause: Cause::Ended,
                    ..
                }
            ),
            "{item:?}"
        );
        next(&mut stream).await
    };
    let (item, second) = tokio::join!(read, play);
    assert!(matches!(item, Item::Connected { cursor: Some(cursor) } if cursor == "g"));
    assert_eq!(second.header("last-event-id"), Some("g"));
}

#[tokio::test]
async fn closing_reasons_say_whether_to_come_back() {
    for (reason, comes_back) in [
        ("draining", true),
        ("slow", true),
        ("max_age", true),
        ("something_new", true),
        ("token_expired", false),
        ("revoked", false),
        ("replaced", false),
    ] {
        let server = TestServer::start().await;
        let mut stream = stream(&server);
        let frame = format!("event: closing\ndata: {{\"reason\":\"{reason}\"}}\n\n");
        let play = server.answer(format!("{SSE_HEAD}{frame}"));
        let read = async {
            assert!(matches!(next(&mut stream).await, Item::Connected { .. }));
            assert!(matches!(next(&mut stream).await, Item::Closing(_)));
            within(stream.next()).await
        };
        let (item, _exchange) = tokio::join!(read, play);
        match item {
            Some(Ok(Item::Reconnecting {
                cause: Cause::Closing(_),
                ..
            })) => assert!(comes_back, "{reason}"),
            None => assert!(!comes_back, "{reason}"),
            item => panic!("{item:?}"),
        }
    }
}

#[tokio::test]
async fn a_draining_stream_s_retry_is_the_base_of_the_wait() {
    let server = TestServer::start().await;
    let hour = Duration::from_secs(3_600);
    let client = Client::builder(&server.url)
        .backoff(hour, hour)
        .build()
        .unwrap();
    let mut stream = client
        .subscribe(Subscribe::to(StreamKind::Contexts))
        .unwrap();
    let frame = "retry: 2000\n\nevent: closing\ndata: {\"reason\":\"draining\"}\n\n";
    let play = server.answer(format!("{SSE_HEAD}{frame}"));
    let read = async {
        assert!(matches!(next(&mut stream).await, Item::Connected { .. }));
        let closing = next(&mut stream).await;
        assert!(matches!(
            closing,
            Item::Closing(Closing {
                reason: ClosingReason::Draining
            })
        ));
        next(&mut stream).await
    };
    let (item, _exchange) = tokio::join!(read, play);
    assert!(matches!(item, Item::Reconnecting { after, .. } if after <= Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_given_up_and_heartbeats_are_no_silence() {
    let server = TestServer::start().await;
    let mut stream = stream(&server);
    let play = async {
        let mut exchange = server.accept().await;
        exchange.send(SSE_HEAD).await;
        // Paused time moves on by itself when nobody has anything to do.
        let mut heartbeats = tokio::time::interval(Duration::from_secs(44));
        for _ in 0..5 {
            heartbeats.tick().await;
            exchange.send(": {\"type\":\"heartbeat\"}\n\n").await;
        }
        exchange.closed().await;
    };
    let started = Instant::now();
    let read = async {
        assert!(matches!(next(&mut stream).await, Item::Connected { .. }));
        next(&mut stream).await
    };
    let (item, ()) = tokio::join!(read, play);
    let Item::Reconnecting {
        cause: Cause::Silent(silence),
        ..
    } = item
    else {
        panic!("{item:?}");
    };
    assert_eq!(silence, Duration::from_secs(45));
    assert!(started.elapsed() >= Duration::from_secs(4 * 44 + 45));
}

#[tokio::test]
async fn reconnects_end_where_the_caller_says() {
    let server = TestServer::start().await;
    let client = Client::builder(&server.url)
        .backoff(Duration::from_millis(1), Duration::from_millis(1))
        .max_reconnects(2)
        .build()
        .unwrap();
    // Nobody listens there any more.
    drop(server);
    let mut stream = client.subscribe(Subscribe::to(StreamKind::AgUi)).unwrap();
    for _ in 0..2 {
        let item = next(&mut stream).await;
        assert!(
            matches!(
                item,
                Item::Reconnecting {
                    cause: Cause::Transport(_),
                    ..
                }
            ),
            "{item:?}"
        );
    }
    let item = within(stream.next()).await;
    assert!(
        matches!(item, Some(Err(Error::GaveUp { attempts: 3, .. }))),
        "{item:?}"
    );
    assert!(within(stream.next()).await.is_none());
}

#[tokio::test]
async fn an_event_over_the_cap_is_told_and_the_stream_goes_on() {
    let server = TestServer::start().await;
    let client = Client::builder(&server.url)
        .max_event_bytes(20)
        .build()
        .unwrap();
    let mut stream = client.subscribe(Subscribe::to(StreamKind::AgUi)).unwrap();
    let big = "x".repeat(30);
    let play = server.answer(format!(
        "{SSE_HEAD}id: 1\ndata: {big}\n\nid: 2\ndata: y\n\n"
    ));
    let read = async {
        assert!(matches!(next(&mut stream).await, Item::Connected { .. }));
        assert!(matches!(
            next(&mut stream).await,
            Item::Skipped { bytes: 43 }
        ));
        next(&mut stream).await
    };
    let (item, _exchange) = tokio::join!(read, play);
    assert!(matches!(item, Item::Event { data, .. } if data == "y"));
}

#[test]
fn media_types_are_compared_without_parameters() {
    assert!(is_event_stream(b"Text/Event-Stream; charset=utf-8"));
    assert!(!is_event_stream(b"text/event-streams"));
    assert!(!is_event_stream(b""));
}

#[test]
fn what_a_task_may_hold_can_move_between_threads() {
    fn check_send<T: Send>(_value: &T) {}
    let client = Client::new("http://127.0.0.1:1").unwrap();
    let request = crate::Publish::to(crate::PublishKind::AgUi, "ada");
    check_send(&client.subscribe(Subscribe::to(StreamKind::AgUi)).unwrap());
    check_send(&client.publish(&request, ["{}"]));
    let mut publisher = client.publish_live(&request).unwrap();
    check_send(&publisher.send("{}"));
    check_send(&publisher);
}
