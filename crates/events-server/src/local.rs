//! The gate of a hub without tokens: only this machine, and only pages of this machine.
//!
//! A page on a foreign site can make a browser send requests to a port of this machine, and can have its own name
//! resolve to 127.0.0.1. The first are told by their `Origin`, the second by their `Host`.

mod cors;
mod host;
mod user;

#[cfg(test)]
mod tests;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use events_axum::{Problem, RequestContext};
use events_core::UserId;

use host::{is_loopback_authority, is_loopback_origin};
use user::{is_forwarded, needs_user, user_of};

/// Lets a request of this machine through, with its user.
pub(crate) async fn gate(mut request: Request, next: Next) -> Response {
    let origin = match check(request.headers(), request.uri()) {
        Ok(origin) => origin.cloned(),
        Err(problem) => return problem.into_response(),
    };
    let mut response = if cors::is_preflight(request.method(), request.headers()) {
        cors::preflight(request.headers())
    } else {
        match context(&request) {
            Ok(context) => {
                request.extensions_mut().insert(context);
                next.run(request).await
            }
            Err(problem) => problem.into_response(),
        }
    };
    if let Some(origin) = origin {
        cors::allow(response.headers_mut(), origin);
    }
    response
}

/// Checks host and origin, and returns the origin.
fn check<'a>(headers: &'a HeaderMap, uri: &Uri) -> Result<Option<&'a HeaderValue>, Problem> {
    let hosts = headers
        .get_all(header::HOST)
        .iter()
        .map(HeaderValue::as_bytes);
    let named = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let mut n_named = 0;
    for host in hosts.chain(named) {
        n_named += 1;
        if !is_loopback_authority(host) {
            let detail = "the Host is not this machine: without tokens only localhost, 127.0.0.0/8 and [::1] are \
                          answered";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
    }
    if n_named == 0 {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "the request names no Host",
        ));
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let origin = origins.next();
    let is_ours = origin.is_none_or(|origin| is_loopback_origin(origin.as_bytes()));
    if is_ours && origins.next().is_none() {
        Ok(origin)
    } else {
        let detail = "the Origin is not this machine: without tokens only pages from localhost, 127.0.0.0/8 and [::1] \
                      are answered, on any port";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

/// Tells who asks. Everybody may publish for everybody.
fn context(request: &Request) -> Result<RequestContext, Problem> {
    if is_forwarded(request.uri().path()) {
        return Ok(RequestContext::operator(UserId::new("local")));
    }
    let user = match user_of(request.uri(), request.headers())? {
        Some(user) => user,
        // A HEAD or GET of what belongs to no user.
        None if !needs_user(request.uri().path()) => UserId::new("local"),
        None if request.method() == Method::OPTIONS => UserId::new("local"),
        None => {
            let detail = "say who you are: add ?user=NAME to the address, or send the header X-Events-User: NAME";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        }
    };
    Ok(RequestContext::operator(user))
}
