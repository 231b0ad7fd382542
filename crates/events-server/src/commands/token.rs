//! `events token`: a token for the configured secret.

use std::time::Duration;

use events_axum::{Role, auth::Grant};
use events_core::{Clock as _, SystemClock};

use crate::{Failure, Settings, TokenArgs, TokenRole};

/// The shortest life of a token: its times are in whole seconds.
const MIN_TTL: Duration = Duration::from_secs(1);

/// Signs a token.
pub(crate) fn token(settings: &Settings, args: &TokenArgs) -> Result<String, Failure> {
    let auth = &settings.auth;
    let secret = auth.secret()?.ok_or(Failure::NoSecret)?;
    if !(MIN_TTL..=auth.max_ttl).contains(&args.ttl) {
        let most = humantime::format_duration(auth.max_ttl);
        return Err(Failure::Usage(format!(
            "--ttl: the hub takes tokens that live from 1s to {most} (auth.max_ttl)"
        )));
    }
    let most = settings.streams.user_id_bytes;
    if args.user.len() > most || args.user.chars().any(char::is_control) {
        return Err(Failure::Usage(format!(
            "--user: a user id has at most {most} bytes and no control characters"
        )));
    }
    let role = match args.role {
        TokenRole::Subscriber => Role::Subscriber,
        TokenRole::Publisher => Role::Publisher,
        TokenRole::Operator => Role::Operator,
    };
    if role != Role::Publisher && !args.publishes_for.is_empty() {
        return Err(Failure::Usage(
            "--for is for publishers: add --role publisher".to_owned(),
        ));
    }
    let now_ms = SystemClock.now_ms();
    let ttl_ms = i64::try_from(args.ttl.as_millis()).unwrap_or(i64::MAX);
    let grant = Grant {
        user: args.user.clone(),
        role,
        users: args.publishes_for.clone(),
        issued_ms: now_ms,
        expires_ms: now_ms.saturating_add(ttl_ms),
    };
    Ok(grant.sign(&secret, auth.audience.as_deref(), auth.issuer.as_deref()))
}
