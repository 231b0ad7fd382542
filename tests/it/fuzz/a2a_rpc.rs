//! JSON-RPC of official A2A clients: one answer for each request, in its form and under its id.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use events_axum::StreamState;
use events_models::A2AEvent;
use events_tests::fuzz::{Example, Fuzz, files, fixtures};
use serde_json::{Value, json};

use super::app::{App, ada, ask};
use super::{ensure, must_find};

fn task(id: &str, state: &str) -> A2AEvent {
    let task = json!({ "task": { "id": id, "contextId": "c", "status": { "state": state } } });
    A2AEvent::from_json(task.to_string().as_bytes()).expect("a task")
}

/// A task that goes on and one that has ended.
fn prepare(state: &StreamState) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
    Box::pin(async {
        for (id, status) in [
            ("open", "TASK_STATE_WORKING"),
            ("done", "TASK_STATE_COMPLETED"),
        ] {
            state
                .router()
                .route_a2a(&ada(), task(id, status))
                .await
                .expect("a good task");
        }
    })
}

fn examples() -> Vec<Example> {
    let calls = [
        ("GetTask", json!({ "id": "open" })),
        ("GetTask", json!({ "id": "done", "historyLength": 3 })),
        (
            "tasks/get",
            json!({ "id": "open", "historyLength": 0, "metadata": {} }),
        ),
        ("SubscribeToTask", json!({ "id": "open" })),
        ("tasks/resubscribe", json!({ "id": "open" })),
        ("SubscribeToTask", json!({ "id": "done" })),
        (
            "ListTasks",
            json!({ "contextId": "c", "pageSize": 1, "status": "TASK_STATE_WORKING" }),
        ),
        (
            "ListTasks",
            json!({ "pageToken": "", "lastUpdatedAfter": "2026-06-24T12:00:00Z", "includeArtifacts": true }),
        ),
        ("CancelTask", json!({ "id": "open" })),
        (
            "SendMessage",
            json!({ "message": { "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": "x" }] } }),
        ),
        ("message/stream", json!({})),
        ("agent/getAuthenticatedExtendedCard", json!(null)),
        ("tasks/pushNotificationConfig/set", json!([1, 2])),
        ("CreateTaskPushNotificationConfig", json!({})),
        ("no such method", json!({})),
    ];
    let ids = [
        json!(1),
        json!("a"),
        json!(null),
        json!(9_007_199_254_740_993_u64),
        json!(1.5),
    ];
    let call = |(index, (method, params)): (usize, &(&str, Value))| {
        let id = &ids[index % ids.len()];
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        Example::new(*method, call.to_string())
    };
    let mut examples: Vec<Example> = calls.iter().enumerate().map(call).collect();
    examples.extend(files(&fixtures().join("a2a/cards")));
    examples
}

fn check_answer(answer: &Value, id: Option<&Value>) -> Result<(), String> {
    ensure!(answer["jsonrpc"] == "2.0", "{answer}");
    let has_result = answer.get("result").is_some();
    let error = answer.get("error");
    ensure!(
        has_result != error.is_some(),
        "a result or an error: {answer}"
    );
    if let Some(error) = error {
        let is_whole = error["code"].is_i64()
            && error["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty());
        ensure!(is_whole, "{answer}");
    }
    let told = answer.get("id").ok_or("an answer without an id")?;
    // JSON-RPC 2.0, 5: null where the request was not good enough to have an id.
    let is_no_request = error.is_some_and(|error| error["code"] == -32_600);
    if let Some(id) = id.filter(|_| !(is_no_request && told.is_null())) {
        ensure!(told == id, "the answer to {id} is to {told}: {answer}");
    } else {
        ensure!(
            has_result || told.is_null() || told.is_number() || told.is_string(),
            "{answer}"
        );
    }
    Ok(())
}

async fn check(router: Router, body: &[u8], as_float: bool) -> Result<(), String> {
    let request = Request::post("/a2a/rpc").header("content-type", "application/json");
    let request = request
        .body(Body::from(Bytes::copy_from_slice(body)))
        .expect("a request");
    let answer = ask(&router, request).await;
    let asked: Option<Value> = serde_json::from_slice(body).ok();
    let id = asked.as_ref().and_then(|asked| asked.get("id"));
    // What JSON-RPC allows as an id; whether it is said once is not seen here.
    let is_id = |id: &&Value| id.is_null() || id.is_string() || id.is_i64() || id.is_u64();
    let is_once = body.windows(4).filter(|bytes| bytes == b"\"id\"").count() == 1
        || asked
            .as_ref()
            .is_some_and(|asked| asked.to_string().len() == body.len());
    let id = id.filter(is_id).filter(|_| is_once);
    ensure!(
        answer.status == 200,
        "{} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    let told = |mut answer: Value| {
        if as_float && let Some(number) = answer["id"].as_f64() {
            answer["id"] = number.into();
        }
        answer
    };
    if answer.content_type == "text/event-stream" {
        let mut n_events = 0;
        for frame in answer.frames()?.iter().filter(|frame| frame.is_event()) {
            let json = frame.json().map_err(|error| error.to_string())?;
            let is_task = json["result"]["task"].is_object() || json["result"]["kind"] == "task";
            ensure!(
                n_events > 0 || is_task || json.get("error").is_some(),
                "first {json}"
            );
            check_answer(&told(json), id)?;
            n_events += 1;
        }
        ensure!(n_events > 0, "a stream without the task: {answer:?}");
        return Ok(());
    }
    ensure!(
        answer.content_type == "application/json" && answer.has_ended,
        "{answer:?}"
    );
    let answered = match answer.json() {
        // An id is told as it was sent, which may be a number that is none for us.
        Err(error) if asked.is_none() && error.contains("number out of range") => return Ok(()),
        answered => answered?,
    };
    check_answer(&told(answered), id)
}

#[test]
fn a_call_is_answered_in_its_form_and_under_its_id() {
    let mut app = App::new(prepare);
    Fuzz::new("a2a_rpc", examples())
        .run(|body| app.case(body, |router, _, _, body| check(router, body, false)));
}

#[test]
fn an_answer_to_another_id_is_found() {
    let mut app = App::new(prepare);
    // Without the example that shows it at once.
    let mut examples = examples();
    examples.retain(|example| {
        !example
            .bytes
            .windows(16)
            .any(|bytes| bytes == b"9007199254740993")
    });
    let fuzz = Fuzz::new("a2a_rpc", examples);
    must_find(&fuzz, "ids of answers as floats", |body| {
        app.case(body, |router, _, _, body| check(router, body, true))
    });
}
