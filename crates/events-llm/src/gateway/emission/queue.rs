//! The events of one run between its answer, which never waits, and its publisher, which may.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use events_models::{AgUiEvent, agui::ToolResultContent};
use tokio::sync::Notify;

use crate::boundary;

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
    /// Adds an event if there is room; if there is none, nothing more is ever added. A long text becomes several
    /// events, so that none is larger than a log takes.
    pub(super) fn push(&self, mut event: AgUiEvent) {
        let mut state = self.0.lock();
        while let Some(rest) = split_off(&mut event) {
            state.push(event, self.0.max_bytes);
            event = rest;
        }
        state.push(event, self.0.max_bytes);
        drop(state);
        self.0.news.notify_one();
    }
}

impl State {
    fn push(&mut self, event: AgUiEvent, max_bytes: usize) {
        if self.is_overrun {
            return;
        }
        let n_text_bytes = text_bytes(&event);
        if self.n_bytes + n_text_bytes + EVENT_BYTES > max_bytes {
            self.is_overrun = true;
            return;
        }
        let event = match self.events.back_mut() {
            Some(last) => join(last, event),
            None => Some(event),
        };
        self.n_bytes += n_text_bytes + event.as_ref().map_or(0, |_| EVENT_BYTES);
        self.events.extend(event);
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

/// The fragment of text that an event carries, if it is one of many that are appended to each other.
fn delta_of(event: &mut AgUiEvent) -> Option<&mut String> {
    match event {
        AgUiEvent::TextMessageContent(event) => Some(&mut event.delta),
        AgUiEvent::ReasoningMessageContent(event) => Some(&mut event.delta),
        AgUiEvent::ToolCallArgs(event) => Some(&mut event.delta),
        _ => None,
    }
}

/// Cuts a long fragment, and returns the same event with the rest of it.
fn split_off(event: &mut AgUiEvent) -> Option<AgUiEvent> {
    let delta = delta_of(event)?;
    if delta.len() <= MAX_JOINED_BYTES {
        return None;
    }
    let rest_of_delta = delta.split_off(boundary::floor(delta, MAX_JOINED_BYTES));
    let mut rest = event.clone();
    *delta_of(&mut rest)? = rest_of_delta;
    Some(rest)
}

/// Appends the text of an event to the last one, or gives it back.
fn join(last: &mut AgUiEvent, mut event: AgUiEvent) -> Option<AgUiEvent> {
    let is_same = match (&*last, &event) {
        (AgUiEvent::TextMessageContent(last), AgUiEvent::TextMessageContent(next)) => {
            last.message_id == next.message_id
        }
        (AgUiEvent::ReasoningMessageContent(last), AgUiEvent::ReasoningMessageContent(next)) => {
            last.message_id == next.message_id
        }
        (AgUiEvent::ToolCallArgs(last), AgUiEvent::ToolCallArgs(next)) => {
            last.tool_call_id == next.tool_call_id
        }
        _ => false,
    };
    match (delta_of(last), delta_of(&mut event)) {
        (Some(last), Some(next)) if is_same && last.len() + next.len() <= MAX_JOINED_BYTES => {
            last.push_str(next);
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
