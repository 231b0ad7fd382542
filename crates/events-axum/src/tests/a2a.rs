//! The endpoints for official A2A clients.

mod answers;
mod card;

use events_models::A2AEvent;

use super::*;

fn event(json: &Value) -> A2AEvent {
    A2AEvent::from_json(json.to_string().as_bytes()).expect("legal")
}

fn task(id: &str) -> A2AEvent {
    event(
        &json!({ "task": { "id": id, "contextId": "c", "status": { "state": "TASK_STATE_SUBMITTED" } } }),
    )
}

fn status(id: &str, state: &str) -> A2AEvent {
    let status = json!({ "state": format!("TASK_STATE_{state}") });
    event(&json!({ "statusUpdate": { "taskId": id, "contextId": "c", "status": status } }))
}

fn piece(id: &str, text: &str) -> A2AEvent {
    let artifact = json!({ "artifactId": "a", "parts": [{ "text": text }] });
    event(&json!({ "artifactUpdate": {
        "taskId": id, "contextId": "c", "append": text != "one", "artifact": artifact,
    } }))
}

impl Hub {
    async fn tell(&self, events: impl IntoIterator<Item = A2AEvent>) {
        for event in events {
            self.state.router().publish(&ada(), event).await.unwrap();
        }
    }

    async fn call(&self, version: Option<&str>, body: &str) -> Response<Body> {
        let mut request = Request::post("/a2a/rpc").header("content-type", "application/json");
        if let Some(version) = version {
            request = request.header("A2A-Version", version);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    async fn answer(&self, version: Option<&str>, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let response = self.call(version, &body.to_string()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        value(response).await
    }

    async fn rest(&self, method: &str, path: &str) -> Response<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("A2A-Version", "1.0");
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

async fn value(response: Response<Body>) -> Value {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).expect("JSON")
}

/// The data of the next events, as text; a large one comes in several writes.
async fn data(stream: &mut Stream, n_events: usize) -> Vec<String> {
    let mut text = String::new();
    loop {
        text.push_str(&stream.read().await.expect("not yet over"));
        let (whole, _) = text.rsplit_once("\n\n").unwrap_or_default();
        let lines = whole.lines().filter_map(|line| line.strip_prefix("data: "));
        let data: Vec<_> = lines.map(str::to_owned).collect();
        if data.len() >= n_events {
            return data;
        }
    }
}

#[tokio::test]
async fn a_call_gets_the_task_then_what_follows_around_its_own_id_to_the_end() {
    let hub = Hub::new();
    hub.tell([task("t"), piece("t", "one")]).await;
    let mut streams = Vec::new();
    for id in ["12345678901234567890123", r#""a\u00e9""#, "null", "1"] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"SubscribeToTask","params":{{"id":"t"}}}}"#
        );
        let response = hub.call(Some("1.0"), &body).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = response.into_body();
        streams.push((id, Stream { body }));
    }
    let large = "x".repeat(100_000);
    hub.tell([piece("t", &large), status("t", "INPUT_REQUIRED")])
        .await;
    hub.tell([status("t", "COMPLETED")]).await;
    for (id, mut stream) in streams {
        let data = data(&mut stream, 4).await;
        let before = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#);
        assert!(data.iter().all(|data| data.starts_with(&before)), "{id}");
        let events: Vec<Value> = data
            .iter()
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let task = &events[0]["result"]["task"];
        assert_eq!(task["artifacts"][0]["parts"], json!([{ "text": "one" }]));
        assert_eq!(
            events[1]["result"]["artifactUpdate"]["artifact"]["parts"][0]["text"],
            large
        );
        assert_eq!(
            events[3]["result"]["statusUpdate"]["status"]["state"],
            "TASK_STATE_COMPLETED"
        );
        assert_eq!(stream.read().await, None, "a clean end");
    }
}

#[tokio::test]
async fn a_client_of_0_3_gets_the_same_in_its_own_form() {
    let hub = Hub::new();
    hub.tell([task("t"), piece("t", "one")]).await;
    let body = r#"{"jsonrpc":"2.0","id":"x","method":"tasks/resubscribe","params":{"id":"t"}}"#;
    let body = hub.call(None, body).await.into_body();
    let mut stream = Stream { body };
    hub.tell([status("t", "FAILED")]).await;
    let data = data(&mut stream, 2).await;
    let events: Vec<Value> = data
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let task = &events[0]["result"];
    assert_eq!(
        (&task["kind"], &task["status"]["state"]),
        (&json!("task"), &json!("submitted"))
    );
    assert_eq!(task["artifacts"][0]["parts"][0]["kind"], "text");
    let last = &events[1]["result"];
    assert_eq!(
        (&last["kind"], &last["final"]),
        (&json!("status-update"), &json!(true))
    );
    assert_eq!(stream.read().await, None);
    let read = hub
        .answer(Some("0.3"), "tasks/get", json!({ "id": "t" }))
        .await;
    assert_eq!(
        (&read["result"]["kind"], &read["result"]["status"]["state"]),
        (&json!("task"), &json!("failed"))
    );
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_every_four_seconds_and_a_drain_cuts_the_transfer() {
    let hub = Hub::new();
    hub.tell([task("t")]).await;
    let response = hub.rest("GET", "/a2a/rest/tasks/t:subscribe").await;
    let mut stream = Stream {
        body: response.into_body(),
    };
    assert!(stream.read().await.unwrap().starts_with("retry: "));
    assert!(stream.read().await.unwrap().contains("\"task\""));
    let begun = tokio::time::Instant::now();
    for beat in 1..=3 {
        assert!(stream.read().await.unwrap().starts_with(": "));
        assert_eq!(begun.elapsed().as_secs(), 4 * beat);
    }
    hub.state.drain();
    let cut = loop {
        let frame = stream.body.frame().await.expect("no clean end");
        if let Err(error) = frame {
            break error;
        }
    };
    assert!(cut.to_string().contains("draining"), "{cut}");
    let refused = hub.rest("GET", "/a2a/rest/tasks/t:subscribe").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_plain_stream_of_a_task_begins_with_the_task_and_its_cursor() {
    let hub = Hub::new();
    hub.tell([task("t"), piece("t", "one")]).await;
    let mut stream = hub.stream("/a2a?task=t").await;
    assert!(
        ids(&stream.read().await.unwrap()).is_empty(),
        "the cursor comes with the task"
    );
    let told = stream.read().await.unwrap();
    let cursor = ids(&told)[0].to_owned();
    assert!(told.contains(r#"data: {"task":{"id":"t""#), "{told}");
    hub.tell([piece("t", "two")]).await;
    assert!(stream.read().await.unwrap().contains("artifactUpdate"));
    let mut back = hub
        .stream(&format!("/a2a?task=t&last_event_id={cursor}"))
        .await;
    assert_eq!(ids(&back.read().await.unwrap()), [cursor.as_str()]);
    assert!(back.read().await.unwrap().contains("artifactUpdate"));
}
