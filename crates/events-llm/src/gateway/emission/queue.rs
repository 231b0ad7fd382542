//! The events of one run between its answer, which never waits, and its publisher, which may.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use events_models::{AgUiEvent, agui::ToolResultContent};
use tokio::sync::Notify;

/// The most events in one batch, so that one run does not hold a log for long.
const MAX_BATCH: usize = 256;

/// Texts are joined up to so many bytes: whoever is behind gets fewer events, and none that is too large for a log.
const MAX_JOINED_BYTES: usize = 64 << 10;

/// What an event costs beside its text, in bytes.
const EVENT_BYTES: usize = 256;

#[derive(Default)]
struct State {
    events: VecDeque<AgUiEvent>,
    n_bytes: usize,
    /// Events were left out; nothing that follows would be valid.
    is_overrun: bool,
    is_closed: bool,
}

struct Shared {
    state: Mutex<State>,
    news: Notify,
    max_bytes: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a queue of one run.
pub(super) fn run_queue(max_bytes: usize) -> (RunSender, RunQueue) {
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        news: Notify::new(),
        max_bytes,
    });
    (RunSender(Arc::clone(&shared)), RunQueue(shared))
}

/// The end that takes events. Dropped, the queue is closed.
pub(super) struct RunSender(Arc<Shared>);

impl RunSender {
    /// Adds an event if there is room; if there is none, nothing more is ever added.
    pub(super) fn push(&self, event: AgUiEvent) {
        let mut state = self.0.lock();
        if state.is_overrun {
            return;
        }
        let n_text_bytes = text_bytes(&event);
        let event = match state.events.back_mut() {
            Some(last) => join(last, event),
            None => Some(event),
        };
        let n_bytes = n_text_bytes + event.as_ref().map_or(0, |_| EVENT_BYTES);
        if state.n_bytes + n_bytes > self.0.max_bytes {
            state.is_overrun = true;
            if event.is_none() {
                // What was joined is over the bound by less than one join; it may stay.
                state.n_bytes += n_bytes;
            }
        } else {
            state.n_bytes += n_bytes;
            state.events.extend(event);
        }
        drop(state);
        self.0.news.notify_one();
    }
}

impl Drop for RunSender {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.news.notify_one();
    }
}

/// The end that gives events.
pub(crate) struct RunQueue(Arc<Shared>);

impl RunQueue {
    /// Waits for events and takes all that are there, up to a bound; `None` when no more will come.
    ///
    /// # Cancel safety
    ///
    /// Nothing is taken when the wait is given up.
    pub(crate) async fn next(&mut self) -> Option<Vec<AgUiEvent>> {
        loop {
            // There is one waiter only, and a notice that comes before it waits is kept.
            let news = self.0.news.notified();
            {
                let mut state = self.0.lock();
                if !state.events.is_empty() {
                    let n_events = state.events.len().min(MAX_BATCH);
                    let batch: Vec<_> = state.events.drain(..n_events).collect();
                    let n_bytes: usize = batch.iter().map(|e| text_bytes(e) + EVENT_BYTES).sum();
                    state.n_bytes = state.n_bytes.saturating_sub(n_bytes);
                    return Some(batch);
                }
                if state.is_overrun || state.is_closed {
                    return None;
                }
            }
            news.await;
        }
    }

    /// Tells whether events were left out.
    pub(crate) fn is_overrun(&self) -> bool {
        self.0.lock().is_overrun
    }
}

/// Appends the text of an event to the last one, or gives it back.
fn join(last: &mut AgUiEvent, event: AgUiEvent) -> Option<AgUiEvent> {
    let fits = |last: &str, delta: &str| last.len() + delta.len() <= MAX_JOINED_BYTES;
    match (last, &event) {
        (AgUiEvent::TextMessageContent(last), AgUiEvent::TextMessageContent(next))
            if last.message_id == next.message_id && fits(&last.delta, &next.delta) =>
        {
            last.delta.push_str(&next.delta);
            None
        }
        (AgUiEvent::ReasoningMessageContent(last), AgUiEvent::ReasoningMessageContent(next))
            if last.message_id == next.message_id && fits(&last.delta, &next.delta) =>
        {
            last.delta.push_str(&next.delta);
            None
        }
        (AgUiEvent::ToolCallArgs(last), AgUiEvent::ToolCallArgs(next))
            if last.tool_call_id == next.tool_call_id && fits(&last.delta, &next.delta) =>
        {
            last.delta.push_str(&next.delta);
            None
        }
        _ => Some(event),
    }
}

/// The bytes of what may be long in an event.
fn text_bytes(event: &AgUiEvent) -> usize {
    match event {
        AgUiEvent::TextMessageContent(event) => event.delta.len(),
        AgUiEvent::ReasoningMessageContent(event) => event.delta.len(),
        AgUiEvent::ToolCallArgs(event) => event.delta.len(),
        AgUiEvent::ReasoningEncryptedValue(event) => event.encrypted_value.len(),
        AgUiEvent::ToolCallResult(event) => match &event.content {
            ToolResultContent::Text(text) => text.len(),
            ToolResultContent::Parts(_) => 0,
        },
        _ => 0,
    }
}
