//! Tokens: what is accepted was signed by us, as it is, and says what we demand.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use events_axum::auth::{Auth, AuthConfig, Secret};
use events_axum::{RequestContext, StreamState};
use events_core::ManualClock;
use events_router::{EventRouter, RouterConfig};
use events_tests::fuzz::{Example, Fuzz};
use ring::hmac;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{ensure, must_find};

/// The present, in seconds since the Unix epoch.
const NOW: i64 = 1_800_000_000;
const DAY: f64 = 24.0 * 3_600.0;
const SECRET: &[u8] = b"a secret of these tests, which is long enough for HS256";

/// Checks tokens on a hub whose clock stands.
struct Gate {
    auth: Auth,
    runtime: Runtime,
    /// Tokens that were signed as they are.
    signed: Vec<String>,
}

fn sign(header: &str, claims: &str) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", encode(signature.as_ref()))
}

fn claims() -> Vec<Value> {
    let good = json!({ "sub": "ada", "iat": NOW - 10, "exp": NOW + 600, "aud": ["x", "hub"], "iss": "us" });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let publisher = json!({ "role": "publisher", "users": ["team-*", "bob"] });
    vec![
        with("events", publisher),
        with("events", json!({ "role": "operator" })),
        with("nbf", json!(NOW as f64 - 0.5)),
        with("aud", json!("hub")),
        with("exp", json!(NOW - 1)),
        with("iat", json!(NOW + 1_000)),
        with("exp", json!(NOW + 100 * 24 * 3_600)),
        with("iss", json!("others")),
    ]
}

const HEADERS: [&str; 5] = [
    r#"{"alg":"HS256","typ":"JWT"}"#,
    r#"{"alg":"HS256","kid":"a"}"#,
    r#"{"alg":"none"}"#,
    r#"{"alg":"RS256","jku":"http://x"}"#,
    r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
];

/// Header and claims on two lines, which are signed as they are; or a token, which is not.
fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    for claims in claims() {
        for header in HEADERS {
            examples.push(Example::new("claims", format!("{header}\n{claims}")));
        }
        examples.push(Example::new("token", sign(HEADERS[0], &claims.to_string())));
    }
    examples
}

impl Gate {
    fn new() -> Self {
        let router = EventRouter::new(RouterConfig {
            clock: Arc::new(ManualClock::new(NOW * 1_000)),
            ..RouterConfig::default()
        });
        let config = AuthConfig {
            secret: Some(Secret::new(SECRET).expect("long enough")),
            audience: Some("hub".to_owned()),
            issuer: Some("us".to_owned()),
            ..AuthConfig::default()
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let signed = claims().into_iter();
        let signed = signed.map(|claims| sign(HEADERS[0], &claims.to_string()));
        Self {
            auth: Auth::new(StreamState::new(router), config),
            runtime: runtime.expect("a runtime"),
            signed: signed.collect(),
        }
    }

    fn accepted(&self, token: &str) -> Option<RequestContext> {
        self.runtime.block_on(self.auth.check_token(token)).ok()
    }
}

/// Says what is wrong with a token of ours, by rules that are written down anew.
fn objection(header: &Value, claims: &Value) -> Option<&'static str> {
    let number = |name: &str| claims[name].as_f64();
    let now = NOW as f64;
    let (Some(iat), Some(exp)) = (number("iat"), number("exp")) else {
        return Some("no dates");
    };
    let audience = &claims["aud"];
    let is_for_us = audience == "hub"
        || audience
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == "hub"));
    let role = claims["events"].get("role");
    let wrong = [
        (header["alg"] != "HS256", "not our algorithm"),
        (
            header.get("crit").is_some_and(|it| !it.is_null()),
            "critical extensions",
        ),
        (!claims["sub"].is_string(), "no user"),
        (exp <= now, "expired"),
        (iat > now + 30.0 || iat >= exp, "of the future"),
        (number("nbf").is_some_and(|nbf| nbf > now + 30.0), "not yet"),
        (exp - iat > DAY, "too long"),
        (!is_for_us, "for others"),
        (claims["iss"] != "us", "from others"),
        (
            role.is_some_and(|it| {
                !["subscriber", "publisher", "operator"]
                    .map(Value::from)
                    .contains(it)
            }),
            "a role",
        ),
    ];
    wrong
        .iter()
        .find(|(is_wrong, _)| *is_wrong)
        .map(|(_, why)| *why)
}

/// Header and claims; `None` when they are nested deeper than this reader goes, or have half a surrogate pair or a number
/// beyond what a double holds, which members that nobody asks for may.
fn read(header: &str, claims: &str) -> Result<Option<(Value, Value)>, String> {
    let object = |text: &str| match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(members) => Ok(Some(Value::Object(members))),
        Err(error) if is_aside(&error.to_string()) => Ok(None),
        Err(error) => Err(format!("accepted, and not an object: {error}")),
    };
    Ok(object(header)?.zip(object(claims)?))
}

/// Whether a text is JSON by its grammar (RFC 8259), and only this reader wants none of it.
fn is_aside(why: &str) -> bool {
    let strict = [
        "recursion limit",
        "unexpected end of hex escape",
        "lone leading surrogate",
        "number out of range",
    ];
    strict.iter().any(|words| why.starts_with(words))
}

fn check(
    gate: &Gate,
    input: &[u8],
    accepted: impl Fn(&str) -> Option<RequestContext>,
) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let Some((header, claims)) = text.split_once('\n') else {
        if let Some(context) = accepted(&text) {
            let is_ours = gate.signed.iter().any(|token| *token == text);
            ensure!(
                is_ours,
                "accepted for {:?}, and never signed",
                context.user_id()
            );
        }
        return Ok(());
    };
    let Some(context) = accepted(&sign(header, claims)) else {
        return Ok(());
    };
    let Some((header, claims)) = read(header, claims)? else {
        return Ok(());
    };
    if let Some(why) = objection(&header, &claims) {
        return Err(format!("accepted, and it is {why}: {header} {claims}"));
    }
    ensure!(
        claims["sub"] == context.user_id().as_str(),
        "{claims} for {:?}",
        context.user_id()
    );
    let role = serde_json::to_value(context.role()).map_err(|error| error.to_string())?;
    let named = claims["events"]
        .get("role")
        .cloned()
        .unwrap_or_else(|| "subscriber".into());
    ensure!(role == named, "{role} by {claims}");
    Ok(())
}

#[test]
fn what_is_accepted_was_signed_as_it_is() {
    let gate = Gate::new();
    let n_good = gate
        .signed
        .iter()
        .filter(|token| gate.accepted(token).is_some())
        .count();
    assert_eq!(n_good, 4, "the examples mean something");
    Fuzz::new("tokens", examples()).run(|input| check(&gate, input, |token| gate.accepted(token)));
}

#[test]
fn a_gate_that_does_not_look_at_the_end_of_signatures_is_found() {
    let gate = Gate::new();
    let lax = |token: &str| {
        let n_bytes = gate.signed[0].len();
        let whole = gate.signed.iter().find(|signed| {
            token.len() + 4 >= n_bytes.min(signed.len())
                && signed.get(..signed.len() - 4) == token.get(..signed.len() - 4)
        });
        gate.accepted(whole.map_or(token, String::as_str))
    };
    let fuzz = Fuzz::new("tokens", examples());
    must_find(&fuzz, "the end of a signature does not count", |input| {
        check(&gate, input, lax)
    });
}

#[test]
fn a_gate_that_forgets_the_audience_is_found() {
    let gate = Gate::new();
    let config = AuthConfig {
        secret: Some(Secret::new(SECRET).expect("long enough")),
        issuer: Some("us".to_owned()),
        ..AuthConfig::default()
    };
    let router = EventRouter::new(RouterConfig {
        clock: Arc::new(ManualClock::new(NOW * 1_000)),
        ..RouterConfig::default()
    });
    let other = Gate {
        auth: Auth::new(StreamState::new(router), config),
        ..Gate::new()
    };
    let fuzz = Fuzz::new("tokens", examples());
    must_find(&fuzz, "the audience does not count", |input| {
        check(&gate, input, |token| other.accepted(token))
    });
}
