//! The layer: finds what a request carries, and puts the context into its extensions.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::Auth;
use crate::{Problem, RequestContext, Role};

/// The token on requests to providers of models, whose `Authorization` is the provider's own.
const TOKEN: HeaderName = HeaderName::from_static("x-events-token");

/// Puts the context of whoever asks into the request.
///
/// Use it as `axum::middleware::from_fn_with_state(auth, authenticate)`. A bad token is refused, also where none is
/// needed, but for what is public: health and the agent card. A request without one goes on, and is refused by whoever
/// needs to know.
pub async fn authenticate(State(auth): State<Auth>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let mut response = if is_public(path) {
        next.run(request).await
    } else {
        match auth.identify(&mut request).await {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    let no_referrer = HeaderValue::from_static("no-referrer");
    let headers = response.headers_mut();
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert(no_referrer);
    response
}

/// Whether a path is for everybody, whatever token comes along.
fn is_public(path: &str) -> bool {
    path.starts_with("/health/")
        || path == "/.well-known/agent-card.json"
        || path
            .strip_prefix("/a2a/users/")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(_, rest)| rest == ".well-known/agent-card.json")
}

/// Whether a path is one of a provider behind the gateway of models.
fn is_forwarded(path: &str) -> bool {
    path.strip_prefix("/llm/")
        .is_some_and(|rest| rest != "streams")
}

impl Auth {
    async fn identify(&self, request: &mut Request) -> Result<(), Problem> {
        let is_forwarded = is_forwarded(request.uri().path());
        let token = if is_forwarded {
            let token = only(request.headers(), &TOKEN)?.map(str::to_owned);
            request.headers_mut().remove(TOKEN);
            token
        } else {
            bearer(request.headers())?.map(str::to_owned)
        };
        let context = match token {
            Some(token) => Some(self.check_token(&token).await?),
            None => None,
        };
        if is_forwarded {
            may_ask(context.as_ref())?;
        }
        if let Some(context) = context {
            request.extensions_mut().insert(context);
        }
        Ok(())
    }
}

/// Refuses those who may not ask models, which costs money.
fn may_ask(context: Option<&RequestContext>) -> Result<(), Problem> {
    match context.map(RequestContext::role) {
        Some(Role::Publisher | Role::Operator) => Ok(()),
        Some(Role::Subscriber) => Err(Problem::not_operator(
            "only publishers and operators may ask models",
        )),
        None => {
            let detail = "models are asked with the token in the header X-Events-Token, since Authorization is the \
                          provider's";
            Err(Problem::new(axum::http::StatusCode::UNAUTHORIZED, detail))
        }
    }
}

/// Finds the one value of a header.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::bad_token());
    }
    value.to_str().map(Some).map_err(|_| Problem::bad_token())
}

/// Finds a bearer token (RFC 6750, 2.1). Another scheme is not ours, and so not good.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = only(headers, &header::AUTHORIZATION)? else {
        return Ok(None);
    };
    let (scheme, token) = value.split_once(' ').ok_or_else(Problem::bad_token)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Some(token.trim()))
    } else {
        Err(Problem::bad_token())
    }
}
