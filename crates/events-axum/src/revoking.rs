//! Ending a user's streams, here and on every replica.
//!
//! Where replicas share a log, a revocation is a record in it: of a user whose name no request can have, because it
//! begins with a control character. All replicas follow that user, and save what they know beside the log, because a
//! revocation holds for longer than an event is kept. So one that starts later knows what was revoked before, and
//! answers nobody until it does.

mod following;
mod kept;

use events_core::UserId;
use events_models::SystemEvent;
use events_sse::ClosingReason;

use crate::{Bound, Problem, RequestContext, StreamState, revocations::Ended};

/// Whose log has the revocations.
pub(crate) const KEEPER: &str = "\u{1}revocations";

// What a record says, before the user's id.
const REVOKE: &str = "revoke:";
const CLOSE: &str = "close:";

impl StreamState {
    /// Ends a user's streams, with `closing: revoked`, and refuses what was issued for that user up to now: on all
    /// replicas that share the log. Returns how many streams were ended here.
    ///
    /// # Errors
    ///
    /// The log does not take it. Here it holds nevertheless; a retry tells the others.
    ///
    /// # Cancel safety
    ///
    /// Here it holds from the call on; the others may be told or not.
    pub async fn revoke(&self, user: &UserId) -> Result<usize, Problem> {
        let at_ms = self.router().clock().now_ms();
        let n_ended = self.revoke_here(user, at_ms);
        self.tell(REVOKE, user, at_ms).await?;
        Ok(n_ended)
    }

    /// Ends a user's streams, with `closing: max_age`, on all replicas that share the log: what opened them stays good,
    /// and clients come back at once. Returns how many were ended here.
    pub(crate) async fn close(&self, user: &UserId) -> Result<usize, Problem> {
        let at_ms = self.router().clock().now_ms();
        let n_ended = self.close_here(user, at_ms);
        self.tell(CLOSE, user, at_ms).await?;
        Ok(n_ended)
    }

    /// Tells whether what the context rests on was revoked.
    #[must_use]
    pub fn is_revoked(&self, context: &RequestContext) -> bool {
        context
            .issued_ms()
            .is_some_and(|issued_ms| self.inner.revocations.covers(context.user_id(), issued_ms))
    }

    fn revoke_here(&self, user: &UserId, at_ms: i64) -> usize {
        if !self.inner.revocations.revoke(user.clone(), at_ms) {
            self.inner.metrics.hit(Bound::Revocations);
        }
        let (router, reason) = (self.router(), ClosingReason::Revoked);
        self.inner.revocations.end(user, Ended::Revoked);
        router.agui().disconnect(user, reason)
            + router.a2a().disconnect(user, reason)
            + router.contexts().disconnect(user, reason)
            + router.analytics().disconnect(user, reason)
    }

    /// Ends what was open at a moment. Who has come back since is not sent away again when the log tells it.
    fn close_here(&self, user: &UserId, at_ms: i64) -> usize {
        let (router, reason) = (self.router(), ClosingReason::MaxAge);
        self.inner.revocations.end(user, Ended::Closed { at_ms });
        router.agui().disconnect_older(user, at_ms, reason)
            + router.a2a().disconnect_older(user, at_ms, reason)
            + router.contexts().disconnect_older(user, at_ms, reason)
            + router.analytics().disconnect_older(user, at_ms, reason)
    }

    /// Appends a record for the other replicas, if there can be any.
    async fn tell(&self, what: &str, user: &UserId, at_ms: i64) -> Result<(), Problem> {
        if self.router().event_log().is_none() {
            return Ok(());
        }
        // The one event that carries a name and a time and leaves nothing behind.
        let event = SystemEvent::ContextDeleted {
            timestamp: at_ms,
            context_id: format!("{what}{user}").into(),
        };
        let keeper = UserId::new(KEEPER);
        let told = self.router().route_system(&keeper, event).await;
        told.map(drop).map_err(|error| Problem::of_log(&error))
    }
}
