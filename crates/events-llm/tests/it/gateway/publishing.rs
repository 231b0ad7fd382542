//! A log that takes runs, or does not.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use events_core::{ThreadId, UserId};
use events_llm::gateway::{GatewayHooks, RunPublishError, RunPublisher};
use events_models::{AgUiEvent, agui::order::ThreadOrder};
use tokio::{sync::Notify, time::timeout};

use super::provider::LIMIT;

/// One batch that was published.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) user: UserId,
    pub(crate) thread: ThreadId,
    pub(crate) events: Vec<AgUiEvent>,
}

#[derive(Default)]
pub(crate) struct Log {
    batches: Mutex<Vec<Batch>>,
    /// Errors for the calls to come; `None` for a call that is well.
    errors: Mutex<Vec<Option<RunPublishError>>>,
    n_calls: Mutex<usize>,
    is_stopped: AtomicBool,
    changed: Notify,
    goes_on: Notify,
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn hooks(self: &Arc<Self>) -> GatewayHooks {
        GatewayHooks {
            publisher: Some(Arc::clone(self) as Arc<dyn RunPublisher>),
            authorize: None,
        }
    }

    /// Fails calls in this way, one after the other.
    pub(crate) fn fail(&self, errors: Vec<Option<RunPublishError>>) {
        *self.errors.lock().unwrap() = errors;
    }

    /// Lets calls wait from now on.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn go_on(&self) {
        self.is_stopped.store(false, Ordering::SeqCst);
        self.goes_on.notify_one();
    }

    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.batches.lock().unwrap().clone()
    }

    pub(crate) fn n_calls(&self) -> usize {
        *self.n_calls.lock().unwrap()
    }

    /// Waits for the end of the run, and checks that all of it is valid.
    pub(crate) async fn run(&self) -> Vec<AgUiEvent> {
        let ended = async {
            loop {
                let changed = self.changed.notified();
                let events: Vec<_> = self.batches().into_iter().flat_map(|b| b.events).collect();
                let is_end =
                    |e: &AgUiEvent| matches!(e, AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_));
                if events.last().is_some_and(is_end) {
                    return events;
                }
                changed.await;
            }
        };
        let events = timeout(LIMIT, ended).await.expect("the run ends");
        let mut order = ThreadOrder::default();
        for event in &events {
            if let Err(error) = order.check(event) {
                panic!("{error}\n{events:#?}");
            }
        }
        assert!(!order.is_run_active());
        events
    }
}

#[async_trait]
impl RunPublisher for Log {
    async fn publish(
        &self,
        user: &UserId,
        thread: &ThreadId,
        events: Vec<AgUiEvent>,
    ) -> Result<(), RunPublishError> {
        *self.n_calls.lock().unwrap() += 1;
        while self.is_stopped.load(Ordering::SeqCst) {
            self.goes_on.notified().await;
        }
        let error = {
            let mut errors = self.errors.lock().unwrap();
            if errors.is_empty() {
                None
            } else {
                errors.remove(0)
            }
        };
        if let Some(error) = error {
            return Err(error);
        }
        self.batches.lock().unwrap().push(Batch {
            user: user.clone(),
            thread: thread.clone(),
            events,
        });
        self.changed.notify_one();
        Ok(())
    }
}

pub(crate) fn text_of(events: &[AgUiEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        AgUiEvent::TextMessageContent(content) => Some(content.delta.as_str()),
        _ => None,
    });
    texts.collect()
}

/// The code of the RUN_ERROR at the end.
pub(crate) fn error_code(events: &[AgUiEvent]) -> Option<&str> {
    match events.last() {
        Some(AgUiEvent::RunError(error)) => error.code.as_deref(),
        other => panic!("{other:?}"),
    }
}
