//! The gate, request by request.

use axum::{
    Extension, Router, body::Body, extract::Request, http::Response, middleware, routing::any,
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

/// Answers the name of the user that the gate let through.
fn app() -> Router {
    let who = |Extension(context): Extension<RequestContext>| async move {
        context.user_id().to_string()
    };
    Router::new()
        .route("/", any(who))
        .route("/{*path}", any(who))
        .layer(middleware::from_fn(gate))
}

async fn answer(method: &str, uri: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    app().oneshot(request).await.unwrap()
}

async fn get(uri: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let response = answer("GET", uri, headers).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn only_this_machine_is_a_loopback_host() {
    for good in [
        "localhost",
        "localhost:4000",
        "LocalHost:1",
        "127.0.0.1",
        "127.0.0.1:4000",
        "127.9.8.7:65535",
        "[::1]",
        "[::1]:4000",
        "[0:0:0:0:0:0:0:1]:80",
    ] {
        assert!(is_loopback_authority(good.as_bytes()), "{good}");
        assert!(
            is_loopback_origin(format!("http://{good}").as_bytes()),
            "{good}"
        );
        assert!(
            is_loopback_origin(format!("https://{good}").as_bytes()),
            "{good}"
        );
    }
    for bad in [
        "",
        "example.com",
        "example.com:4000",
        "localhost.example.com",
        "localhost@example.com",
        "127.0.0.1.nip.io",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0.0.0.0",
        "128.0.0.1",
        "192.168.0.1:4000",
        "[::]",
        "[::2]:1",
        "::1",
        "[::1",
        "[::1]x",
        "localhost:",
        "localhost:http",
        "localhost:+1",
        "localhost:99999",
        "localhost:1:2",
        "localhost/",
        "localhost:1/a",
        " localhost",
        "local\u{212a}host",
    ] {
        assert!(!is_loopback_authority(bad.as_bytes()), "{bad}");
        assert!(
            !is_loopback_origin(format!("http://{bad}").as_bytes()),
            "{bad}"
        );
    }
    for bad in [
        "null",
        "localhost",
        "file://",
        "ftp://localhost",
        "http:/localhost",
        "chrome-extension://abc",
    ] {
        assert!(!is_loopback_origin(bad.as_bytes()), "{bad}");
    }
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused_before_anything_else() {
    let ours = ("host", "localhost:4000");
    for headers in [
        vec![("host", "evil.example")],
        vec![ours, ("host", "evil.example")],
        vec![ours, ("origin", "http://evil.example")],
        vec![ours, ("origin", "null")],
        vec![
            ours,
            ("origin", "http://localhost"),
            ("origin", "http://evil.example"),
        ],
    ] {
        let (status, body) = get("/agui?user=ada", &headers).await;
        assert_eq!(status, 403, "{headers:?}");
        assert!(body.contains("\"status\":403"), "{body}");
    }
    assert_eq!(get("/agui?user=ada", &[]).await.0, 400);
    // HTTP/2 names the host in the address.
    assert_eq!(get("http://evil.example/agui?user=ada", &[]).await.0, 403);
    assert_eq!(get("http://localhost:4000/agui?user=ada", &[]).await.0, 200);
    let asks = [
        ours,
        ("origin", "http://evil.example"),
        ("access-control-request-method", "GET"),
    ];
    let foreign = answer("OPTIONS", "/agui", &asks).await;
    assert_eq!(foreign.status(), 403);
    assert!(
        !foreign
            .headers()
            .contains_key("access-control-allow-origin")
    );
}

#[tokio::test]
async fn the_user_is_in_the_query_or_in_the_header() {
    let host = ("host", "127.0.0.1:4000");
    for (uri, headers, user) in [
        ("/agui?user=ada", vec![host], "ada"),
        ("/agui?thread=t&user=a%20b%2Bc+d", vec![host], "a b+c d"),
        ("/agui", vec![host, ("x-events-user", "bob")], "bob"),
        (
            "/agui?user=ada",
            vec![host, ("X-Events-User", "bob")],
            "ada",
        ),
        ("/agui?user=%C3%A9", vec![host], "é"),
        ("/a2a/users/a%20b/rpc", vec![host], "a b"),
        ("/a2a/users/ada/rpc?user=bob", vec![host], "bob"),
        ("/.well-known/agent-card.json", vec![host], "local"),
        ("/.well-known/agent-card.json?user=ada", vec![host], "ada"),
        ("/publish/agui/ada", vec![host], "local"),
        ("/metrics", vec![host], "local"),
        ("/connections", vec![host], "local"),
        ("/health/ready", vec![host], "local"),
        ("/", vec![host], "local"),
    ] {
        assert_eq!(get(uri, &headers).await, (200, user.to_owned()), "{uri}");
    }
    for uri in [
        "/agui",
        "/agui?user=",
        "/contexts?users=ada",
        "/healthy",
        "/a2a/rpc",
        "/a2a/users/",
        "/analytics?x",
    ] {
        let (status, body) = get(uri, &[host]).await;
        assert_eq!(status, 401, "{uri}");
        assert!(
            body.contains("?user=NAME") && body.contains("X-Events-User"),
            "{body}"
        );
    }
    for uri in ["/agui?user=%FF", "/agui?user=a%0Ab", "/a2a/users/%FF/rpc"] {
        assert_eq!(get(uri, &[host]).await.0, 400, "{uri}");
    }
    assert_eq!(
        get(&format!("/agui?user={}", "a".repeat(257)), &[host])
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn a_page_of_this_machine_may_read_also_the_errors() {
    let host = ("host", "127.0.0.1:4000");
    let page = ("origin", "http://localhost:5173");
    for (uri, status) in [("/agui?user=ada", 200), ("/agui", 401)] {
        let response = answer("GET", uri, &[host, page]).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], page.1);
        assert_eq!(response.headers()["vary"], "origin");
    }
    let response = answer("GET", "/agui?user=ada", &[host]).await;
    assert!(
        !response
            .headers()
            .contains_key("access-control-allow-origin")
    );
}

#[tokio::test]
async fn a_browser_that_asks_first_is_told_yes() {
    let headers = [
        ("host", "[::1]:4000"),
        ("origin", "https://127.0.0.1"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type, idempotency-key",
        ),
    ];
    let response = answer("OPTIONS", "/publish/agui/ada", &headers).await;
    assert_eq!(response.status(), 204);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://127.0.0.1"
    );
    assert_eq!(response.headers()["access-control-allow-methods"], "POST");
    assert_eq!(
        response.headers()["access-control-allow-headers"],
        "content-type, idempotency-key"
    );
}
