//! Who may publish, refusals, retries, live lines.

use std::sync::Arc;

use events_core::EventId;
use events_router::MemoryLog;
use tokio::{
    sync::mpsc,
    task::{JoinSet, yield_now},
};

use super::*;

#[tokio::test]
async fn a_user_may_publish_for_themselves_only() {
    let state = StreamState::new(EventRouter::default());
    let app = hub_router(state).layer(Extension(RequestContext::new(ada())));
    for (user, status) in [("ada", 200), ("bob", 403)] {
        let request = Request::post(format!("/publish/system/{user}"))
            .header("content-type", "application/json");
        let body = Body::from(r#"{"type":"HEARTBEAT","timestamp":1}"#);
        let response = app
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status, "{user}");
    }
}

#[tokio::test]
async fn screens_have_an_event_before_its_publisher_has_the_answer() {
    for path in ["/publish/system/ada", "/publish/system/ada/live"] {
        let hub = Arc::new(Hub::new());
        let mut screen = hub.stream("/contexts?user=ada").await;
        let (has_read, mut order) = mpsc::unbounded_channel();
        let (has_answer, mut tasks) = (has_read.clone(), JoinSet::new());
        tasks.spawn(async move {
            while !screen.read().await.unwrap().contains("HEARTBEAT") {}
            has_read.send("event").unwrap();
        });
        yield_now().await;
        tasks.spawn(async move {
            let event = Body::from(r#"{"type":"HEARTBEAT","timestamp":1}"#);
            let request = Request::post(path).header("content-type", "application/json");
            let mut answer = hub.send(request.body(event).unwrap()).await.into_body();
            answer.frame().await.unwrap().unwrap();
            has_answer.send("answer").unwrap();
        });
        tasks.join_all().await;
        let order = (order.recv().await, order.recv().await);
        assert_eq!(order, (Some("event"), Some("answer")), "{path}");
    }
}

#[tokio::test]
async fn publish_refusals_say_what_is_wrong_and_where() {
    let hub = Hub::new();
    let started = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;
    let cases = [
        (
            "/publish/agui/ada",
            "application/json",
            "not json".to_owned(),
            400,
            "",
            None,
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            format!("{started}\n{{"),
            400,
            "line 2: ",
            Some(2),
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            format!("{started}\n{{\"type\":\"STEP_STARTED\"}}"),
            422,
            "line 2: ",
            Some(2),
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            format!("{started}\n\n{started}"),
            422,
            "line 3: ",
            Some(3),
        ),
        (
            "/publish/agui/ada",
            "application/json",
            r#"{"type":"STEP_STARTED","stepName":"s"}"#.to_owned(),
            422,
            "ambiguous thread",
            None,
        ),
        (
            "/publish/agui/ada?thread=u",
            "application/json",
            started.to_owned(),
            422,
            "thread mismatch",
            None,
        ),
        (
            "/publish/agui/ada",
            "text/plain",
            started.to_owned(),
            415,
            "",
            None,
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            "\n\n".to_owned(),
            400,
            "",
            None,
        ),
        (
            "/publish/nothing/ada",
            "application/json",
            started.to_owned(),
            404,
            "",
            None,
        ),
        (
            "/publish/agui/ada?msg_id=a%20b",
            "application/json",
            started.to_owned(),
            400,
            "a message id",
            None,
        ),
        (
            "/publish/agui/ada",
            "application/json",
            format!("\"{}\"", "x".repeat(2 << 20)),
            413,
            "",
            None,
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            format!("\"{}\"", "x".repeat(2 << 20)),
            413,
            "line 1: ",
            Some(1),
        ),
        (
            "/publish/agui/ada",
            NDJSON,
            "\n".repeat(5 << 20),
            413,
            "",
            None,
        ),
    ];
    for (path, content_type, body, status, detail, line) in cases {
        let shown = body.chars().take(80).collect::<String>();
        let (got, problem) = hub.post(path, content_type, body).await;
        assert_eq!(got, status, "{path} {shown}: {problem}");
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{problem}"
        );
        assert_eq!(
            problem.get("line").and_then(Value::as_u64),
            line,
            "{problem}"
        );
    }
    assert_eq!(
        hub.state.router().store().last(&ada()).seq,
        0,
        "a refused request leaves nothing behind"
    );
}

#[tokio::test]
async fn a_publish_is_answered_with_ids_and_safe_to_retry() {
    let hub = Hub::new();
    let mut stream = hub.stream("/agui").await;
    stream.read().await.unwrap();
    let body = "{\"type\":\"RUN_STARTED\",\"threadId\":\"t\",\"runId\":\"r\"}\n{\"type\":\"RUN_FINISHED\",\"threadId\":\"t\",\"runId\":\"r\"}\n";
    let (status, answer) = hub.post("/publish/agui/ada?msg_id=k", NDJSON, body).await;
    assert_eq!(
        (
            status,
            answer["duplicates"].as_u64(),
            answer["connections"].as_u64()
        ),
        (200, Some(0), Some(1))
    );
    let (_, again) = hub.post("/publish/agui/ada?msg_id=k", NDJSON, body).await;
    assert_eq!(
        (&again["ids"], again["duplicates"].as_u64()),
        (&answer["ids"], Some(2))
    );
    let events = stream.read().await.unwrap();
    let sent: Vec<_> = answer["ids"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(ids(&events), sent);
}

#[tokio::test]
async fn live_lines_are_answered_one_by_one() {
    let hub = Hub::new();
    let body = concat!(
        "{\"type\":\"RUN_STARTED\",\"threadId\":\"t\",\"runId\":\"r\"}\n",
        ": still here\n",
        "{\"type\":\"TEXT_MESSAGE_END\",\"messageId\":\"m\"}\n",
        "{\"type\":\"RUN_FINISHED\",\"threadId\":\"t\",\"runId\":\"r\"}",
    );
    let request = Request::post("/publish/agui/ada/live")
        .body(Body::from(body))
        .unwrap();
    let answer = hub
        .send(request)
        .await
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    let receipts: Vec<Value> = answer
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(receipts.len(), 3);
    assert_eq!(
        (
            &receipts[0]["line"],
            receipts[0]["ids"].as_array().map(Vec::len)
        ),
        (&json!(1), Some(1))
    );
    assert_eq!(
        (&receipts[1]["line"], &receipts[1]["error"]["status"]),
        (&json!(3), &json!(422))
    );
    assert_eq!(receipts[1]["error"]["rule"], 4);
    assert_eq!(
        (
            &receipts[2]["line"],
            receipts[2]["ids"].as_array().map(Vec::len)
        ),
        (&json!(4), Some(1))
    );
}

/// Publishes lines, each as a piece of the body of its own, and returns the answers.
async fn live(app: &Router, lines: Vec<String>) -> Vec<Value> {
    let pieces = lines
        .into_iter()
        .map(|line| Ok::<_, std::convert::Infallible>(line + "\n"));
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let request = Request::post("/publish/agui/ada/live").body(body).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let answer = answer.into_body().collect().await.unwrap().to_bytes();
    let lines = answer
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// A router on a log of its own, and the work behind it.
fn on_log() -> (EventRouter, Router, tokio::task::JoinSet<()>) {
    let log = Arc::new(MemoryLog::new(10_000));
    let (router, replica) = EventRouter::on_log(RouterConfig::default(), log);
    let mut work = tokio::task::JoinSet::new();
    work.spawn(replica.run());
    let app = hub_router(StreamState::new(router.clone()))
        .layer(Extension(RequestContext::operator(ada())));
    (router, app, work)
}

fn started(thread: &str, run: &str) -> String {
    json!({ "type": "RUN_STARTED", "threadId": thread, "runId": run }).to_string()
}

#[tokio::test(start_paused = true)]
async fn live_lines_that_came_together_go_to_the_log_together_and_keep_their_order() {
    let (router, app, _work) = on_log();
    let message = json!({ "type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant" });
    let token = json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "x" });
    let mut lines = vec![started("t", "r"), message.to_string()];
    lines.extend((0..200).map(|_| token.to_string()));
    lines[100] = "no json".to_owned();
    // A second run of the thread is refused, and what follows is of the first.
    lines[150] = started("t", "s");
    let answers = live(&app, lines).await;
    assert_eq!(answers.len(), 202);
    let mut seq = 0;
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer["line"], index + 1);
        if [100, 150].contains(&index) {
            assert!(answer["error"]["status"].is_u64(), "{answer}");
            continue;
        }
        seq += 1;
        let id: EventId = answer["ids"][0].as_str().unwrap().parse().unwrap();
        assert_eq!(id.seq, seq, "{answer}");
    }
    let n_appends = router.replica_stats().unwrap().appends;
    assert!(n_appends < 40, "{n_appends} appends for 200 lines");
}

#[tokio::test(start_paused = true)]
async fn large_live_lines_are_not_read_ahead() {
    let (router, app, _work) = on_log();
    let message = json!({ "type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant" });
    let text = "x".repeat(70_000);
    let token = json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": text });
    let mut lines = vec![started("t", "r"), message.to_string()];
    lines.extend((0..20).map(|_| token.to_string()));
    let answers = live(&app, lines).await;
    assert!(answers.iter().all(|answer| answer["ids"].is_array()));
    let n_appends = router.replica_stats().unwrap().appends;
    assert!((20..=22).contains(&n_appends), "{n_appends} appends");
}
