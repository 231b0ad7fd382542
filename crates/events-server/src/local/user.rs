//! Who asks, where nobody has to prove it.

use axum::http::{HeaderMap, StatusCode, Uri};
use events_axum::Problem;
use events_core::UserId;
use percent_encoding::percent_decode_str;

use crate::console::is_console;

/// The longest name of a user, in bytes.
const MAX_NAME: usize = 256;

/// The header that names the user. A browser's EventSource cannot send one, so the query comes first.
const HEADER: &str = "x-events-user";

/// What the addresses on an agent card begin with that name a user: official A2A clients keep no query.
const IN_PATH: &str = "/a2a/users/";

/// Finds the user in the query, else in the header, else in the path. An empty name is none.
pub(super) fn user_of(uri: &Uri, headers: &HeaderMap) -> Result<Option<UserId>, Problem> {
    let in_query = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == "user")
        .map(|(_, value)| {
            let spaced = value.replace('+', " ");
            let decoded = percent_decode_str(&spaced).decode_utf8();
            decoded.map(|name| name.into_owned())
        });
    let in_header = || {
        let value = headers.get(HEADER)?;
        Some(std::str::from_utf8(value.as_bytes()).map(str::to_owned))
    };
    let in_path = || {
        let name = uri.path().strip_prefix(IN_PATH)?.split('/').next()?;
        let decoded = percent_decode_str(name).decode_utf8();
        Some(decoded.map(|name| name.into_owned()))
    };
    let Some(name) = in_query.or_else(in_header).or_else(in_path) else {
        return Ok(None);
    };
    let name = name.map_err(|_not_utf8| bad_name("is not UTF-8"))?;
    if name.len() > MAX_NAME {
        return Err(bad_name("is longer than 256 bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err(bad_name("has a control character"));
    }
    Ok((!name.is_empty()).then(|| UserId::from(name)))
}

fn bad_name(why: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        format!("the name of the user {why}"),
    )
}

/// Whether a path is one of a provider behind the LLM gateway: its query belongs to the provider, and its header to the
/// gateway.
pub(super) fn is_forwarded(path: &str) -> bool {
    path.strip_prefix("/llm/")
        .is_some_and(|rest| rest != "streams")
}

/// Whether a path shows something of a user that the path itself does not name.
pub(super) fn needs_user(path: &str) -> bool {
    let is_below = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !(is_console(path)
        || [
            "/health",
            "/metrics",
            "/connections",
            "/publish",
            "/llm",
            "/.well-known",
        ]
        .into_iter()
        .any(is_below))
}
