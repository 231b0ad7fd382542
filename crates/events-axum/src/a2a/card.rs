//! The agent card: how official clients find the endpoints.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::{
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::user_in;
use crate::{Problem, StreamState};

/// Where clients look for a card.
pub(super) const PATH: &str = "/.well-known/agent-card.json";

/// How long a client may keep the card, in seconds.
const MAX_AGE: u32 = 60;

/// What of a name is encoded in a path (RFC 3986, unreserved).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What the agent card says.
#[derive(Clone, Debug)]
pub struct CardConfig {
    /// The address under which clients reach this server, such as `https://events.example.org`, with the path under
    /// which the router is mounted. Without it the card names the `Host` that it was asked for by, with `https` if a
    /// proxy says `X-Forwarded-Proto: https`.
    pub public_url: Option<String>,
    /// The agent's name.
    pub name: String,
    /// What the agent does, in words.
    pub description: String,
    /// The agent's version, not that of the protocol.
    pub version: String,
    /// Whether clients are told to send a bearer token.
    pub needs_bearer: bool,
    /// Whether `?user=NAME` asks for a card whose addresses name the user, where nobody has to prove who they are:
    /// official clients keep no query.
    pub takes_user: bool,
}

impl Default for CardConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            name: "events".to_owned(),
            description: "Tasks of agents, to be followed while they are done".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            needs_bearer: false,
            takes_user: false,
        }
    }
}

/// Answers with the card, which is public.
pub(super) async fn card(
    State(state): State<StreamState>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let config = &state.inner.config.a2a.card;
    let base = base_of(config, &uri, &headers)?;
    let card = card_at(config, &base).to_string();
    let mut hasher = DefaultHasher::new();
    card.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let is_known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == tag);
    // What depends on the request's own words is not for caches that others share.
    let who = if config.public_url.is_some() {
        "public"
    } else {
        "private"
    };
    let headers = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, format!("{who}, max-age={MAX_AGE}")),
        (header::VARY, "Host, X-Forwarded-Proto".to_owned()),
    ];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((headers, json, card).into_response())
}

/// Tells the address that `/rpc` and `/rest` follow.
fn base_of(config: &CardConfig, uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
    let path = uri.path().strip_suffix(PATH).unwrap_or_default();
    let user = user_in(uri.path()).map(str::to_owned);
    let mounted = path
        .split_once("/a2a/users/")
        .map_or(path, |(mounted, _)| mounted);
    let user = user.or_else(|| user_in_query(uri).filter(|_| config.takes_user));
    let origin = match &config.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("{}{mounted}", origin_of(uri, headers)?),
    };
    Ok(match user {
        Some(user) => format!("{origin}/a2a/users/{user}"),
        None => format!("{origin}/a2a"),
    })
}

fn user_in_query(uri: &Uri) -> Option<String> {
    let query = uri.query()?;
    let (_, user) = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == "user")?;
    let spaced = user.replace('+', " ");
    let user = percent_encoding::percent_decode_str(&spaced)
        .decode_utf8()
        .ok()?;
    (!user.is_empty()).then(|| utf8_percent_encode(&user, ENCODED).to_string())
}

fn origin_of(uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
    let named = uri.authority().map(|authority| authority.as_str());
    let in_header = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let is_host = |host: &&str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        !host.is_empty() && host.len() <= 256 && host.bytes().all(is_letter)
    };
    let host = in_header.or(named).filter(is_host).ok_or_else(|| {
        Problem::bad_request("the request names no Host that could stand in the card")
    })?;
    let https = HeaderValue::from_static("https");
    let is_https =
        headers.get("x-forwarded-proto") == Some(&https) || uri.scheme_str() == Some("https");
    Ok(format!(
        "{}://{host}",
        if is_https { "https" } else { "http" }
    ))
}

/// Makes a card that clients of 1.0 and of 0.3 read; both take the first interface of theirs.
fn card_at(config: &CardConfig, base: &str) -> Value {
    let (rpc, rest) = (format!("{base}/rpc"), format!("{base}/rest"));
    let mut card = json!({
        "name": config.name,
        "description": config.description,
        "version": config.version,
        "supportedInterfaces": [
            { "url": rpc, "protocolBinding": "JSONRPC", "protocolVersion": "1.0" },
            { "url": rest, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0" },
            { "url": rpc, "protocolBinding": "JSONRPC", "protocolVersion": "0.3" },
        ],
        "protocolVersion": "0.3",
        "url": rpc,
        "preferredTransport": "JSONRPC",
        "additionalInterfaces": [{ "url": rpc, "transport": "JSONRPC" }],
        "capabilities": { "streaming": true, "pushNotifications": false },
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain", "application/json"],
        "skills": [{
            "id": "follow",
            "name": "Follow",
            "description": "Follow a task from its present state to its end",
            "tags": ["stream", "task"],
        }],
    });
    if config.needs_bearer {
        // The first two are read by 1.0, the third by 0.3, which has the scheme in another shape.
        card["securitySchemes"] = json!({ "bearer": {
            "httpAuthSecurityScheme": { "scheme": "Bearer" },
            "type": "http", "scheme": "bearer",
        } });
        card["securityRequirements"] = json!([{ "schemes": { "bearer": { "list": [] } } }]);
        card["security"] = json!([{ "bearer": [] }]);
    }
    card
}
