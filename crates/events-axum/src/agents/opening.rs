//! How a run begins for the client that asked for it.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
};

use events_broadcast::Batch;
use events_core::Frame;
use events_models::{
    AgUiEvent, AgUiEventType,
    agui::{fold::Generation, legacy},
};
use tokio::sync::oneshot;

use super::AgentStart;

/// Puts the agent's own RUN_STARTED in the place of the one in the log, which has the input for those who join later.
///
/// The client gets what the agent said, in the place where the log has it. Until the agent has said it, it gets
/// nothing, as from the agent itself.
pub(crate) struct Opening {
    started: oneshot::Receiver<AgUiEvent>,
    generation: Generation,
    /// What is in the log by now.
    pub(crate) held: Option<Batch>,
}

impl Opening {
    pub(crate) fn new(generation: Generation) -> (AgentStart, Self) {
        let (start, started) = AgentStart::channel();
        let opening = Self {
            started,
            generation,
            held: None,
        };
        (start, opening)
    }

    /// Gives the batch back once it is known how the agent began, or that it did not.
    pub(crate) fn poll_batch(
        &mut self,
        context: &mut Context<'_>,
        mut batch: Batch,
    ) -> Poll<Batch> {
        let Poll::Ready(started) = Pin::new(&mut self.started).poll(context) else {
            self.held = Some(batch);
            return Poll::Pending;
        };
        if let Some((_, frame)) = batch.events.first_mut()
            && AgUiEventType::of_json(&frame.data) == Some(AgUiEventType::RunStarted)
        {
            let event = started.ok().or_else(|| without_input(&frame.data));
            let event = match self.generation {
                Generation::V1_0 => event,
                Generation::V0_0_59 => event.and_then(legacy::to_v0_0_59),
            };
            let mut json = Vec::new();
            if event.is_some_and(|event| event.write_json(&mut json).is_ok()) {
                *frame = Frame::json(json);
            }
        }
        Poll::Ready(batch)
    }
}

/// Reads the RUN_STARTED in the log. The client knows the input, which is its own.
fn without_input(json: &[u8]) -> Option<AgUiEvent> {
    let mut event = AgUiEvent::from_json(json).ok()?;
    if let AgUiEvent::RunStarted(start) = &mut event {
        start.input = None;
    }
    Some(event)
}
