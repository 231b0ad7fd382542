//! What a client is told that joins.

use super::{Generation, Reader, THREAD_TOO_LARGE, ThreadContent, run::Subagent};
use crate::agui::{AgUiEvent, RunError, RunFinished, RunStarted, legacy, order::ThreadOrder};

impl ThreadContent {
    /// Makes the events that a client begins with, so that the thread's next event may follow.
    ///
    /// With a run in progress: RUN_STARTED, the messages and the state, then the starts of what is open.
    /// Without one: the last run again, with the messages and the state as all that it did, and how it ended.
    /// For a thread that is not known: a run with the ids of the request that does nothing; nothing at all for
    /// a client without a request. For one that is [too large](ThreadContent::is_too_large): a run that fails
    /// with [`THREAD_TOO_LARGE`]; what follows of a run in progress must then not be sent.
    ///
    /// The messages are those of the request in their order, each as the thread knows it, then those of the
    /// thread that the request lacks: a snapshot deletes what it does not name. A client that holds messages
    /// in another order than the thread first gets a snapshot without those that stand wrong.
    #[must_use]
    pub fn prelude(&self, order: &ThreadOrder, reader: &Reader<'_>) -> Vec<AgUiEvent> {
        let n_right = reader
            .input
            .and_then(|input| self.messages.n_right_for(input));
        self.begin(order, reader, n_right)
    }

    /// Makes a prelude for a client with whom so many messages stand right, if not all that it holds do.
    pub(super) fn begin(
        &self,
        order: &ThreadOrder,
        reader: &Reader<'_>,
        n_right: Option<usize>,
    ) -> Vec<AgUiEvent> {
        let mut events = Vec::new();
        events.extend(self.start_for(reader).map(AgUiEvent::from));
        if self.is_too_large() {
            events.push(too_large());
            return in_form(events, reader.generation);
        }
        if self.runs.start.is_some() {
            let swallowed = order.open_items().filter(|item| self.is_swallowed(item));
            events.extend(swallowed.filter_map(|item| self.start_of(&item)));
            self.restate(order, reader, n_right, &mut events);
        }
        if self.runs.is_active {
            for Subagent { start, end } in &self.runs.subagents {
                events.push(start.clone().into());
                events.extend(end.clone());
            }
            let shown = order.open_items().filter(|item| !self.is_swallowed(item));
            events.extend(shown.filter_map(|item| self.start_of(&item)));
        } else if let Some(end) = self.runs.ended.back() {
            events.push(end.event.clone());
        } else if let Some(input) = reader.input {
            events.push(RunFinished::new(input.thread_id.clone(), input.run_id.clone()).into());
        }
        in_form(events, reader.generation)
    }

    fn start_for(&self, reader: &Reader<'_>) -> Option<RunStarted> {
        let of_input = || {
            let input = reader.input?;
            Some(RunStarted::new(
                input.thread_id.clone(),
                input.run_id.clone(),
            ))
        };
        self.runs.start.clone().or_else(of_input)
    }
}

/// Makes the error for a client that cannot be told where a thread stands.
pub(super) fn too_large() -> AgUiEvent {
    let mut error = RunError::new("the thread has grown too large to be joined");
    error.code = Some(THREAD_TOO_LARGE.to_owned());
    error.into()
}

/// Gives events the form that a client can read.
pub(super) fn in_form(events: Vec<AgUiEvent>, generation: Generation) -> Vec<AgUiEvent> {
    match generation {
        Generation::V1_0 => events,
        Generation::V0_0_59 => events.into_iter().filter_map(legacy::to_v0_0_59).collect(),
    }
}
