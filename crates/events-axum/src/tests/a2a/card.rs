//! The agent card.

use super::*;

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
