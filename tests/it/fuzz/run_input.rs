//! What official AG-UI clients post: whatever an input says, the answer is a run that is valid for its client.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use events_axum::StreamState;
use events_models::agui::order::ThreadOrder;
use events_models::{AgUiEvent, RunAgentInput};
use events_tests::fuzz::{Example, Fuzz, files, fixtures, json_lines};
use events_tests::sample;
use serde_json::{Value, json};

use super::app::{App, ada, ask};
use super::{ensure, must_find};

/// A finished run in the thread `t`, and one that goes on in `open`.
fn prepare(state: &StreamState) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
    Box::pin(async {
        let finished = sample::run("t", "r", 3);
        let open = sample::run("open", "o", 3);
        for event in sample::typed(&[&finished[..], &open[..4]].concat()) {
            state
                .router()
                .route_agui(&ada(), event)
                .await
                .expect("a good run");
        }
    })
}

fn examples() -> Vec<Example> {
    let message = json!({ "id": "u", "role": "user", "content": "hello" });
    let of_thread = |thread: &str| {
        let input = json!({ "threadId": thread, "runId": "mine", "messages": [message], "tools": [], "context": [],
            "state": {}, "forwardedProps": {} });
        Example::new(thread, input.to_string())
    };
    let mut examples: Vec<Example> = ["t", "open", "unknown"].map(of_thread).to_vec();
    let folder = fixtures().join("agui");
    let mut events = json_lines(&folder.join("valid-events.jsonl"), "event");
    for transcript in files(&folder.join("transcripts")) {
        let lines = transcript.bytes.split(|byte| *byte == b'\n');
        events.extend(lines.map(|line| Example::new("line", line)));
    }
    for event in events {
        let Ok(event) = serde_json::from_slice::<Value>(&event.bytes) else {
            continue;
        };
        if let Some(input) = event.get("input") {
            examples.push(Example::new("input", input.to_string()));
        }
        // Messages of all kinds, in an input.
        if let Some(messages) = event.get("messages") {
            for version in [Some("1.0"), None] {
                let mut input =
                    json!({ "threadId": "open", "runId": "mine", "messages": messages });
                if let Some(version) = version {
                    input["protocolVersion"] = version.into();
                } else {
                    input["tools"] = json!([]);
                    input["context"] = json!([]);
                }
                examples.push(Example::new("messages", input.to_string()));
            }
        }
    }
    examples
}

async fn check(router: Router, body: &[u8], is_forgetful: bool) -> Result<(), String> {
    let input = RunAgentInput::from_json(body);
    let request = Request::post("/agui/connect").header("content-type", "application/json");
    let request = request
        .body(Body::from(Bytes::copy_from_slice(body)))
        .expect("a request");
    let answer = ask(&router, request).await;
    let Ok(input) = input else {
        return answer.check_refusal();
    };
    ensure!(
        answer.status == 200,
        "{} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    let mut frames = answer.frames()?;
    frames.retain(|frame| frame.is_event());
    ensure!(
        frames.iter().all(|frame| frame.event.is_none()),
        "named frames: {frames:?}"
    );
    let mut events = Vec::new();
    for frame in &frames {
        match frame.json() {
            Ok(event) => events.push(event),
            // What the client has said of itself is told as it was. JSON sets numbers no bounds, and official clients
            // read this one; only this reader does not.
            Err(error) if error.to_string().starts_with("number out of range") => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
    if is_forgetful {
        let snapshot = events
            .iter_mut()
            .find(|event| event["type"] == "MESSAGES_SNAPSHOT");
        if let Some(messages) = snapshot.and_then(|event| event["messages"].as_array_mut()) {
            messages.retain(|message| message["role"] != "user");
        }
    }
    let thread = input.thread_id.as_str();
    ensure!(
        events
            .first()
            .is_some_and(|event| event["type"] == "RUN_STARTED"),
        "{events:?}"
    );
    ensure!(
        events[0]["threadId"] == thread,
        "asked for {thread:?}, got {}",
        events[0]
    );
    let is_1_0 = input.protocol_version.as_deref() == Some("1.0");
    let mut order = ThreadOrder::default();
    for event in &events {
        let text = event.to_string();
        // The form for clients before 1.0 is not ours to read.
        let Ok(typed) = AgUiEvent::from_json(text.as_bytes()) else {
            ensure!(!is_1_0, "not of 1.0: {text}");
            return Ok(());
        };
        order
            .check(&typed)
            .map_err(|error| format!("{error}: {events:#?}"))?;
    }
    ensure!(
        answer.has_ended != (thread == "open"),
        "{thread:?}, ended: {}",
        answer.has_ended
    );
    ensure!(
        answer.has_ended == order.run_id().is_none(),
        "an end in a run: {events:?}"
    );
    // A snapshot deletes what it does not name, so it names what the client has.
    for event in events
        .iter()
        .filter(|event| event["type"] == "MESSAGES_SNAPSHOT")
    {
        for message in &input.messages {
            let id = message.id().as_str();
            let is_there = |told: &Value| told["id"].as_str() == Some(id);
            let is_told = event["messages"]
                .as_array()
                .is_some_and(|all| all.iter().any(is_there));
            ensure!(is_told, "{id:?} is not in {event}");
        }
    }
    Ok(())
}

#[test]
fn an_input_is_answered_with_a_valid_run() {
    let mut app = App::new(prepare);
    Fuzz::new("run_input", examples())
        .run(|body| app.case(body, |router, _, _, body| check(router, body, false)));
}

#[test]
fn a_snapshot_that_forgets_the_question_is_found() {
    let mut app = App::new(prepare);
    let fuzz = Fuzz::new("run_input", examples());
    must_find(&fuzz, "a snapshot without the question", |body| {
        app.case(body, |router, _, _, body| check(router, body, true))
    });
}
