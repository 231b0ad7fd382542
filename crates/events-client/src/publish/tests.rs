use std::fmt::Write as _;

use super::*;
use crate::test_server::{Exchange, TestServer, answer, within};

fn client(server: &TestServer) -> Client {
    Client::builder(&server.url)
        .backoff(Duration::from_millis(1), Duration::from_millis(1))
        .build()
        .unwrap()
}

fn to_ada() -> Publish {
    Publish::to(PublishKind::AgUi, "ada").thread("t")
}

fn ok(ids: &[&str], duplicates: u64) -> String {
    let body = serde_json::json!({"ids": ids, "duplicates": duplicates, "connections": 3});
    answer(
        "200 OK",
        "content-type: application/json\r\n",
        &body.to_string(),
    )
}

fn msg_id(exchange: &Exchange) -> String {
    let line = exchange.request_line();
    let (_before, id) = line.split_once("msg_id=").expect("a message id");
    id.split([' ', '&']).next().unwrap().to_owned()
}

#[tokio::test]
async fn every_attempt_of_a_batch_has_the_same_id_and_body() {
    let server = TestServer::start().await;
    let client = client(&server);
    let request = to_ada().msg_id("k");
    let publish = client.publish(&request, ["{\"a\":1}", "{\n\"b\":2}"]);
    let play = async {
        let mut exchanges = vec![server.accept().await];
        // The first attempt breaks without an answer, the others are told to come again.
        exchanges[0].end().await;
        for status in ["503 No", "429 Slow", "504 Late", "500 Oops"] {
            exchanges.push(
                server
                    .answer(answer(status, "retry-after: 0\r\n", ""))
                    .await,
            );
        }
        exchanges.push(server.answer(ok(&["x", "y"], 1)).await);
        exchanges
    };
    let (published, exchanges) = tokio::join!(within(publish), play);
    let expected = Published {
        ids: vec!["x".to_owned(), "y".to_owned()],
        duplicates: 1,
        connections: 3,
    };
    assert_eq!(published.unwrap(), expected);
    assert_eq!(exchanges.len(), 6);
    for exchange in exchanges {
        let line = "POST /publish/agui/ada?thread=t&msg_id=k-0 HTTP/1.1";
        assert_eq!(exchange.request_line(), line);
        assert_eq!(
            exchange.header("content-type"),
            Some("application/x-ndjson")
        );
        assert_eq!(exchange.body, b"{\"a\":1}\n{ \"b\":2}\n");
    }
}

#[tokio::test]
async fn a_refused_line_is_named_by_its_place_in_the_whole() {
    let server = TestServer::start().await;
    let client = client(&server);
    let request = to_ada();
    let publish = client.publish(&request, (0..1_005).map(|n| n.to_string()));
    let play = async {
        let first = server.answer(ok(&["x"], 0)).await;
        let body = r#"{"status":422,"detail":"no such run","line":3,"path":"$.runId"}"#;
        let second = server.answer(answer("422 No", "", body)).await;
        (first, second)
    };
    let (result, (first, second)) = tokio::join!(within(publish), play);
    assert_eq!(
        first.body.iter().filter(|byte| **byte == b'\n').count(),
        1_000
    );
    assert_eq!(second.body, b"1000\n1001\n1002\n1003\n1004\n");
    let (first, second) = (msg_id(&first), msg_id(&second));
    assert_eq!(first.strip_suffix("-0"), second.strip_suffix("-1"));
    assert!(first.len() > 32, "random when not given");
    let Err(Error::Refused {
        line,
        problem,
        published,
    }) = result
    else {
        panic!("{result:?}");
    };
    assert_eq!(line, Some(1_003));
    assert_eq!(problem.to_string(), "no such run (at $.runId)");
    assert_eq!(published.ids, ["x"]);
}

#[tokio::test]
async fn a_batch_stays_below_the_hub_s_limit() {
    let server = TestServer::start().await;
    let client = client(&server);
    let request = to_ada();
    let mut event = String::new();
    write!(event, "\"{}\"", "x".repeat(1 << 20)).unwrap();
    let publish = client.publish(&request, vec![event.as_str(); 5]);
    let play = async {
        [
            server.answer(ok(&[], 0)).await,
            server.answer(ok(&[], 0)).await,
        ]
    };
    let (result, exchanges) = tokio::join!(within(publish), play);
    result.unwrap();
    let [first, second] = exchanges.map(|exchange| exchange.body.len());
    assert!(first <= BATCH_BYTES && second <= BATCH_BYTES);
    assert_eq!(first + second, 5 * (event.len() + 1));
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_begun() {
    let server = TestServer::start().await;
    let client = client(&server);
    let request = to_ada();
    let publish = client.publish(&request, ["{}"]);
    let play = server.answer(answer("503 No", "retry-after: 9999\r\n", "later"));
    let (result, _exchange) = tokio::join!(within(publish), play);
    let Err(Error::Deadline {
        attempts: 1, cause, ..
    }) = result
    else {
        panic!("{result:?}");
    };
    assert_eq!(cause.to_string(), "status 503: later");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_never_answers_is_given_up_at_the_deadline() {
    let server = TestServer::start().await;
    let client = client(&server);
    let request = to_ada();
    let started = Instant::now();
    let publish = client.publish(&request, ["{}"]);
    let play = async {
        let first = server.accept().await;
        let second = server.accept().await;
        (first, second)
    };
    let (result, (first, second)) = tokio::join!(within(publish), play);
    assert!(
        matches!(
            result,
            Err(Error::Deadline {
                cause: Cause::TimedOut,
                ..
            })
        ),
        "{result:?}"
    );
    assert!(started.elapsed() <= Duration::from_secs(31));
    assert_eq!(msg_id(&first), msg_id(&second));
}

#[tokio::test]
async fn a_refused_caller_is_no_refused_event() {
    let server = TestServer::start().await;
    let client = client(&server);
    let request = to_ada();
    let play = server.answer(answer("403 No", "", r#"{"title":"Forbidden"}"#));
    let (result, _exchange) = tokio::join!(within(client.publish(&request, ["{}"])), play);
    assert!(
        matches!(result, Err(Error::Status { status: 403, .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_single_event_s_refusal_needs_no_line() {
    let server = TestServer::start().await;
    let client = client(&server);
    let request = to_ada();
    let play = server.answer(answer("400 No", "", "not JSON"));
    let (result, _exchange) = tokio::join!(within(client.publish(&request, ["{"])), play);
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "event 1 refused: not JSON");
}

#[tokio::test]
async fn no_events_make_no_request() {
    // Nobody listens at this address.
    let client = Client::new("http://127.0.0.1:1").unwrap();
    let none: [&str; 0] = [];
    let published = within(client.publish(&to_ada(), none)).await.unwrap();
    assert_eq!(published, Published::default());
}

#[tokio::test]
async fn a_caller_is_asked_before_an_attempt_is_repeated() {
    let server = TestServer::start().await;
    let client = client(&server);
    let request = to_ada();
    let mut asked = Vec::new();
    let publish = client.publish_with(&request, ["{}"], |retry| {
        asked.push((retry.attempts, retry.cause.is_not_connected()));
        retry.attempts < 2
    });
    let play = async {
        for _ in 0..2 {
            server.answer(answer("503 No", "", "")).await;
        }
    };
    let (result, ()) = tokio::join!(within(publish), play);
    assert!(
        matches!(result, Err(Error::Deadline { attempts: 2, .. })),
        "{result:?}"
    );
    assert_eq!(asked, [(1, false), (2, false)]);
}

#[tokio::test]
async fn a_hub_that_moved_is_not_followed_and_its_page_is_not_shown() {
    let server = TestServer::start().await;
    let client = client(&server);
    for (status, headers, told) in [
        (
            "308 Moved",
            "location: https://hub.example\r\n",
            "moved to https://hub.example",
        ),
        ("404 No", "content-type: text/html\r\n", "Not Found"),
    ] {
        let request = to_ada();
        let publish = client.publish(&request, ["{}"]);
        let play = server.answer(answer(status, headers, "<html>\n<h1>hello"));
        let (result, _exchange) = tokio::join!(within(publish), play);
        let Err(Error::Status { problem, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(problem.to_string(), told);
    }
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_told_from_a_broken_connection() {
    let server = TestServer::start().await;
    let client = client(&server);
    drop(server);
    let mut is_not_connected = Vec::new();
    let result = client
        .publish_with(&to_ada(), ["{}"], |retry| {
            is_not_connected.push(retry.cause.is_not_connected());
            false
        })
        .await;
    assert!(matches!(result, Err(Error::Deadline { .. })), "{result:?}");
    assert_eq!(is_not_connected, [true]);
}
