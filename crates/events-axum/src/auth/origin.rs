//! Which pages may ask: the list of origins, and what browsers say of a request that a cookie vouches for.

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};

use crate::Problem;

/// For how long a browser may remember what it was allowed, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Finds the origin of the page that asks, if it is on the list.
pub(super) fn listed<'a>(origins: &[String], headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let origin = only_origin(headers)?;
    let is_listed = origins.iter().any(|listed| listed.as_bytes() == origin);
    is_listed.then_some(origin)
}

/// Whether a browser asks before it sends the request itself.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers such a question; what is allowed at all is the business of the routes.
pub(super) fn preflight(is_listed: bool, request: &HeaderMap) -> Response {
    if !is_listed {
        return foreign().into_response();
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    for (asked, allowed) in [
        (
            header::ACCESS_CONTROL_REQUEST_METHOD,
            header::ACCESS_CONTROL_ALLOW_METHODS,
        ),
        (
            header::ACCESS_CONTROL_REQUEST_HEADERS,
            header::ACCESS_CONTROL_ALLOW_HEADERS,
        ),
    ] {
        if let Some(value) = request.get(asked) {
            headers.insert(allowed, value.clone());
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    response
}

/// Lets a listed page read the answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let yes = HeaderValue::from_static("true");
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    let exposed = HeaderValue::from_static("retry-after, www-authenticate");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}

/// Checks that a request for which the browser vouches, by a cookie that it sends by itself, is meant by our own page or
/// a listed one.
///
/// Browsers send `Origin` with every request of a page to another origin whose answer the page could read, and with
/// everything but GET and HEAD. What sends neither that nor `Sec-Fetch-Site` may read, since no page of others can see
/// the answer, and may do nothing else.
pub(super) fn check(
    origins: &[String],
    method: &Method,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(), Problem> {
    let is_ours = if headers.contains_key(header::ORIGIN) {
        listed(origins, headers).is_some() || is_own(headers, uri)
    } else {
        let is_reading = matches!(*method, Method::GET | Method::HEAD);
        match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            Some(b"same-origin") => true,
            Some(b"none") | None => is_reading,
            Some(_) => false,
        }
    };
    is_ours.then_some(()).ok_or_else(foreign)
}

fn foreign() -> Problem {
    let detail = "pages of this origin may not ask here: it is not in cors.origins";
    Problem::new(StatusCode::FORBIDDEN, detail)
}

fn only_origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next()?;
    origins.next().is_none().then_some(origin)
}

/// Whether the page is of the host that is asked.
fn is_own(headers: &HeaderMap, uri: &Uri) -> bool {
    let host = match uri.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => headers.get(header::HOST).map(HeaderValue::as_bytes),
    };
    let origin = only_origin(headers).map(HeaderValue::as_bytes);
    let page = origin.and_then(|origin| {
        origin
            .strip_prefix(b"https://")
            .or_else(|| origin.strip_prefix(b"http://"))
    });
    page.is_some() && page == host
}
