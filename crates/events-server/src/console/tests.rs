//! The page as it is served.

use axum::{body::Body, extract::Request, http::StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

async fn answer(path: &str, accept: &str) -> (HeaderMap, String) {
    let request = Request::get(path)
        .header(header::HOST, "localhost:1")
        .header(header::ACCEPT, accept)
        .body(Body::empty())
        .unwrap();
    let state = events_axum::StreamState::new(events_router::EventRouter::default());
    let llm = crate::llm::Llm::new(&crate::Settings::default(), &state, None).unwrap();
    let agents = crate::agents::Agents::new(&crate::Settings::default(), &state, None).unwrap();
    let response = crate::app::app(state, &llm, &agents, None)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn every_file_has_its_type_and_the_strict_policy() {
    let page = ("/", "text/html; charset=utf-8", INDEX);
    for (path, content_type, text) in FILES.into_iter().chain([page]) {
        let (headers, body) = answer(path, "text/html,application/xhtml+xml,*/*;q=0.8").await;
        assert_eq!(headers[header::CONTENT_TYPE], content_type, "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; "),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(body, text, "{path}");
    }
}

#[tokio::test]
async fn a_program_gets_the_plain_page() {
    for accept in ["*/*", "text/plain", "application/json"] {
        let (headers, body) = answer("/", accept).await;
        assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(headers[header::VARY], "accept");
        assert!(body.contains("curl -N"), "{body}");
    }
}

#[test]
fn no_file_makes_markup_of_text_or_names_another_origin() {
    for (path, _, text) in FILES.into_iter().chain([("/", "", INDEX)]) {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "http://",
            "https://",
            "style=\"",
            "onclick=",
        ] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}
