//! A run on its way into the log.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use events_core::{EventError, TaskId, ThreadId, UserId};
use events_models::AgUiEvent;
use events_router::{BusEvent, EventRouter, Item, MsgId, PublishError, Published};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::RunEnd;

/// For how long a log that takes nothing is tried again; meanwhile the agent is not read.
const PATIENCE: Duration = Duration::from_secs(30);
/// The first pause between two tries, which doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked whether the run is over in the log. The look is a look-up in a table.
const LOOK: Duration = Duration::from_millis(200);

/// Publishes one run.
#[derive(Debug)]
pub(crate) struct Writer {
    router: EventRouter,
    user: UserId,
    thread: ThreadId,
    run: TaskId,
    /// What the message ids of this call begin with.
    nonce: String,
    n_written: AtomicU64,
    /// The event that ends the run is on its way, so that the run's end in the log is no news.
    is_ending: AtomicBool,
}

/// An event that the log does not take.
pub(crate) enum Unwritten {
    /// It is against the rules: its place among those that were to be written, and why.
    Refused(usize, String),
    /// The log takes nothing now.
    Log,
}

impl Writer {
    pub(crate) fn new(router: EventRouter, user: UserId, thread: ThreadId, run: TaskId) -> Self {
        let nonce = std::iter::repeat_with(fastrand::alphanumeric).take(16);
        Self {
            router,
            user,
            thread,
            run,
            nonce: nonce.collect(),
            n_written: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
        }
    }

    /// Puts the beginning of the run into the log.
    pub(crate) async fn begin(&self, start: Item) -> Result<Published, PublishError> {
        self.publish(vec![start]).await
    }

    /// Appends events in their order. Those before one that is refused are in the log.
    pub(crate) async fn write(&self, events: Vec<AgUiEvent>) -> Result<(), Unwritten> {
        if events.is_empty() {
            return Ok(());
        }
        let ends =
            |event: &AgUiEvent| matches!(event, AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_));
        if events.last().is_some_and(ends) {
            self.is_ending.store(true, Ordering::Relaxed);
        }
        let items: Vec<_> = events.into_iter().map(|event| self.item(event)).collect();
        if items.len() > 1 {
            match self.publish(items.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if is_of_events(&error) => {}
                Err(_) => return Err(Unwritten::Log),
            }
        }
        // One is refused, or all together are more than the log takes at once. The ids keep apart what is there.
        for (index, item) in items.into_iter().enumerate() {
            match self.publish(vec![item]).await {
                Ok(_) => {}
                Err(error) if is_of_events(&error) => {
                    self.is_ending.store(false, Ordering::Relaxed);
                    let why = match error {
                        PublishError::Refused { refusal, .. } => refusal.to_string(),
                        PublishError::Log(error) => error.to_string(),
                        other => other.to_string(),
                    };
                    return Err(Unwritten::Refused(index, why));
                }
                Err(_) => return Err(Unwritten::Log),
            }
        }
        Ok(())
    }

    /// Ends the run in the log, if its end is not there.
    pub(crate) async fn close(&self, end: &RunEnd) {
        let Some(event) = end.event() else {
            return;
        };
        if let Err(error) = self.publish(vec![self.item(event)]).await {
            // The run's own time-out ends it.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the run of an agent is not closed");
        }
    }

    /// Waits until the run is over in the log although nothing here has ended it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn over_elsewhere(&self) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if self.is_over()
                // What is known here may be behind the log, after it was out of reach.
                && let Ok(_open) = self.router.open_user(&self.user, None).await
                && self.is_over()
            {
                return;
            }
        }
    }

    /// Tells whether the run is over by what is known here, and not by an event that is on its way.
    fn is_over(&self) -> bool {
        let router = &self.router;
        let is_active = router.is_run_active(&self.user, &self.thread, &self.run);
        !is_active && !self.is_ending.load(Ordering::Relaxed)
    }

    /// Counts the events that were to be written.
    pub(crate) fn n_written(&self) -> u64 {
        self.n_written.load(Ordering::Relaxed)
    }

    fn item(&self, event: AgUiEvent) -> Item {
        let n = self.n_written.fetch_add(1, Ordering::Relaxed);
        let thread = Some(self.thread.clone());
        let item = Item::new(BusEvent::AgUi { thread, event }).only_in_run(self.run.clone());
        // The text is legal, as it is short and of letters.
        match MsgId::new(format!("{}:{n}", self.nonce)) {
            Ok(msg_id) => item.with_msg_id(msg_id),
            Err(_) => item,
        }
    }

    /// Publishes, and tries again as long as the log may take it then. The ids make that safe.
    async fn publish(&self, items: Vec<Item>) -> Result<Published, PublishError> {
        let end = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let published = self.router.publish_batch(&self.user, items.clone()).await;
            match published {
                Err(PublishError::Log(
                    EventError::Overloaded(_)
                    | EventError::Unavailable(_)
                    | EventError::Timeout
                    | EventError::Conflict { .. },
                )) if Instant::now() + pause < end => {
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                published => return published,
            }
        }
    }
}

/// Tells whether an error is one of the events, and not of the log.
const fn is_of_events(error: &PublishError) -> bool {
    matches!(
        error,
        PublishError::Refused { .. }
            | PublishError::Log(
                EventError::TooLarge { .. } | EventError::Rejected(_) | EventError::Encode(_)
            )
    )
}
