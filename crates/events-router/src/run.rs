//! One run of an agent, from its first event to its last.

use std::time::Duration;

use events_core::{TaskId, ThreadId, UserId};
use events_models::{AgUiEvent, AgUiEventBuilder, RunAgentInput};
use serde_json::Value;

use crate::{BusEvent, EventRouter, Item, PublishError, Published};

/// A run that an agent in this process publishes.
///
/// It names the thread for every event and always ends: dropped without [`Run::finish`], it publishes
/// RUN_ERROR with the code `abandoned`, so that no screen waits for ever.
///
/// ```
/// # use events_core::UserId;
/// # use events_models::{AgUiEventBuilder, MessageRole};
/// # use events_router::{EventRouter, PublishError};
/// # async fn agent(router: EventRouter, ada: UserId) -> Result<(), PublishError> {
/// let mut run = router.run(&ada, "thread");
/// run.start(None).await?;
/// run.publish(AgUiEventBuilder::text_message_start("m1", MessageRole::Assistant)).await?;
/// run.publish(AgUiEventBuilder::text_message_content("m1", "Hello")).await?;
/// run.publish(AgUiEventBuilder::text_message_end("m1")).await?;
/// run.finish(None).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a run that has begun ends it with RUN_ERROR"]
pub struct Run {
    router: EventRouter,
    user: UserId,
    thread: ThreadId,
    id: TaskId,
    timeout: Option<Duration>,
    has_begun: bool,
}

impl Run {
    pub(crate) fn new(router: EventRouter, user: UserId, thread: ThreadId) -> Self {
        let id = std::iter::repeat_with(fastrand::alphanumeric)
            .take(16)
            .collect::<String>();
        Self {
            router,
            user,
            thread,
            id: TaskId::from(format!("run-{id}")),
            timeout: None,
            has_begun: false,
        }
    }

    /// Names the run; without it the name is random. Has no effect once the run has begun.
    pub fn with_id(mut self, id: impl Into<TaskId>) -> Self {
        if !self.has_begun {
            self.id = id.into();
        }
        self
    }

    /// Says how long the run may be silent before it is ended for its producer. Has no effect once it has begun.
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Returns the run's id.
    #[must_use]
    pub const fn id(&self) -> &TaskId {
        &self.id
    }

    /// Returns the thread.
    #[must_use]
    pub const fn thread(&self) -> &ThreadId {
        &self.thread
    }

    /// Publishes RUN_STARTED.
    ///
    /// # Errors
    ///
    /// As for [`EventRouter::publish`]; above all, when the thread has an active run already.
    pub async fn start(&mut self, input: Option<RunAgentInput>) -> Result<Published, PublishError> {
        self.publish(AgUiEventBuilder::run_started(
            self.thread.clone(),
            self.id.clone(),
            input,
        ))
        .await
    }

    /// Publishes an event of this run. The first event begins the run, with RUN_STARTED before it if it is not that.
    ///
    /// # Errors
    ///
    /// As for [`EventRouter::publish`].
    pub async fn publish(&mut self, event: AgUiEvent) -> Result<Published, PublishError> {
        let is_end = matches!(event, AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_));
        let mut items = Vec::with_capacity(2);
        if !self.has_begun && !matches!(event, AgUiEvent::RunStarted(_)) {
            items.push(self.item(AgUiEventBuilder::run_started(
                self.thread.clone(),
                self.id.clone(),
                None,
            )));
        }
        items.push(self.item(event));
        let published = self.router.publish_batch(&self.user, items).await?;
        self.has_begun = !is_end;
        Ok(published)
    }

    /// Closes what is open and publishes RUN_FINISHED.
    ///
    /// # Errors
    ///
    /// As for [`EventRouter::publish`].
    pub async fn finish(mut self, result: Option<Value>) -> Result<Published, PublishError> {
        let _open = self.router.open_user(&self.user, None).await?;
        let open = self
            .router
            .closing_events(&self.user, self.thread.as_str(), self.id.as_str());
        let mut items: Vec<_> = open
            .into_iter()
            .flatten()
            .map(|event| self.item(event))
            .collect();
        if !self.has_begun {
            items.push(self.item(AgUiEventBuilder::run_started(
                self.thread.clone(),
                self.id.clone(),
                None,
            )));
        }
        items.push(self.item(AgUiEventBuilder::run_finished(
            self.thread.clone(),
            self.id.clone(),
            result,
        )));
        let published = self.router.publish_batch(&self.user, items).await?;
        self.has_begun = false;
        Ok(published)
    }

    /// Publishes RUN_ERROR, which needs nothing closed.
    ///
    /// # Errors
    ///
    /// As for [`EventRouter::publish`].
    pub async fn fail(
        mut self,
        message: impl Into<String>,
        code: Option<String>,
    ) -> Result<Published, PublishError> {
        self.publish(AgUiEventBuilder::run_error(message, code))
            .await
    }

    fn item(&self, event: AgUiEvent) -> Item {
        let item = Item::new(BusEvent::AgUi {
            thread: Some(self.thread.clone()),
            event,
        });
        match self.timeout {
            Some(timeout) => item.with_run_timeout(timeout),
            None => item,
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.has_begun {
            let message = "the producer of this run went away before it had finished";
            let error = AgUiEventBuilder::run_error(message, Some("abandoned".to_owned()));
            let mut item = self.item(error);
            // Somebody else may have ended this run, and begun another in the thread.
            item.only_in_run = Some(self.id.clone());
            if let Err(error) = self.router.publish_and_leave(&self.user, item) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "abandoned run not closed"
                );
            }
        }
    }
}
