//! Publishing over a socket: what is refused, what is repeated, and line by line.

mod live;

use events_tests::client_log::{ClientLog, published};
use events_tests::deadline::PATIENCE;
use events_tests::fault_proxy::{FaultProxy, Faults};
use events_tests::hub::{Hub, ids_of};
use events_tests::raw_client::Request;
use events_tests::sample;
use serde_json::Value;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const PATH: &str = "/publish/agui/ada?user=ada";
const STARTED: &str = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;

/// A request that is refused: content type, body, and what the problem says.
struct Refused {
    kind: &'static str,
    body: String,
    status: u16,
    line: Option<u64>,
    path: Option<&'static str>,
    has_rule: bool,
}

fn refused(kind: &'static str, body: impl Into<String>, status: u16) -> Refused {
    Refused {
        kind,
        body: body.into(),
        status,
        line: None,
        path: None,
        has_rule: false,
    }
}

fn refusals() -> Vec<Refused> {
    let large = format!(
        r#"{{"type":"CUSTOM","name":"n","value":"{}"}}"#,
        "x".repeat((1 << 20) + 4_096)
    );
    let ended = r#"{"type":"TEXT_MESSAGE_END","messageId":"m"}"#;
    let nameless = r#"{"type":"STEP_STARTED"}"#;
    vec![
        refused(JSON, "not json", 400),
        refused(JSON, "", 400),
        refused(JSON, "{\"type\":\"RUN_STARTED\"", 400),
        refused(NDJSON, "\n\n", 400),
        Refused {
            line: Some(2),
            ..refused(NDJSON, format!("{STARTED}\n{{"), 400)
        },
        refused("text/plain", STARTED, 415),
        refused(JSON, large.clone(), 413),
        Refused {
            line: Some(2),
            ..refused(NDJSON, format!("{STARTED}\n{large}"), 413)
        },
        refused(NDJSON, format!("{STARTED}\n").repeat(300_000), 413),
        Refused {
            path: Some("$.stepName"),
            ..refused(JSON, nameless, 422)
        },
        Refused {
            line: Some(2),
            path: Some("$.stepName"),
            ..refused(NDJSON, format!("{STARTED}\n{nameless}"), 422)
        },
        Refused {
            path: Some("$.type"),
            ..refused(JSON, r#"{"type":"NOTHING"}"#, 422)
        },
        Refused {
            line: Some(4),
            has_rule: true,
            ..refused(NDJSON, format!("{STARTED}\n\n\n{ended}"), 422)
        },
        Refused {
            line: Some(2),
            has_rule: true,
            ..refused(NDJSON, format!("{STARTED}\r\n{STARTED}\r\n"), 422)
        },
        refused(JSON, r#"{"type":"STEP_STARTED","stepName":"s"}"#, 422),
    ]
}

#[tokio::test]
async fn every_refusal_says_what_and_where_and_leaves_no_trace() {
    let hub = Hub::plain().await.unwrap();
    let mut stream = hub.stream("/agui?user=ada").await.unwrap();
    for case in refusals() {
        let shown: String = case.body.chars().take(100).collect();
        let request = Request::post(PATH, case.kind, &case.body);
        let answer = request.send(hub.address()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {shown}"));
        let problem = answer.json().unwrap();
        assert_eq!(answer.status(), case.status, "{shown}: {problem}");
        assert_eq!(
            answer.head.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(problem["status"], case.status);
        assert!(problem["title"].is_string() && problem["type"].is_string());
        assert_eq!(
            problem.get("line").and_then(Value::as_u64),
            case.line,
            "{shown}: {problem}"
        );
        if case.path.is_some() {
            assert_eq!(
                problem.get("path").and_then(Value::as_str),
                case.path,
                "{shown}: {problem}"
            );
        }
        assert_eq!(
            problem.get("rule").is_some(),
            case.has_rule,
            "{shown}: {problem}"
        );
        let detail = problem["detail"].as_str().unwrap();
        let line = case.line.map(|line| format!("line {line}: "));
        assert!(
            detail.starts_with(line.as_deref().unwrap_or_default()),
            "{detail}"
        );
    }
    // Nothing of the refused requests was taken: the run that they tried to start can begin.
    let ids = hub
        .publish_lines("ada", &sample::run("t", "r", 1))
        .await
        .unwrap();
    assert_eq!(
        stream.next_event(PATIENCE).await.unwrap().id.as_ref(),
        Some(&ids[0])
    );
    assert_eq!(events_tests::client_log::seq_of(&ids[0]), Ok(1));
}

#[tokio::test]
async fn a_retry_after_a_lost_answer_publishes_nothing_twice() {
    let hub = Hub::plain().await.unwrap();
    let proxy = FaultProxy::start(hub.address()).await.unwrap();
    let lines = sample::run("t", "r", 20);
    let (first, rest) = lines.split_first().unwrap();
    let requests = [
        Request::post(&format!("{PATH}&msg_id=one"), JSON, first),
        Request::post(PATH, NDJSON, rest[..10].join("\n")).header("idempotency-key", "two"),
        Request::post(
            &format!("{PATH}&msg_id=three"),
            NDJSON,
            rest[10..].join("\n"),
        ),
    ];
    let mut log = ClientLog::default();
    log.begin_after(0);
    let mut stream = hub.stream("/agui?user=ada").await.unwrap();
    let mut ids = Vec::new();
    for (request, n_cut) in requests.iter().zip([1, 40, 150]) {
        proxy.set_faults_of_new(Faults {
            cut_after: Some(n_cut),
            ..Faults::default()
        });
        request.send(proxy.address()).await.unwrap_err();
        proxy.set_faults_of_new(Faults::default());
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = request.send(proxy.address()).await.unwrap();
            assert_eq!(answer.status(), 200, "{}", answer.text());
            answers.push(answer.json().unwrap());
        }
        assert_eq!(answers[0]["ids"], answers[1]["ids"]);
        let own = ids_of(&answers[0]);
        assert_eq!(answers[0]["duplicates"].as_u64(), Some(own.len() as u64));
        ids.extend(own);
    }
    let truth = published(&ids, &lines).unwrap();
    let frames = stream.read_until(PATIENCE, |frame| frame.id.as_ref() == ids.last());
    for frame in frames.await.unwrap() {
        log.take(&frame).unwrap();
    }
    log.check(&truth).unwrap();
    assert_eq!(log.entries().len(), lines.len());
}

#[tokio::test]
async fn a_retry_that_adds_lines_publishes_only_those() {
    let hub = Hub::plain().await.unwrap();
    let lines = sample::run("t", "r", 6);
    let path = format!("{PATH}&msg_id=k");
    let some = hub
        .post(&path, &lines[..5].join("\n"))
        .await
        .unwrap()
        .json()
        .unwrap();
    let all = hub
        .post(&path, &lines.join("\n"))
        .await
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(all["duplicates"], 5);
    assert_eq!(ids_of(&all)[..5], ids_of(&some));
    assert_eq!(published(&ids_of(&all), &lines).unwrap().len(), 10);
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending_a_large_body() {
    let hub = Hub::plain().await.unwrap();
    let body = format!("{STARTED}\n").repeat(80_000);
    for (path, kind, status) in [
        ("/publish/nothing/ada?user=ada", NDJSON, 404),
        ("/publish/agui/ada?user=ada&msg_id=a%20b", NDJSON, 400),
        (PATH, "text/plain", 415),
    ] {
        let answer = Request::post(path, kind, &body).send(hub.address()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(answer.status(), status, "{path}: {}", answer.text());
    }
}
