//! The endpoints for official A2A clients: streams, errors in the shape of either binding, the card.

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

#[tokio::test]
async fn errors_are_precise_in_json_rpc() {
    let hub = Hub::new();
    hub.tell([task("t"), task("over"), status("over", "COMPLETED")])
        .await;
    let one = Some("1.0");
    for (version, method, id, code, reason) in [
        (one, "SubscribeToTask", "nothing", -32001, "TASK_NOT_FOUND"),
        (
            one,
            "SubscribeToTask",
            "over",
            -32004,
            "UNSUPPORTED_OPERATION",
        ),
        (
            None,
            "tasks/resubscribe",
            "nothing",
            -32001,
            "TASK_NOT_FOUND",
        ),
        (
            None,
            "tasks/resubscribe",
            "over",
            -32004,
            "UNSUPPORTED_OPERATION",
        ),
        (one, "GetTask", "nothing", -32001, "TASK_NOT_FOUND"),
        (one, "GetTask", "", -32602, "INVALID_PARAMS"),
        (one, "CancelTask", "nothing", -32001, "TASK_NOT_FOUND"),
        (one, "CancelTask", "t", -32004, "UNSUPPORTED_OPERATION"),
        (one, "SendMessage", "t", -32004, "UNSUPPORTED_OPERATION"),
        (
            one,
            "SendStreamingMessage",
            "t",
            -32004,
            "UNSUPPORTED_OPERATION",
        ),
        (
            one,
            "GetExtendedAgentCard",
            "t",
            -32004,
            "UNSUPPORTED_OPERATION",
        ),
        (
            one,
            "CreateTaskPushNotificationConfig",
            "t",
            -32003,
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        (None, "message/stream", "t", -32004, "UNSUPPORTED_OPERATION"),
        (
            None,
            "tasks/pushNotificationConfig/set",
            "t",
            -32003,
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        (
            None,
            "agent/getAuthenticatedExtendedCard",
            "t",
            -32007,
            "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
        ),
        (one, "Subscribe", "t", -32601, "METHOD_NOT_FOUND"),
        (one, "tasks/get", "t", -32601, "METHOD_NOT_FOUND"),
        (None, "GetTask", "t", -32009, "VERSION_NOT_SUPPORTED"),
        (Some("9.9"), "GetTask", "t", -32009, "VERSION_NOT_SUPPORTED"),
        (
            Some("9.9"),
            "tasks/get",
            "t",
            -32009,
            "VERSION_NOT_SUPPORTED",
        ),
    ] {
        let answer = hub.answer(version, method, json!({ "id": id })).await;
        let error = &answer["error"];
        assert_eq!(error["code"], code, "{method} {id}: {answer}");
        assert_eq!(
            error["data"][0]["reason"], reason,
            "{method} {id}: {answer}"
        );
        assert_eq!(
            error["data"][0]["@type"],
            "type.googleapis.com/google.rpc.ErrorInfo"
        );
        assert_eq!(
            (&answer["id"], &answer["jsonrpc"]),
            (&json!(1), &json!("2.0"))
        );
    }
    for version in ["1.0", "1.0.1"] {
        let found = hub
            .answer(Some(version), "GetTask", json!({ "id": "t" }))
            .await;
        assert_eq!(found["result"]["id"], "t");
    }
    for (body, code) in [
        ("{", -32700),
        ("[]", -32600),
        ("[{}]", -32600),
        ("3", -32600),
    ] {
        let answer = value(hub.call(one, body).await).await;
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &Value::Null)
        );
    }
}

#[tokio::test]
async fn rest_follows_reads_lists_and_refuses_in_its_own_shape() {
    let hub = Hub::new();
    let odd = "a/b:c é%";
    let encoded = "a%2Fb%3Ac%20%C3%A9%25";
    hub.tell([task(odd), task("over"), status("over", "CANCELED")])
        .await;
    for (method, path) in [
        ("GET", format!("/a2a/rest/tasks/{encoded}:subscribe")),
        ("POST", format!("/a2a/rest/tasks/{encoded}:subscribe")),
        ("GET", format!("/a2a/rest/tasks/{encoded}/subscribe")),
        (
            "POST",
            format!("/a2a/users/ada/rest/tasks/{encoded}:subscribe"),
        ),
    ] {
        let response = hub.rest(method, &path).await;
        assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
        let mut stream = Stream {
            body: response.into_body(),
        };
        let first: Value = serde_json::from_str(&data(&mut stream, 1).await[0]).unwrap();
        assert_eq!(first["task"]["id"], odd);
    }
    let read = value(hub.rest("GET", &format!("/a2a/rest/tasks/{encoded}")).await).await;
    assert_eq!(read["id"], odd);
    let path = "/a2a/rest/tasks?status=TASK_STATE_CANCELED&pageSize=5&includeArtifacts=true";
    let list = value(hub.rest("GET", path).await).await;
    assert_eq!(list["tasks"][0]["id"], "over");
    assert_eq!(
        (
            &list["totalSize"],
            &list["pageSize"],
            &list["nextPageToken"]
        ),
        (&json!(1), &json!(5), &json!(""))
    );
    for (method, path, status, name, reason) in [
        (
            "POST",
            "tasks/nothing:subscribe",
            404,
            "NOT_FOUND",
            "TASK_NOT_FOUND",
        ),
        ("GET", "tasks/nothing", 404, "NOT_FOUND", "TASK_NOT_FOUND"),
        (
            "GET",
            "tasks/over:subscribe",
            400,
            "FAILED_PRECONDITION",
            "UNSUPPORTED_OPERATION",
        ),
        (
            "POST",
            "tasks/over:cancel",
            400,
            "FAILED_PRECONDITION",
            "UNSUPPORTED_OPERATION",
        ),
        (
            "POST",
            "message:send",
            400,
            "FAILED_PRECONDITION",
            "UNSUPPORTED_OPERATION",
        ),
        (
            "GET",
            "extendedAgentCard",
            400,
            "FAILED_PRECONDITION",
            "UNSUPPORTED_OPERATION",
        ),
        (
            "POST",
            "tasks/over/pushNotificationConfigs",
            400,
            "FAILED_PRECONDITION",
            "PUSH_NOTIFICATION_NOT_SUPPORTED",
        ),
        (
            "GET",
            "tasks?pageSize=0",
            400,
            "INVALID_ARGUMENT",
            "INVALID_PARAMS",
        ),
        (
            "GET",
            "tasks?pageToken=x",
            400,
            "INVALID_ARGUMENT",
            "INVALID_PARAMS",
        ),
        (
            "GET",
            "tasks?status=working",
            400,
            "INVALID_ARGUMENT",
            "INVALID_PARAMS",
        ),
        ("GET", "tasks?A2A-Version=1.0", 200, "", ""),
        ("DELETE", "tasks/over", 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
        ("GET", "elsewhere", 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
    ] {
        let response = hub.rest(method, &format!("/a2a/rest/{path}")).await;
        assert_eq!(response.status(), status, "{method} {path}");
        if status != 200 {
            let error = &value(response).await["error"];
            assert_eq!(
                (&error["code"], &error["status"]),
                (&json!(status), &json!(name)),
                "{path}"
            );
            assert_eq!(error["details"][0]["reason"], reason, "{path}");
        }
    }
    let old = hub
        .send(Request::get("/a2a/rest/tasks").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        value(old).await["error"]["details"][0]["reason"],
        "VERSION_NOT_SUPPORTED"
    );
}

#[tokio::test]
async fn who_asks_must_be_known_and_be_the_user_in_the_address() {
    let hub = Hub::new();
    hub.tell([task("t")]).await;
    let foreign = hub.rest("GET", "/a2a/users/bob/rest/tasks/t").await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let app = hub_router(hub.state.clone());
    for request in [
        Request::post("/a2a/rpc").body(Body::empty()).unwrap(),
        Request::get("/a2a/rest/tasks").body(Body::empty()).unwrap(),
    ] {
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
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
async fn over_the_cap_the_error_says_so() {
    let limits = Limits {
        connections_per_user: 1,
        ..Limits::default()
    };
    let hub = Hub::with(RouterConfig {
        limits,
        ..RouterConfig::default()
    });
    hub.tell([task("t")]).await;
    let first = hub.rest("GET", "/a2a/rest/tasks/t:subscribe").await;
    let second = hub.rest("GET", "/a2a/rest/tasks/t:subscribe").await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(value(second).await["error"]["status"], "RESOURCE_EXHAUSTED");
    let called = hub
        .answer(Some("1.0"), "SubscribeToTask", json!({ "id": "t" }))
        .await;
    assert_eq!(called["error"]["data"][0]["reason"], "RESOURCE_EXHAUSTED");
    drop(first);
    let third = hub.rest("GET", "/a2a/rest/tasks/t:subscribe").await;
    assert_eq!(third.status(), StatusCode::OK);
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

#[tokio::test]
async fn the_card_names_the_address_it_was_asked_at_and_can_be_kept() {
    let state = StreamState::new(EventRouter::default());
    let app = Router::new().nest("/hub", hub_router(state));
    let get = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    };
    let path = "/hub/.well-known/agent-card.json";
    let host = ("host", "[::1]:4000");
    let response = get(path, &[host]).await;
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    assert!(
        response.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("max-age=")
    );
    let card = value(response).await;
    assert_eq!(
        card["supportedInterfaces"][0]["url"],
        "http://[::1]:4000/hub/a2a/rpc"
    );
    assert_eq!(
        card["supportedInterfaces"][1]["url"],
        "http://[::1]:4000/hub/a2a/rest"
    );
    assert_eq!(
        (&card["protocolVersion"], &card["preferredTransport"]),
        (&json!("0.3"), &json!("JSONRPC"))
    );
    assert!(card.get("securitySchemes").is_none());
    let known = get(path, &[host, ("if-none-match", &format!("\"x\", W/{tag}"))]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    let other = get(path, &[("host", "example.org"), ("if-none-match", &tag)]).await;
    assert_eq!(other.status(), StatusCode::OK);
    let of_user = get(
        "/hub/a2a/users/a%20b/.well-known/agent-card.json",
        &[host, ("x-forwarded-proto", "https")],
    )
    .await;
    assert_eq!(
        value(of_user).await["url"],
        "https://[::1]:4000/hub/a2a/users/a%20b/rpc"
    );
    let unwanted = get(&format!("{path}?user=ada"), &[host]).await;
    assert_eq!(
        value(unwanted).await["url"],
        "http://[::1]:4000/hub/a2a/rpc"
    );
    for bad in ["", "a/b", "a\"b", "a b"] {
        assert_eq!(
            get(path, &[("host", bad)]).await.status(),
            StatusCode::BAD_REQUEST,
            "{bad:?}"
        );
    }

    let card = crate::CardConfig {
        public_url: Some("https://events.example.org/x/".to_owned()),
        needs_bearer: true,
        takes_user: true,
        ..crate::CardConfig::default()
    };
    let a2a = crate::A2AConfig {
        card,
        ..crate::A2AConfig::default()
    };
    let config = StreamConfig {
        a2a,
        ..StreamConfig::default()
    };
    let app = hub_router(StreamState::with_config(EventRouter::default(), config));
    let request = Request::get("/.well-known/agent-card.json?user=a+%2F").body(Body::empty());
    let response = app.oneshot(request.unwrap()).await.unwrap();
    assert!(
        response.headers()["cache-control"]
            .to_str()
            .unwrap()
            .starts_with("public")
    );
    let card = value(response).await;
    assert_eq!(
        card["url"],
        "https://events.example.org/x/a2a/users/a%20%2F/rpc"
    );
    assert_eq!(
        card["securitySchemes"]["bearer"]["httpAuthSecurityScheme"]["scheme"],
        "Bearer"
    );
}
