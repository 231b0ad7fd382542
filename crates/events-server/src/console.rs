//! The console: a page on which one user's runs are watched, cut off, resumed and published, and on which operators see
//! who is connected, what models answer, and how the hub is.
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

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Makes the list of what the page loads, path, content type and text, of files beside this module.
macro_rules! files {
    ($($content_type:ident $path:literal = $file:literal,)*) => {
        [$(($path, $content_type, include_str!(concat!("console/", $file))),)*]
    };
}

/// What the page loads: path, content type, text.
const FILES: [(&str, &str, &str); 25] = files! {
    STYLE "/console.css" = "console.css",
    STYLE "/operators.css" = "operators.css",
    STYLE "/tabs.css" = "tabs.css",
    SCRIPT "/console.js" = "console.js",
    SCRIPT "/console-a2a.js" = "console-a2a.js",
    SCRIPT "/console-agents.js" = "console-agents.js",
    SCRIPT "/console-agui.js" = "console-agui.js",
    SCRIPT "/console-conversation.js" = "console-conversation.js",
    SCRIPT "/console-hub.js" = "console-hub.js",
    SCRIPT "/console-llm.js" = "console-llm.js",
    SCRIPT "/console-llm-model.js" = "console-llm-model.js",
    SCRIPT "/console-metrics.js" = "console-metrics.js",
    SCRIPT "/console-model.js" = "console-model.js",
    SCRIPT "/console-numbers.js" = "console-numbers.js",
    SCRIPT "/console-patch.js" = "console-patch.js",
    SCRIPT "/console-plot.js" = "console-plot.js",
    SCRIPT "/console-publish.js" = "console-publish.js",
    SCRIPT "/console-rejoin.js" = "console-rejoin.js",
    SCRIPT "/console-rows.js" = "console-rows.js",
    SCRIPT "/console-session.js" = "console-session.js",
    SCRIPT "/console-users.js" = "console-users.js",
    SCRIPT "/console-view.js" = "console-view.js",
    SCRIPT "/console-watch.js" = "console-watch.js",
    SCRIPT "/tabs.js" = "tabs.js",
    HTML "/tabs" = "tabs.html",
};

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
        file(HTML, INDEX)
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
