//! The layer: finds what a request carries, and puts the context into its extensions.

use axum::{
    extract::{OriginalUri, Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{Auth, origin, pass::Ticket};
use crate::{Problem, RequestContext, Role, head::come_back_later};

/// The token on requests to providers of models, whose `Authorization` is the provider's own.
const TOKEN: HeaderName = HeaderName::from_static("x-events-token");

/// The cookie with a token, or with the pass that a ticket was answered with.
const COOKIE: &str = "__Host-events";

/// Puts the context of whoever asks into the request.
///
/// Use it as `axum::middleware::from_fn_with_state(auth, authenticate)`. It looks for a token in `Authorization`, a
/// one-time ticket in the query of a GET request, and the cookie `__Host-events`. A bad one is refused, also where none
/// is needed, but for what is public: health and the agent card. A request without any goes on, and is refused by
/// whoever needs to know. Pages of [`AuthConfig::origins`](super::AuthConfig::origins) may read the answers (CORS).
pub async fn authenticate(State(auth): State<Auth>, mut request: Request, next: Next) -> Response {
    hide(request.headers_mut());
    let origins = &auth.inner.config.origins;
    let origin = origin::listed(origins, request.headers()).cloned();
    let mut cookie = None;
    let mut response = if origin::is_preflight(request.method(), request.headers()) {
        origin::preflight(origin.is_some(), request.headers())
    } else if is_public(request.uri().path()) {
        next.run(request).await
    } else {
        let is_stream = is_stream(&request);
        match auth.identify(&mut request).await {
            Ok(set_cookie) => {
                cookie = set_cookie;
                next.run(request).await
            }
            Err(problem) => {
                auth.inner.state.count_bound(&problem);
                // The log does not say whether what proves something still does.
                if is_stream && problem.status() >= 500 {
                    come_back_later()
                } else {
                    problem.into_response()
                }
            }
        }
    };
    let headers = response.headers_mut();
    let no_referrer = HeaderValue::from_static("no-referrer");
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert(no_referrer);
    if let Some(cookie) = cookie {
        headers.append(header::SET_COOKIE, cookie);
    }
    if !origins.is_empty() {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        origin::allow(headers, origin);
    }
    response
}

/// Keeps what proves who asks out of whatever shows headers.
fn hide(headers: &mut HeaderMap) {
    for name in [header::AUTHORIZATION, header::COOKIE, TOKEN] {
        if let header::Entry::Occupied(mut values) = headers.entry(name) {
            values
                .iter_mut()
                .for_each(|value| value.set_sensitive(true));
        }
    }
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

/// Whether a browser's EventSource may ask, which never comes back after an error status.
fn is_stream(request: &Request) -> bool {
    let path = request.uri().path();
    let streams = ["/agui", "/a2a", "/contexts", "/analytics", "/llm/streams"];
    request.method() == Method::GET && streams.contains(&path)
}

/// Whether a path is one of a provider behind the gateway of models.
fn is_forwarded(path: &str) -> bool {
    path.strip_prefix("/llm/")
        .is_some_and(|rest| rest != "streams")
}

impl Auth {
    /// Finds who asks. Returns the cookie that the answer sets.
    async fn identify(&self, request: &mut Request) -> Result<Option<HeaderValue>, Problem> {
        if !self.inner.state.is_known_in_time().await {
            return Err(Problem::not_known());
        }
        if is_forwarded(request.uri().path()) {
            // Whatever else proves something there is the provider's.
            let token = only(request.headers(), &TOKEN)?.map(str::to_owned);
            request.headers_mut().remove(TOKEN);
            drop_cookie(request.headers_mut());
            let context = match token {
                Some(token) => Some(self.check_token(&token).await?),
                None => None,
            };
            may_ask(context.as_ref())?;
            request
                .extensions_mut()
                .extend(context.map(extension).unwrap_or_default());
            return Ok(None);
        }
        let ticket = take_ticket(request);
        let (context, cookie) = if let Some(token) = bearer(request.headers())? {
            (Some(self.check_token(token).await?), None)
        } else {
            let asked = (request.method(), request.headers(), request.uri());
            self.vouched(asked, ticket.as_deref()).await?
        };
        request
            .extensions_mut()
            .extend(context.map(extension).unwrap_or_default());
        Ok(cookie)
    }

    /// Finds who asks by what a browser sends without being told: the address, and cookies.
    async fn vouched(
        &self,
        (method, headers, uri): (&Method, &HeaderMap, &Uri),
        ticket: Option<&str>,
    ) -> Result<(Option<RequestContext>, Option<HeaderValue>), Problem> {
        let cookie = cookie_of(headers)?;
        if ticket.is_none() && cookie.is_none() {
            return Ok((None, None));
        }
        origin::check(&self.inner.config.origins, method, headers, uri)?;
        let is_reading = matches!(*method, Method::GET | Method::HEAD);
        let over = match ticket {
            Some(_) if !is_reading => return Err(Problem::bad_token()),
            Some(ticket) => match self.take_ticket(ticket).await? {
                Ticket::Taken(context, cookie) => return Ok((Some(context), Some(cookie))),
                Ticket::Over(user) => Some(user),
            },
            None => None,
        };
        let Some(cookie) = cookie else {
            return Err(Problem::bad_token());
        };
        let context = match self.check_stream_cookie(cookie) {
            // It is for reading only.
            Some(_) if !is_reading => return Err(Problem::bad_token()),
            Some(checked) => checked?,
            None => self.check_token(cookie).await?,
        };
        // The ticket of one user does not open the streams of another who came after.
        if over.is_some_and(|user| user != *context.user_id().as_str()) {
            return Err(Problem::bad_token());
        }
        Ok((Some(context), None))
    }
}

fn extension(context: RequestContext) -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(context);
    extensions
}

/// Takes the ticket out of the address, so that nothing behind this layer sees it.
fn take_ticket(request: &mut Request) -> Option<String> {
    let uri = request.uri().clone();
    let is_ticket = |pair: &&str| pair.starts_with("ticket=");
    let pairs = || uri.query().unwrap_or_default().split('&');
    let ticket = pairs().find(is_ticket)?["ticket=".len()..].to_owned();
    let rest: Vec<&str> = pairs().filter(|pair| !is_ticket(pair)).collect();
    let mark = if rest.is_empty() { "" } else { "?" };
    let path = format!("{}{mark}{}", uri.path(), rest.join("&"));
    let mut parts = uri.into_parts();
    // It was one before.
    parts.path_and_query = path.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        request.extensions_mut().insert(OriginalUri(uri.clone()));
        *request.uri_mut() = uri;
    }
    Some(ticket)
}

/// Lists the cookies of a request as they came.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(header::COOKIE).iter();
    texts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .map(str::trim)
}

fn is_ours(cookie: &str) -> bool {
    cookie.split('=').next() == Some(COOKIE)
}

/// Finds our cookie; two of them are not good.
fn cookie_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut ours = cookies(headers).filter(|cookie| is_ours(cookie));
    let first = ours.next();
    if ours.next().is_some() {
        return Err(Problem::bad_token());
    }
    Ok(first.map(|cookie| cookie.split_once('=').map_or("", |(_, value)| value)))
}

/// Keeps our cookie from a provider.
fn drop_cookie(headers: &mut HeaderMap) {
    if !headers.contains_key(header::COOKIE) {
        return;
    }
    let rest: Vec<&str> = cookies(headers).filter(|cookie| !is_ours(cookie)).collect();
    let rest = HeaderValue::try_from(rest.join("; "));
    headers.remove(header::COOKIE);
    if let Ok(mut rest) = rest
        && !rest.is_empty()
    {
        rest.set_sensitive(true);
        headers.insert(header::COOKIE, rest);
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
