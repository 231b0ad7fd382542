//! Answers as AG-UI runs in users' logs.

mod queue;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use events_core::{TaskId, ThreadId, UserId};
use events_models::{AgUiEvent, AgUiEventBuilder, agui::RunError};
use http::Extensions;
use tracing::{debug, warn};

use crate::{AgUiEmitter, AgUiObserver, Exchange};

pub(crate) use queue::RunQueue;

/// Takes the events of runs, such as a router of events does.
#[async_trait]
pub trait RunPublisher: Send + Sync {
    /// Publishes events of one run, all of them or none, in this order.
    ///
    /// The first event of a run is RUN_STARTED and its last RUN_FINISHED or RUN_ERROR. Calls for one run follow each
    /// other; the answer they come from does not wait for them.
    ///
    /// # Errors
    ///
    /// The events are not published, and the run is not gone on with.
    async fn publish(
        &self,
        user: &UserId,
        thread: &ThreadId,
        events: Vec<AgUiEvent>,
    ) -> Result<(), RunPublishError>;
}

/// Why events of a run are not published. The texts are logged: no event's body may be in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunPublishError {
    /// They are not allowed, for example as another run is active on the thread. Nothing more of the run is sent.
    #[error("refused: {0}")]
    Refused(String),
    /// They are not taken now. When the answer is over, RUN_ERROR is tried once, so that no screen waits for ever.
    #[error("not taken: {0}")]
    Unavailable(String),
}

/// Decides whether a request may publish for a user, by what layers before the gateway put into its extensions.
pub type Authorize = dyn Fn(&Extensions, &UserId) -> Result<(), EmissionDenied> + Send + Sync;

/// A request may not publish for the user that it names; it is answered with 403 and this text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EmissionDenied(pub String);

/// Where runs go, and who may send them there.
#[derive(Clone, Default)]
pub struct GatewayHooks {
    /// Takes the runs. Without it `X-Events-User` and `X-Events-Thread` have no effect.
    pub publisher: Option<Arc<dyn RunPublisher>>,
    /// Without it every request may publish for every user.
    pub authorize: Option<Arc<Authorize>>,
}

impl fmt::Debug for GatewayHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayHooks")
            .field("has_publisher", &self.publisher.is_some())
            .field("has_authorize", &self.authorize.is_some())
            .finish()
    }
}

/// One run that is to be published.
pub(crate) struct Emission {
    pub(crate) publisher: Arc<dyn RunPublisher>,
    pub(crate) user: UserId,
    pub(crate) thread: ThreadId,
    pub(crate) run: TaskId,
}

/// How the publishing of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emitted {
    Whole,
    TooSlow,
    Refused,
}

impl Emission {
    /// Puts the events of an exchange into a queue; the task that publishes them is what [`publish`](Self::publish)
    /// gives.
    pub(crate) fn observe(
        &self,
        exchange: &mut Exchange,
        vendor: Option<String>,
        max: usize,
    ) -> RunQueue {
        let emitter = AgUiEmitter::new(self.thread.clone(), self.run.clone()).with_vendor(vendor);
        let (sender, queue) = queue::run_queue(max);
        exchange.observe(Box::new(AgUiObserver::new(emitter, move |event| {
            sender.push(event);
        })));
        queue
    }

    /// Publishes what comes into a queue, all that waits there at once, until the run is over.
    pub(crate) async fn publish(self, mut queue: RunQueue) -> Emitted {
        let mut has_begun = false;
        let mut is_unavailable = false;
        while let Some(batch) = queue.next().await {
            if is_unavailable {
                continue;
            }
            match self.send(batch).await {
                Ok(()) => has_begun = true,
                Err(RunPublishError::Unavailable(_)) if has_begun => is_unavailable = true,
                // An end of ours would end a run that is not ours.
                Err(_) => return Emitted::Refused,
            }
        }
        if is_unavailable {
            let end = RunError::new("the events of this answer could not be stored");
            let _told = self.send(vec![end_of(end, "log_unavailable")]).await;
            return Emitted::Refused;
        }
        if !queue.is_overrun() {
            return Emitted::Whole;
        }
        let end = RunError::new("the events of this answer came faster than they could be stored");
        let told = self.send(vec![end_of(end, "too_slow")]).await;
        told.map_or(Emitted::Refused, |()| Emitted::TooSlow)
    }

    async fn send(&self, events: Vec<AgUiEvent>) -> Result<(), RunPublishError> {
        let n_events = events.len();
        let sent = self
            .publisher
            .publish(&self.user, &self.thread, events)
            .await;
        match &sent {
            Ok(()) => debug!(run = %self.run, n_events, "events of an answer are published"),
            Err(error) => {
                warn!(run = %self.run, n_events, %error, "events of an answer are not published");
            }
        }
        sent
    }
}

fn end_of(mut end: RunError, code: &str) -> AgUiEvent {
    end.code = Some(code.to_owned());
    AgUiEventBuilder::stamp(&events_core::SystemClock, end)
}
