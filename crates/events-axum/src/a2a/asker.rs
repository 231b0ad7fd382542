//! Who asks, and in which version.

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, HeaderValue, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use events_models::a2a::A2AVersion;

use super::{Fault, decoded, user_in};
use crate::{Problem, RequestContext};

/// The header, or member of the query, that says which version a client speaks.
const VERSION: &str = "A2A-Version";

/// Who asks; refused with 401 and how to say it.
pub(super) struct Asker(pub(super) RequestContext);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let context = RequestContext::from_request_parts(parts, state)
            .await
            .map_err(|problem| {
                let mut response = problem.into_response();
                let how = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
                response
            })?;
        let named = user_in(parts.uri.path()).map(decoded).transpose();
        let named = named.map_err(|fault| fault.into_rest())?;
        match named {
            Some(named) if *named != *context.user_id().as_str() => {
                let detail = "the address names another user than the one who asks";
                Err(Problem::new(axum::http::StatusCode::FORBIDDEN, detail).into_response())
            }
            _ => Ok(Self(context)),
        }
    }
}

/// Reads the version that a client speaks; absent or empty means 0.3 (1.0.1, 3.6.2).
pub(super) fn version_of(headers: &HeaderMap, uri: &Uri) -> Result<A2AVersion, Fault> {
    let in_query = || {
        let Query(fields) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
        let found = fields.into_iter().find(|(name, _)| name == VERSION);
        found.map(|(_, value)| value)
    };
    let in_header = headers
        .get(VERSION)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let named = in_header.or_else(in_query).unwrap_or_default();
    let mut numbers = named.trim().split('.');
    // The patch number never counts.
    match (numbers.next(), numbers.next()) {
        (Some(""), None) | (Some("0"), Some("3")) => Ok(A2AVersion::V0_3),
        (Some("1"), Some("0")) => Ok(A2AVersion::V1_0),
        _ => Err(Fault::version(named.trim())),
    }
}
