//! What the hub signs itself: a ticket for one use, and the cookie that its use is answered with.
//!
//! A browser's EventSource can send no header. So a page fetches a ticket with its token, opens the stream with it,
//! and is given a cookie, which its own reconnects then carry. Both are for reading only.
//!
//! A ticket is taken once, within its 30 seconds: once by all hubs that share a log, else once by each process; `spent`
//! has that. Until then it is a secret, and nothing here shows it.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::{
    Auth, Grant,
    jwt::{Jwt, encode},
    key::{Key, Secret},
    spent::Spent,
};
use crate::{Problem, RequestContext, Role};

/// How long a ticket is good for.
pub const TICKET_TIME: Duration = Duration::from_secs(30);

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Use {
    Ticket,
    Stream,
}

/// What a pass says. It has other members than a token, so that neither is ever taken for the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pass {
    #[serde(rename = "use")]
    pub(super) purpose: Use,
    id: String,
    pub(super) user: String,
    role: Role,
    users: Vec<String>,
    /// When the token behind it was issued, so that a revocation counts for both.
    issued_ms: i64,
    /// When that token expires.
    expires_ms: i64,
    /// Until when the pass itself is good.
    until_ms: i64,
}

/// Makes and checks passes.
pub(super) struct Passes {
    secret: Secret,
    key: Key,
    pub(super) spent: Spent,
}

impl Passes {
    /// Signs with this secret, else with one that is made of that of tokens, else with a random one, which no other
    /// replica knows.
    pub(super) fn new(own: Option<&Secret>, of_tokens: Option<&Secret>) -> Self {
        let secret = own
            .cloned()
            .or_else(|| Some(of_tokens?.derive(b"events tickets and stream cookies")))
            .unwrap_or_else(Secret::random);
        Self {
            key: Key::of_secret(&secret),
            secret,
            spent: Spent::default(),
        }
    }

    fn sign(&self, pass: &Pass) -> String {
        // Its members have a JSON form.
        let json = serde_json::to_vec(pass).unwrap_or_default();
        self.secret.sign(&json)
    }

    /// Reads a pass that we have signed.
    pub(super) fn read(&self, text: &str) -> Option<Pass> {
        let jwt = Jwt::parse(text)?;
        let is_ours = self.key.is_meant(&jwt) && self.key.verify(&jwt);
        is_ours.then(|| serde_json::from_slice(&jwt.claims).ok())?
    }
}

/// A ticket that was looked at.
pub(super) enum Ticket {
    /// It was good and is used now; the context, and the cookie that goes on from here.
    Taken(RequestContext, HeaderValue),
    /// It is ours, and was used or has expired: a cookie of the same user may stand in.
    Over(String),
}

impl Auth {
    /// The endpoint `POST /ticket`, for whoever has a token:
    /// `{"ticket":"…","expires_in":30}`, to be used once as `?ticket=` of a GET request.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/ticket", post(ticket))
            .with_state(self.clone())
    }

    fn pass(&self, context: &RequestContext, purpose: Use, until_ms: i64) -> String {
        let users = context.publishes_for().iter();
        self.inner.passes.sign(&Pass {
            purpose,
            id: random_id(),
            user: context.user_id().to_string(),
            role: context.role(),
            users: users.map(|pattern| pattern.as_str().to_owned()).collect(),
            issued_ms: context.issued_ms().unwrap_or_default(),
            expires_ms: context.expires_ms().unwrap_or(until_ms),
            until_ms,
        })
    }

    /// Looks at a ticket, and uses it if it is good.
    pub(super) async fn take_ticket(&self, text: &str) -> Result<Ticket, Problem> {
        let pass = self.inner.passes.read(text);
        let pass = pass
            .filter(|pass| pass.purpose == Use::Ticket)
            .ok_or_else(Problem::bad_token)?;
        let now_ms = self.now_ms();
        if pass.until_ms <= now_ms || !self.spend(&pass.id, pass.until_ms, now_ms).await? {
            return Ok(Ticket::Over(pass.user));
        }
        let context = self.context(pass.into_grant())?;
        let expires_ms = context.expires_ms().unwrap_or(now_ms);
        let cookie = self.pass(&context, Use::Stream, expires_ms);
        // The end of its life in whole seconds, not beyond that of the token.
        let max_age = (expires_ms - now_ms).max(0) / 1_000;
        let cookie = format!(
            "__Host-events={cookie}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Strict"
        );
        let mut cookie = HeaderValue::try_from(cookie).map_err(|_| Problem::bad_token())?;
        cookie.set_sensitive(true);
        Ok(Ticket::Taken(context, cookie))
    }

    /// Checks a stream cookie; `None` if it is none of ours.
    pub(super) fn check_stream_cookie(
        &self,
        text: &str,
    ) -> Option<Result<RequestContext, Problem>> {
        let pass = self.inner.passes.read(text)?;
        let is_good = pass.purpose == Use::Stream && self.now_ms() < pass.until_ms;
        Some(if is_good {
            self.context(pass.into_grant())
        } else {
            Err(Problem::bad_token())
        })
    }
}

impl Pass {
    fn into_grant(self) -> Grant {
        Grant {
            user: self.user,
            role: self.role,
            users: self.users,
            issued_ms: self.issued_ms,
            expires_ms: self.expires_ms,
        }
    }
}

async fn ticket(State(auth): State<Auth>, context: RequestContext) -> Response {
    #[derive(Serialize)]
    struct Answer {
        ticket: String,
        /// In seconds.
        expires_in: i64,
    }
    let ticket_ms = i64::try_from(TICKET_TIME.as_millis()).unwrap_or(i64::MAX);
    let now_ms = auth.now_ms();
    let until_ms = (now_ms + ticket_ms).min(context.expires_ms().unwrap_or(i64::MAX));
    let answer = Answer {
        ticket: auth.pass(&context, Use::Ticket, until_ms),
        expires_in: (until_ms - now_ms) / 1_000,
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// Makes 128 random bits.
fn random_id() -> String {
    let mut bytes = [0; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // Ids need not be secret, only different.
        bytes = fastrand::u128(..).to_be_bytes();
    }
    encode(&bytes)
}
