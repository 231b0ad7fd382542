//! Ending a user's streams, here and on every replica.
//!
//! Where replicas share a log, a revocation is a record in it: of a user whose name no request can have, because it
//! begins with a control character. All replicas follow that user, from the first record that is kept, so one that
//! starts later knows what was revoked before.

use std::{future::Future, time::Duration};

use events_broadcast::{Attach, Batch, Next};
use events_core::UserId;
use events_models::SystemEvent;
use events_sse::ClosingReason;
use tokio::time::sleep;

use crate::{Bound, Problem, RequestContext, StreamState};

/// Whose log has the revocations.
pub(crate) const KEEPER: &str = "\u{1}revocations";

/// How long the log is left alone after it could not be read.
const PAUSE: Duration = Duration::from_secs(1);

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

    /// Ends a user's streams, on all replicas that share the log. Returns how many were ended here.
    pub(crate) async fn close(&self, user: &UserId) -> Result<usize, Problem> {
        let n_ended = self.close_here(user);
        let at_ms = self.router().clock().now_ms();
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
        self.close_here(user)
    }

    fn close_here(&self, user: &UserId) -> usize {
        let (router, reason) = (self.router(), ClosingReason::Revoked);
        self.inner.revocations.close(user);
        router.agui().disconnect(user, reason)
            + router.a2a().disconnect(user, reason)
            + router.contexts().disconnect(user, reason)
            + router.analytics().disconnect(user, reason)
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

    /// Does what other replicas revoke and close, as their common log tells it. It never completes; a server runs it
    /// where its router is on a log that others share.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the following. Nothing is lost: whoever follows begins with the first record that is kept.
    pub fn follow_revocations(&self) -> impl Future<Output = ()> + Send + use<> {
        let state = self.clone();
        async move {
            let mut cursor = None;
            loop {
                state.follow_once(&mut cursor).await;
                sleep(PAUSE).await;
            }
        }
    }

    /// Follows until the log cannot be read or the place is taken away.
    async fn follow_once(&self, cursor: &mut Option<String>) {
        let (router, keeper) = (self.router(), UserId::new(KEEPER));
        let from = cursor.get_or_insert_with(|| format!("{}.0.0", router.store().epoch()));
        let Ok(_open) = router.open_user(&keeper, Some(from)).await else {
            return;
        };
        let wish = Attach::from_cursor(Some(from));
        let Ok(mut subscription) = router.contexts().connect(&keeper, wish) else {
            return;
        };
        let mut batch = Batch::default();
        loop {
            match subscription.next(&mut batch).await {
                Next::Events => {
                    for (id, frame) in batch.events.drain(..) {
                        self.follow(&frame.data);
                        *cursor = id.map(|id| id.to_string()).or(cursor.take());
                    }
                }
                Next::Missed(_) => {}
                Next::Closed(_) => return,
            }
        }
    }

    fn follow(&self, json: &[u8]) {
        let Ok(SystemEvent::ContextDeleted {
            timestamp: at_ms,
            context_id,
        }) = SystemEvent::from_json(json)
        else {
            return;
        };
        if let Some(user) = context_id.as_str().strip_prefix(REVOKE) {
            let user = UserId::new(user);
            // What this replica was told itself it has done, and newer streams of the user stay.
            if !self.inner.revocations.covers(&user, at_ms) {
                self.revoke_here(&user, at_ms);
            }
        } else if let Some(user) = context_id.as_str().strip_prefix(CLOSE) {
            let age_ms = self.router().clock().now_ms().saturating_sub(at_ms);
            // Who starts later has no streams of then.
            if age_ms < 60_000 {
                self.close_here(&UserId::new(user));
            }
        }
    }
}
