//! Who asks, and which contexts they have.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{extract::FromRequestParts, http::request::Parts};
use events_core::{EventResult, UserId};
use events_models::ContextSummary;
use events_router::EventRouter;
use serde::{Deserialize, Serialize};

use crate::{ClientAddress, Problem};

/// What somebody may do beside reading their own streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nothing.
    Subscriber,
    /// Publish for themselves and for the users that they were given, and ask models.
    Publisher,
    /// Publish for everybody, see and end connections, erase users.
    Operator,
}

/// Which users a publisher may publish for: all (`*`), those whose ids begin alike (`team-*`), or one (`ada`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPattern(Box<str>);

impl UserPattern {
    /// Makes a pattern. A star counts only at the end; anywhere else it is a letter.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a user is meant.
    #[must_use]
    pub fn is_for(&self, user: &UserId) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => user.as_str().starts_with(beginning),
            None => *self.0 == *user.as_str(),
        }
    }
}

/// Who a request is from, what they may do, and until when. An authentication layer puts it into the request's
/// extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    user: UserId,
    role: Role,
    publishes_for: Option<Arc<[UserPattern]>>,
    issued_ms: Option<i64>,
    expires_ms: Option<i64>,
    address: Option<ClientAddress>,
}

impl RequestContext {
    /// A user who may read their own streams and publish for themselves.
    #[must_use]
    pub const fn new(user: UserId) -> Self {
        Self::with_role(user, Role::Publisher)
    }

    /// A user who may read their own streams and do nothing else.
    #[must_use]
    pub const fn subscriber(user: UserId) -> Self {
        Self::with_role(user, Role::Subscriber)
    }

    /// A user who may publish for the users of the patterns, too.
    #[must_use]
    pub fn publisher(user: UserId, publishes_for: impl Into<Arc<[UserPattern]>>) -> Self {
        Self {
            publishes_for: Some(publishes_for.into()),
            ..Self::new(user)
        }
    }

    /// A user who may, beside that, publish for everybody and see all connections.
    #[must_use]
    pub const fn operator(user: UserId) -> Self {
        Self::with_role(user, Role::Operator)
    }

    const fn with_role(user: UserId, role: Role) -> Self {
        Self {
            user,
            role,
            publishes_for: None,
            issued_ms: None,
            expires_ms: None,
            address: None,
        }
    }

    /// Says for how long this holds, in milliseconds since the Unix epoch: since `issued_ms`, so that a later revocation
    /// of the user ends it, until `expires_ms`, at which its streams end.
    #[must_use]
    pub const fn during(mut self, issued_ms: i64, expires_ms: i64) -> Self {
        self.issued_ms = Some(issued_ms);
        self.expires_ms = Some(expires_ms);
        self
    }

    /// Returns the user.
    #[must_use]
    pub const fn user_id(&self) -> &UserId {
        &self.user
    }

    /// Returns the role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Returns the patterns of users that a publisher may publish for.
    #[must_use]
    pub fn publishes_for(&self) -> &[UserPattern] {
        self.publishes_for.as_deref().unwrap_or_default()
    }

    /// Tells since when this holds, in milliseconds since the Unix epoch; `None` where nothing says so.
    #[must_use]
    pub const fn issued_ms(&self) -> Option<i64> {
        self.issued_ms
    }

    /// Tells until when this holds, in milliseconds since the Unix epoch; `None` if for ever.
    #[must_use]
    pub const fn expires_ms(&self) -> Option<i64> {
        self.expires_ms
    }

    /// Returns where the request comes from, if the server in front has said so; see [`ClientAddress`].
    pub(crate) const fn address(&self) -> Option<ClientAddress> {
        self.address
    }

    /// Tells whether the user may see and end everybody's connections.
    #[must_use]
    pub const fn is_operator(&self) -> bool {
        matches!(self.role, Role::Operator)
    }

    /// Tells whether the user may publish for `user`.
    #[must_use]
    pub fn may_publish_for(&self, user: &UserId) -> bool {
        match self.role {
            Role::Subscriber => false,
            Role::Publisher => {
                self.user == *user
                    || self
                        .publishes_for()
                        .iter()
                        .any(|pattern| pattern.is_for(user))
            }
            Role::Operator => true,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let context = parts.extensions.get::<Self>().cloned();
        let context = context.ok_or_else(Problem::unauthenticated)?;
        Ok(Self {
            address: parts.extensions.get().copied(),
            ..context
        })
    }
}

/// Tells which contexts a user has, for the snapshot at the beginning of the context stream.
#[async_trait]
pub trait ContextProvider: Send + Sync {
    /// Lists the user's contexts.
    ///
    /// It is asked after the connection has its place in the log, so nothing falls between snapshot and stream;
    /// an event may be in both.
    ///
    /// # Errors
    ///
    /// The list is not to be had. The stream then goes on without a snapshot and says so in a comment.
    ///
    /// # Cancel safety
    ///
    /// It is dropped when the client leaves or five seconds have passed.
    async fn contexts(&self, user: &UserId) -> EventResult<Vec<ContextSummary>>;
}

/// The embedded provider: the contexts that the router has seen in runs and system events.
#[derive(Clone, Debug)]
pub struct RouterContexts(EventRouter);

impl RouterContexts {
    /// Makes a provider that asks `router`.
    #[must_use]
    pub const fn new(router: EventRouter) -> Self {
        Self(router)
    }
}

#[async_trait]
impl ContextProvider for RouterContexts {
    async fn contexts(&self, user: &UserId) -> EventResult<Vec<ContextSummary>> {
        let _open = self.0.open_user(user, None).await?;
        Ok(self.0.contexts_of(user))
    }
}
