//! Who asks, and which contexts they have.

use async_trait::async_trait;
use axum::{extract::FromRequestParts, http::request::Parts};
use events_core::{EventResult, UserId};
use events_models::ContextSummary;
use events_router::EventRouter;

use crate::Problem;

/// Who a request is from, and what they may do. An authentication layer puts it into the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    user: UserId,
    is_operator: bool,
}

impl RequestContext {
    /// A user who may read their own streams and publish for themselves.
    #[must_use]
    pub const fn new(user: UserId) -> Self {
        Self {
            user,
            is_operator: false,
        }
    }

    /// A user who may, beside that, publish for everybody and see all connections.
    #[must_use]
    pub const fn operator(user: UserId) -> Self {
        Self {
            user,
            is_operator: true,
        }
    }

    /// Returns the user.
    #[must_use]
    pub const fn user_id(&self) -> &UserId {
        &self.user
    }

    /// Tells whether the user may see and end everybody's connections.
    #[must_use]
    pub const fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// Tells whether the user may publish for `user`.
    #[must_use]
    pub fn may_publish_for(&self, user: &UserId) -> bool {
        self.is_operator || self.user == *user
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(Problem::unauthenticated)
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
