//! The console: a page on which one user's runs are watched, cut off, resumed and published.
//!
//! Beside it is `/tabs`, which shows how tabs share a stream with the client for browsers, `/events.js`.
//! The files are served as they lie beside this module; there is no build step and nothing from elsewhere.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
    routing::get,
};
use events_axum::{JAVASCRIPT_PATH, javascript_router};

use crate::page;

/// The page loads its own files, talks to its own origin, and nothing else; nobody frames it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                                       img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors \
                                       'none'";

const INDEX: &str = include_str!("console/index.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page loads: path, content type, text.
const FILES: [(&str, &str, &str); 12] = [
    (
        "/console.css",
        "text/css; charset=utf-8",
        include_str!("console/console.css"),
    ),
    ("/console.js", SCRIPT, include_str!("console/console.js")),
    (
        "/console-a2a.js",
        SCRIPT,
        include_str!("console/console-a2a.js"),
    ),
    (
        "/console-agui.js",
        SCRIPT,
        include_str!("console/console-agui.js"),
    ),
    (
        "/console-conversation.js",
        SCRIPT,
        include_str!("console/console-conversation.js"),
    ),
    (
        "/console-model.js",
        SCRIPT,
        include_str!("console/console-model.js"),
    ),
    (
        "/console-patch.js",
        SCRIPT,
        include_str!("console/console-patch.js"),
    ),
    (
        "/console-rejoin.js",
        SCRIPT,
        include_str!("console/console-rejoin.js"),
    ),
    (
        "/console-view.js",
        SCRIPT,
        include_str!("console/console-view.js"),
    ),
    (
        "/tabs",
        "text/html; charset=utf-8",
        include_str!("console/tabs.html"),
    ),
    (
        "/tabs.css",
        "text/css; charset=utf-8",
        include_str!("console/tabs.css"),
    ),
    ("/tabs.js", SCRIPT, include_str!("console/tabs.js")),
];

/// Serves the page and its files.
pub(crate) fn router() -> Router {
    let files = FILES
        .into_iter()
        .fold(Router::new(), |router, (path, content_type, text)| {
            router.route(path, get(async move || file(content_type, text)))
        });
    files.route("/", get(index)).merge(javascript_router())
}

/// Whether a path is the page or one of its files, which belong to no user.
pub(crate) fn is_console(path: &str) -> bool {
    path == "/" || path == JAVASCRIPT_PATH || FILES.iter().any(|(known, ..)| *known == path)
}

/// Answers browsers with the console and everything else with the plain page.
async fn index(headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    let is_browser = accepted.any(|value| {
        value
            .to_str()
            .is_ok_and(|types| types.to_ascii_lowercase().contains("text/html"))
    });
    let mut response = if is_browser {
        file("text/html; charset=utf-8", INDEX)
    } else {
        page::page(&headers)
    };
    let vary = header::HeaderValue::from_static("accept");
    response.headers_mut().append(header::VARY, vary);
    response
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests;
