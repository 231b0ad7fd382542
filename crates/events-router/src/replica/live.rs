//! Live events, which no log keeps: told here, and passed to the other replicas.

use std::{sync::Arc, time::Duration};

use events_core::{EventResult, Record, UserId};
use events_models::AnalyticsEvent;
use events_sse::ToSse as _;
use tokio::time::timeout;

use super::{Shared, stats::count};
use crate::{EventRouter, routes::ANALYTICS};

/// How long passing a live event on may take.
const PASS_TIME: Duration = Duration::from_millis(500);

impl EventRouter {
    /// Tells the screens that are here, then the other replicas; those who are not reached have missed it.
    pub(crate) async fn publish_live(
        &self,
        replica: &Arc<Shared>,
        user: &UserId,
        event: &AnalyticsEvent,
    ) -> EventResult<usize> {
        let analytics = &self.inner.analytics;
        let reached = analytics.publish(user, event)?.reached(analytics);
        let record = Record {
            channel: ANALYTICS,
            scope: None,
            name: None,
            json: event.to_frame()?.data,
            tag: 0,
            key: None,
            note: bytes::Bytes::copy_from_slice(&replica.id.to_be_bytes()),
        };
        let passed = timeout(PASS_TIME, replica.log.pass_by(user, &record)).await;
        if !matches!(passed, Ok(Ok(()))) {
            count(&replica.counters.passes_failed);
        }
        Ok(reached.connections())
    }
}

impl Shared {
    /// Tells the screens that are here of a live event of another replica.
    pub(super) fn hear_live(&self, router: &EventRouter, user: &UserId, record: Record) {
        let is_own = *record.note == self.id.to_be_bytes();
        if is_own || record.channel != ANALYTICS {
            return;
        }
        let store = router.inner.analytics.store();
        // The publisher's replica has answered for it; here nobody waits for an answer.
        if let Err(error) = store.append(user, &[record], None) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "live event not told"
            );
        }
    }
}
