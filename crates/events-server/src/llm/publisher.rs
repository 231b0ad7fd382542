//! Answers as runs in users' logs.

use async_trait::async_trait;
use events_core::{EventError, ThreadId, UserId};
use events_llm::gateway::{RunPublishError, RunPublisher};
use events_models::AgUiEvent;
use events_router::{BusEvent, EventRouter, Item, PublishError};

/// Publishes through the router, so that the order of a thread is checked as for every other publisher.
#[derive(Debug)]
pub(super) struct RouterPublisher {
    router: EventRouter,
}

impl RouterPublisher {
    pub(super) const fn new(router: EventRouter) -> Self {
        Self { router }
    }
}

#[async_trait]
impl RunPublisher for RouterPublisher {
    async fn publish(
        &self,
        user: &UserId,
        thread: &ThreadId,
        events: Vec<AgUiEvent>,
    ) -> Result<(), RunPublishError> {
        let items = events.into_iter().map(|event| {
            Item::new(BusEvent::AgUi {
                thread: Some(thread.clone()),
                event,
            })
        });
        let published = self.router.publish_batch(user, items.collect()).await;
        published.map(drop).map_err(|error| match error {
            PublishError::Refused { refusal, .. } => RunPublishError::Refused(refusal.to_string()),
            PublishError::Log(
                error @ (EventError::Encode(_)
                | EventError::Rejected(_)
                | EventError::TooLarge { .. }),
            ) => RunPublishError::Refused(error.to_string()),
            PublishError::Log(error) => RunPublishError::Unavailable(error.to_string()),
            error => RunPublishError::Refused(error.to_string()),
        })
    }
}
