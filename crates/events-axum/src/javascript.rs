//! The client for browsers, `js/events.js`, as one file that a page can load.

use std::hash::{DefaultHasher, Hasher as _};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

/// Where [`javascript_router`] serves the client.
pub const JAVASCRIPT_PATH: &str = "/events.js";

const TEXT: &str = include_str!("../js/events.js");

/// Makes `GET /events.js`: the client for browsers, an ES module.
///
/// It is the same for everybody and needs no [`RequestContext`](crate::RequestContext). Browsers ask each time whether it
/// has changed, and are told by its ETag (RFC 9110, 8.8.3) when it has not, so a page and its hub are of one version.
pub fn javascript_router() -> Router {
    let tag = tag();
    let answer = async move |headers: HeaderMap| answer(&headers, &tag);
    Router::new().route(JAVASCRIPT_PATH, get(answer))
}

/// Names the text, for comparison only: another build may name the same text otherwise.
fn tag() -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(TEXT.as_bytes());
    format!("\"{:016x}\"", hasher.finish())
}

fn answer(headers: &HeaderMap, tag: &str) -> Response {
    let mut known = headers.get_all(header::IF_NONE_MATCH).iter();
    let is_known = known.any(|value| {
        let mut names = value.to_str().unwrap_or_default().split(',').map(str::trim);
        // A proxy that compresses makes a strong tag weak.
        names.any(|name| name == "*" || name.strip_prefix("W/").unwrap_or(name) == tag)
    });
    let fixed: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let mut response = if is_known {
        (StatusCode::NOT_MODIFIED, fixed).into_response()
    } else {
        (fixed, TEXT).into_response()
    };
    // Hexadecimal digits are fine in a header.
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(known: Option<&str>) -> Response {
        let mut request = Request::get(JAVASCRIPT_PATH);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        let request = request.body(Body::empty()).unwrap();
        javascript_router().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn the_client_is_served_as_a_module_that_is_asked_for_once() {
        let response = ask(None).await;
        let header =
            |response: &Response, name| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(response.status(), StatusCode::OK);
        let content_type = header(&response, header::CONTENT_TYPE);
        assert_eq!(content_type, "text/javascript; charset=utf-8");
        assert_eq!(header(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        let tag = header(&response, header::ETAG);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, TEXT.as_bytes());
        for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let response = ask(Some(&known)).await;
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(header(&response, header::ETAG), tag);
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert!(body.is_empty());
        }
        let response = ask(Some("\"0000000000000000\"")).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}
