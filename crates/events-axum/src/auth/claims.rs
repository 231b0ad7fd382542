//! What a token says, and what of it we accept.

use events_core::UserId;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{jwt::Jwt, key::Secret, strict};
use crate::{RequestContext, Role, UserPattern};

/// Patterns of users in one token.
const MAX_PATTERNS: usize = 64;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 256;

/// The claims of a token (RFC 7519, 4.1), and ours.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
    aud: Option<Audience>,
    iss: Option<String>,
    #[serde(default, deserialize_with = "strict::object")]
    events: Events,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// `{"role":"publisher","users":["team-*"]}`
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Events {
    #[serde(default = "least", deserialize_with = "strict::word")]
    role: Role,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    users: Vec<String>,
}

const fn least() -> Role {
    Role::Subscriber
}

impl Default for Events {
    fn default() -> Self {
        Self {
            role: least(),
            users: Vec::new(),
        }
    }
}

/// What a token has to be like.
pub(super) struct Expected<'a> {
    pub(super) now_ms: i64,
    pub(super) leeway_ms: i64,
    pub(super) max_ttl_ms: i64,
    pub(super) audience: Option<&'a str>,
    pub(super) issuer: Option<&'a str>,
}

/// What a token grants: to whom, and from when until when, in milliseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose streams may be read.
    pub user: String,
    /// What else may be done.
    pub role: Role,
    /// For whom a publisher may publish beside themselves.
    pub users: Vec<String>,
    /// When it was given.
    pub issued_ms: i64,
    /// When it ends.
    pub expires_ms: i64,
}

impl Claims {
    pub(super) fn parse(jwt: &Jwt<'_>) -> Option<Self> {
        strict::read(&jwt.claims)
    }

    /// Tells what is granted, if all claims are as they have to be.
    pub(super) fn accept(self, expected: &Expected<'_>) -> Option<Grant> {
        let (issued_ms, expires_ms) = (ms(self.iat)?, ms(self.exp)?);
        let latest_ms = expected.now_ms.saturating_add(expected.leeway_ms);
        let has_begun = match self.nbf {
            Some(nbf) => ms(nbf)? <= latest_ms,
            None => true,
        };
        let is_now = has_begun
            && issued_ms <= latest_ms
            && issued_ms < expires_ms
            && expected.now_ms < expires_ms
            && expires_ms - issued_ms <= expected.max_ttl_ms;
        let is_for_us = expected.audience.is_none_or(|own| match &self.aud {
            Some(Audience::One(named)) => named == own,
            Some(Audience::Many(named)) => named.iter().any(|named| named == own),
            None => false,
        });
        let is_from = expected
            .issuer
            .is_none_or(|issuer| self.iss.as_deref() == Some(issuer));
        let users = self.events.users;
        let is_bounded =
            users.len() <= MAX_PATTERNS && users.iter().all(|user| user.len() <= MAX_PATTERN);
        (is_now && is_for_us && is_from && is_bounded).then_some(Grant {
            user: self.sub,
            role: self.events.role,
            users,
            issued_ms,
            expires_ms,
        })
    }
}

impl Grant {
    /// Signs a token that grants this, for the audience and from the issuer that are expected.
    #[must_use]
    pub fn sign(&self, secret: &Secret, audience: Option<&str>, issuer: Option<&str>) -> String {
        let mut claims = json!({
            "sub": self.user,
            "iat": self.issued_ms.div_euclid(1_000),
            "exp": self.expires_ms.div_euclid(1_000),
            "events": Events { role: self.role, users: self.users.clone() },
        });
        if let Some(audience) = audience {
            claims["aud"] = audience.into();
        }
        if let Some(issuer) = issuer {
            claims["iss"] = issuer.into();
        }
        secret.sign(claims.to_string().as_bytes())
    }

    pub(super) fn into_context(self) -> RequestContext {
        let user = UserId::from(self.user);
        let context = match self.role {
            Role::Subscriber => RequestContext::subscriber(user),
            Role::Publisher => {
                let patterns = self.users.into_iter().map(UserPattern::new);
                RequestContext::publisher(user, patterns.collect::<Vec<_>>())
            }
            Role::Operator => RequestContext::operator(user),
        };
        context.during(self.issued_ms, self.expires_ms)
    }
}

/// Reads a date in seconds since the Unix epoch (RFC 7519, 2), which may have a fraction, as milliseconds.
fn ms(date: f64) -> Option<i64> {
    // Year 9999; beyond, and below zero, nobody means it.
    const LATEST: f64 = 253_402_300_800.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    (0.0..=LATEST)
        .contains(&date)
        .then_some((date * 1_000.0) as i64)
}
