//! Requests through the layer: who may what, tickets, cookies, pages, ends.

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode},
    middleware,
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::hub_router;

/// A hub of which nothing is real but the socket.
pub(super) struct Hub {
    auth: Auth,
    pub(super) state: StreamState,
    clock: Arc<ManualClock>,
    app: Router,
}

impl Hub {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOW * 1_000));
        let state = StreamState::new(EventRouter::new(RouterConfig {
            clock: Arc::clone(&clock) as _,
            ..RouterConfig::default()
        }));
        let auth = Auth::new(
            state.clone(),
            AuthConfig {
                secret: Some(Secret::new(SECRET).unwrap()),
                origins: vec!["https://app.example.org".to_owned()],
                ..AuthConfig::default()
            },
        );
        let ask = |path: &str| Router::new().route(path, axum::routing::post(async || "asked"));
        let app = hub_router(state.clone())
            .merge(auth.router())
            .merge(ask("/llm/up/v1/messages"))
            .layer(middleware::from_fn_with_state(auth.clone(), authenticate));
        Self {
            auth,
            state,
            clock,
            app,
        }
    }

    pub(super) fn token(&self, user: &str, role: Role, users: &[&str]) -> String {
        let now_ms = self.auth.now_ms();
        let grant = Grant {
            user: user.to_owned(),
            role,
            users: users.iter().map(ToString::to_string).collect(),
            issued_ms: now_ms,
            expires_ms: now_ms + 600_000,
        };
        grant.sign(&Secret::new(SECRET).unwrap(), None, None)
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.expect("infallible")
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "hub.example.org");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if path.starts_with("/publish") {
            let thread = format!("t{}", fastrand::u64(..));
            json!({ "type": "RUN_STARTED", "threadId": thread, "runId": "r" }).to_string()
        } else {
            String::new()
        };
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn ticket(&self, token: &str) -> String {
        let bearer = format!("Bearer {token}");
        let answer = self
            .ask("POST", "/ticket", &[("authorization", &bearer)])
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["expires_in"], 30);
        body["ticket"].as_str().unwrap().to_owned()
    }
}

/// Reads a stream to its end, and returns what it said.
async fn rest(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn cookie_of(response: &Response<Body>) -> String {
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    for part in [
        "; Path=/",
        "; Secure",
        "; HttpOnly",
        "; SameSite=Strict",
        "; Max-Age=600",
    ] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_ticket_opens_one_stream_and_its_cookie_opens_the_next() {
    let hub = Hub::new();
    let ticket = hub.ticket(&hub.token("ada", Role::Publisher, &[])).await;
    let path = format!("/agui?thread=t&ticket={ticket}");
    let first = hub.ask("GET", &path, &[]).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()["referrer-policy"], "no-referrer");
    let cookie = cookie_of(&first);
    // A second use is none; with the cookie, as a browser comes back, it does not matter.
    assert_eq!(hub.ask("GET", &path, &[]).await.status(), 401);
    let again = hub.ask("GET", &path, &[("cookie", &cookie)]).await;
    assert_eq!(again.status(), StatusCode::OK);
    // The cookie reads and does nothing else, whatever its user's role is.
    for (method, path) in [("POST", "/publish/agui/ada"), ("POST", "/ticket")] {
        let headers = [
            ("cookie", &*cookie),
            ("content-type", "application/json"),
            ("origin", "https://hub.example.org"),
        ];
        assert_eq!(hub.ask(method, path, &headers).await.status(), 401);
    }
    // Nor does a ticket, and neither is a token.
    let ticket = hub.ticket(&hub.token("ada", Role::Publisher, &[])).await;
    let posted = format!("/publish/agui/ada?ticket={ticket}");
    assert_eq!(hub.ask("POST", &posted, &[]).await.status(), 403);
    let ours = [("origin", "https://hub.example.org")];
    assert_eq!(hub.ask("POST", &posted, &ours).await.status(), 401);
    for not_a_token in [&ticket, cookie.split_once('=').unwrap().1] {
        let bearer = format!("Bearer {not_a_token}");
        let answer = hub.ask("GET", "/agui", &[("authorization", &bearer)]).await;
        assert_eq!(answer.status(), 401);
    }
    // A used ticket does not open the streams of whoever the cookie is of now.
    let of_bob = hub.ticket(&hub.token("bob", Role::Subscriber, &[])).await;
    let first = hub.ask("GET", &format!("/agui?ticket={of_bob}"), &[]).await;
    let cookie_of_bob = cookie_of(&first);
    let crossed = hub.ask("GET", &path, &[("cookie", &cookie_of_bob)]).await;
    assert_eq!(crossed.status(), 401);
    // It is good for half a minute.
    let late = hub.ticket(&hub.token("ada", Role::Subscriber, &[])).await;
    hub.clock.advance(30_000);
    let path = format!("/agui?ticket={late}");
    assert_eq!(hub.ask("GET", &path, &[]).await.status(), 401);
    // The cookie ends with the token.
    hub.clock.advance(570_000);
    let ended = hub.ask("GET", "/agui", &[("cookie", &cookie)]).await;
    assert_eq!(ended.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_token_and_with_a_revocation() {
    let hub = Hub::new();
    let bearer = format!("Bearer {}", hub.token("ada", Role::Subscriber, &[]));
    let headers = [("authorization", &*bearer)];
    for path in ["/agui", "/agui?thread=t", "/a2a", "/contexts", "/analytics"] {
        let begun = tokio::time::Instant::now();
        let said = rest(hub.ask("GET", path, &headers).await).await;
        assert!(
            said.ends_with("event: closing\ndata: {\"reason\":\"token_expired\"}\n\n"),
            "{said}"
        );
        assert_eq!(begun.elapsed().as_secs(), 600, "{path}");
    }
    let streams = [
        hub.ask("GET", "/agui", &headers).await,
        hub.ask("GET", "/agui?thread=t", &headers).await,
        hub.ask("GET", "/contexts", &headers).await,
        hub.ask("GET", "/analytics", &headers).await,
    ];
    let operator = format!("Bearer {}", hub.token("root", Role::Operator, &[]));
    let operator = [("authorization", &*operator)];
    // Closing alone refuses nothing.
    let one = hub.ask("GET", "/a2a", &headers).await;
    let closed = hub
        .ask("DELETE", "/connections?user=ada&only=close", &operator)
        .await;
    assert_eq!(rest(closed).await, r#"{"ended":5}"#);
    assert!(rest(one).await.contains("{\"reason\":\"max_age\"}"));
    let again = hub.ask("GET", "/agui", &headers).await;
    assert_eq!(again.status(), StatusCode::OK);

    let revoked = hub.ask("DELETE", "/connections?user=ada", &operator).await;
    assert_eq!(revoked.status(), StatusCode::OK);
    for stream in streams.into_iter().chain([again]) {
        assert!(rest(stream).await.contains("{\"reason\":\"revoked\"}"));
    }
    assert_eq!(hub.ask("GET", "/agui", &headers).await.status(), 401);
    // A token of a later second is good, and others were never touched.
    hub.clock.advance(1_000);
    let bearer = format!("Bearer {}", hub.token("ada", Role::Subscriber, &[]));
    let later = hub.ask("GET", "/agui", &[("authorization", &bearer)]).await;
    assert_eq!(later.status(), StatusCode::OK);
    let root = hub.ask("GET", "/agui", &operator).await;
    assert_eq!(root.status(), StatusCode::OK);
    // A stream whose token was looked at before a revocation and that is read after it ends at once.
    hub.state.revoke(&"root".into()).await.unwrap();
    assert!(rest(root).await.contains("revoked"));
}

#[tokio::test]
async fn what_a_cookie_vouches_for_comes_from_our_page_or_a_listed_one() {
    let hub = Hub::new();
    let cookie = format!("__Host-events={}", hub.token("ada", Role::Publisher, &[]));
    let json = ("content-type", "application/json");
    for (origin, fetch_site, reads, writes) in [
        (None, None, 200, 403),
        (None, Some("same-origin"), 200, 200),
        (None, Some("none"), 200, 403),
        (None, Some("same-site"), 403, 403),
        (None, Some("cross-site"), 403, 403),
        (Some("https://hub.example.org"), None, 200, 200),
        (
            Some("https://app.example.org"),
            Some("cross-site"),
            200,
            200,
        ),
        (Some("https://evil.example.org"), None, 403, 403),
        (Some("https://app.example.org.evil.org"), None, 403, 403),
        (Some("https://app.example.org:444"), None, 403, 403),
        (Some("http://app.example.org"), None, 403, 403),
        (Some("https://hub.example.org:1"), None, 403, 403),
        (Some("null"), None, 403, 403),
        (Some("*"), None, 403, 403),
        (Some(""), None, 403, 403),
    ] {
        let mut headers = vec![("cookie", &*cookie), json];
        headers.extend(origin.map(|origin| ("origin", origin)));
        headers.extend(fetch_site.map(|site| ("sec-fetch-site", site)));
        let read = hub.ask("GET", "/analytics", &headers).await;
        assert_eq!(read.status(), reads, "GET {origin:?} {fetch_site:?}");
        let is_listed = origin == Some("https://app.example.org");
        let allowed = read.headers().get("access-control-allow-origin");
        assert_eq!(allowed.is_some(), is_listed);
        let written = hub.ask("POST", "/publish/agui/ada", &headers).await;
        let status = written.status().as_u16();
        assert_eq!(status, writes, "POST {origin:?} {fetch_site:?}");
    }
    for (origin, status) in [("https://app.example.org", 204), ("https://evil.org", 403)] {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization"),
        ];
        let answer = hub.ask("OPTIONS", "/publish/agui/ada", &headers).await;
        assert_eq!(answer.status(), status);
        let allowed = answer.headers().get("access-control-allow-origin");
        assert_eq!(allowed.is_some(), status == 204);
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_between_the_look_at_a_token_and_its_stream_ends_the_stream() {
    let hub = Hub::new();
    hub.state.revoke(&"ada".into()).await.unwrap();
    // As if the layer had looked a moment before.
    let context = RequestContext::subscriber("ada".into()).during(NOW * 1_000, (NOW + 600) * 1_000);
    let app = hub_router(hub.state.clone()).layer(axum::Extension(context));
    let request = Request::get("/agui").body(Body::empty()).unwrap();
    let said = rest(app.oneshot(request).await.unwrap()).await;
    assert!(said.contains("{\"reason\":\"revoked\"}"), "{said}");
}
