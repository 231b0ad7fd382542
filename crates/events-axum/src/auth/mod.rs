//! Who asks: tokens, one-time tickets and cookies, and which pages may ask.
//!
//! [`Auth`] checks what a request carries and puts a [`RequestContext`] into its extensions;
//! [`authenticate`] is the layer. A request that carries nothing goes on without a context, and the handlers that need
//! one answer 401. Another authentication of yours takes this one's place by inserting a context itself.
//!
//! Tokens are JSON Web Tokens (RFC 7519) in the compact form. What may sign them is fixed by the keys: each has one
//! algorithm, and a token's header can choose among the keys, but never how they are used (RFC 8725, 3.1).
//! A key that leaves a set does not end streams whose tokens it signed: they end when their tokens do. What has to end
//! at once is revoked.

mod claims;
mod jwt;
mod key;
mod keys;
mod layer;
mod origin;
mod pass;
mod pem;
mod spent;
mod strict;

#[cfg(test)]
mod tests;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use crate::{Problem, RequestContext, StreamState, revocations::Revocations};

pub use claims::Grant;
pub use key::{KeyError, KeySet, Secret};
pub use keys::KeySource;
pub use layer::authenticate;
pub use pass::TICKET_TIME;

use claims::{Claims, Expected};
use jwt::Jwt;
use keys::Keys;
use pass::Passes;

/// Settings of the authentication.
#[derive(Clone)]
pub struct AuthConfig {
    /// Signs and checks tokens by HS256.
    pub secret: Option<Secret>,
    /// Where the keys of other issuers are read, again and again.
    pub source: Option<Arc<dyn KeySource>>,
    /// What a token's `aud` has to name.
    pub audience: Option<String>,
    /// What a token's `iss` has to be.
    pub issuer: Option<String>,
    /// How far an issuer's clock may be off. It counts for `iat` and `nbf`, which may be so far ahead. An `exp` counts as
    /// it is, so that no stream is opened that would end at once.
    pub leeway: Duration,
    /// The longest life of a token, from `iat` to `exp`; at most 30 days, for which revocations are remembered.
    pub max_ttl: Duration,
    /// How often the keys are read again.
    pub refresh: Duration,
    /// Signs tickets and stream cookies, which have to be good on all replicas. Without it a secret is made of the
    /// one for tokens, and without that a random one, which only this process knows.
    pub ticket_secret: Option<Secret>,
    /// Origins of pages that may ask, such as `https://app.example.org`, beside those of the own host.
    pub origins: Vec<String>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            secret: None,
            source: None,
            audience: None,
            issuer: None,
            leeway: Duration::from_secs(30),
            max_ttl: Duration::from_secs(24 * 3_600),
            refresh: Duration::from_secs(300),
            ticket_secret: None,
            origins: Vec::new(),
        }
    }
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// Checks who asks; a cheap handle.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

struct Inner {
    state: StreamState,
    config: AuthConfig,
    keys: Keys,
    passes: Passes,
}

impl Auth {
    /// Makes the authentication of what `state` serves. No key of a source is known before [`Auth::load`] or
    /// [`Auth::run`].
    #[must_use]
    pub fn new(state: StreamState, mut config: AuthConfig) -> Self {
        config.max_ttl = config.max_ttl.min(Revocations::MAX_TTL);
        let keys = Keys::new(config.secret.as_ref(), config.source.clone());
        let passes = Passes::new(config.ticket_secret.as_ref(), config.secret.as_ref());
        Self {
            inner: Arc::new(Inner {
                state,
                config,
                keys,
                passes,
            }),
        }
    }

    /// Reads the keys for the first time.
    ///
    /// # Errors
    ///
    /// The source has no keys for us. [`Auth::run`] goes on asking.
    ///
    /// # Cancel safety
    ///
    /// Nothing is kept.
    pub async fn load(&self) -> Result<(), KeyError> {
        self.inner.keys.load(self.inner.state.edge()).await
    }

    /// Reads the keys again every [`AuthConfig::refresh`], and when a token names one that is not known, though not more
    /// than once in 30 seconds. It never completes. If the source fails, the keys stay as they are.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the reading. Nothing is lost.
    pub fn run(&self) -> impl Future<Output = ()> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        async move {
            let edge = inner.state.edge().clone();
            inner.keys.run(inner.config.refresh, &edge).await;
        }
    }

    /// Checks a token and tells whose it is.
    ///
    /// # Errors
    ///
    /// 401, without a word about what is wrong with the token.
    ///
    /// # Cancel safety
    ///
    /// Nothing is kept.
    pub async fn check_token(&self, token: &str) -> Result<RequestContext, Problem> {
        let inner = &*self.inner;
        let jwt = Jwt::parse(token).ok_or_else(Problem::bad_token)?;
        if !inner.keys.verify(&jwt).await {
            return Err(Problem::bad_token());
        }
        let claims = Claims::parse(&jwt).ok_or_else(Problem::bad_token)?;
        let grant = claims
            .accept(&self.expected())
            .ok_or_else(Problem::bad_token)?;
        self.context(grant)
    }

    fn now_ms(&self) -> i64 {
        self.inner.state.router().clock().now_ms()
    }

    fn expected(&self) -> Expected<'_> {
        let config = &self.inner.config;
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Expected {
            now_ms: self.now_ms(),
            leeway_ms: ms(config.leeway),
            max_ttl_ms: ms(config.max_ttl),
            audience: config.audience.as_deref(),
            issuer: config.issuer.as_deref(),
        }
    }

    /// Makes a context of what a token grants, unless it was revoked.
    fn context(&self, grant: Grant) -> Result<RequestContext, Problem> {
        let state = &self.inner.state;
        let context = grant.into_context();
        let is_user = state.check_user(context.user_id()).is_ok();
        if !is_user || state.is_revoked(&context) {
            return Err(Problem::bad_token());
        }
        Ok(context)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("config", &self.inner.config)
            .field("keys", &self.inner.keys)
            .finish_non_exhaustive()
    }
}
