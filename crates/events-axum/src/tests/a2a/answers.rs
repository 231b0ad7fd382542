//! Answers and errors, in the shape of either binding.

use super::*;

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
