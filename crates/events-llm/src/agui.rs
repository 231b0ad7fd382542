//! An answer as one AG-UI run.

mod items;
mod observer;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use events_core::{Clock, MessageId, SystemClock, TaskId, ThreadId, ToolCallId};
use events_models::{
    AgUiEvent, AgUiEventBuilder,
    agui::{OpenObject, RunError, RunFinished, RunStarted, TokenUsage},
};
use serde_json::{Map, Value};

use crate::{Ending, Extraction, Usage};

pub use observer::AgUiObserver;

/// How many messages and calls a run may have, below what a thread's checker remembers.
const MAX_ITEMS: usize = 4_000;

/// Turns what is read from one answer into one AG-UI run: pure, so it asks nobody and waits for nothing.
///
/// Whatever comes in and wherever it stops, what comes out is accepted by
/// [`ThreadOrder`](events_models::agui::order::ThreadOrder) once [`finish`](Self::finish) was called: the run begins
/// with RUN_STARTED, everything that opens is closed, and it ends with RUN_FINISHED or RUN_ERROR, both with the
/// tokens that are known. Only the first alternative of an answer is shown.
///
/// Ids of messages are made of the run's id; ids of tool calls are the provider's where it has one.
///
/// ```
/// use events_llm::{AgUiEmitter, Ending, Extraction};
///
/// let mut emitter = AgUiEmitter::new("thread", "run");
/// let mut events = Vec::new();
/// emitter.extraction(&Extraction::Text { choice: 0, delta: "Hello".to_owned() }, &mut |event| events.push(event));
/// emitter.finish(&Ending::default(), &mut |event| events.push(event));
/// let types: Vec<_> = events.iter().map(|event| event.event_type().as_str()).collect();
/// assert_eq!(
///     types,
///     ["RUN_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "RUN_FINISHED"]
/// );
/// ```
pub struct AgUiEmitter {
    thread_id: ThreadId,
    run_id: TaskId,
    vendor: Option<String>,
    clock: Arc<dyn Clock>,
    has_started: bool,
    has_finished: bool,
    n_items: usize,
    /// The assistant's message that is being made, with its text and its calls.
    message: Option<CurrentMessage>,
    /// The reasoning message that is open.
    reasoning: Option<MessageId>,
    /// The reasoning message that was last, until its opaque value has come.
    last_reasoning: Option<MessageId>,
    /// An opaque value that came while its reasoning was open.
    early_value: Option<String>,
    calls: HashMap<u32, CurrentCall>,
    used_call_ids: HashSet<String>,
}

#[derive(Debug)]
struct CurrentMessage {
    id: MessageId,
    is_text_open: bool,
    has_text: bool,
    has_calls: bool,
}

#[derive(Debug)]
struct CurrentCall {
    id: ToolCallId,
    is_open: bool,
}

type Sink<'s> = &'s mut dyn FnMut(AgUiEvent);

impl AgUiEmitter {
    /// Makes an emitter of one run, whose events are stamped with the machine's time.
    #[must_use]
    pub fn new(thread_id: impl Into<ThreadId>, run_id: impl Into<TaskId>) -> Self {
        Self {
            thread_id: thread_id.into(),
            run_id: run_id.into(),
            vendor: None,
            clock: Arc::new(SystemClock),
            has_started: false,
            has_finished: false,
            n_items: 0,
            message: None,
            reasoning: None,
            last_reasoning: None,
            early_value: None,
            calls: HashMap::new(),
            used_call_ids: HashSet::new(),
        }
    }

    /// Says who serves the model, for the tokens of the run.
    #[must_use]
    pub fn with_vendor(mut self, vendor: Option<String>) -> Self {
        self.vendor = vendor;
        self
    }

    /// Stamps events with the time of this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Begins the run, if it has not begun. It does so by itself at the first extraction and at the end.
    pub fn start(&mut self, sink: Sink<'_>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let started = RunStarted::new(self.thread_id.clone(), self.run_id.clone());
            self.emit(started, sink);
        }
    }

    /// Takes what was read.
    pub fn extraction(&mut self, extraction: &Extraction, sink: Sink<'_>) {
        if self.has_finished {
            return;
        }
        self.start(sink);
        match extraction {
            Extraction::Restarted => self.close_all(sink),
            Extraction::Text { choice: 0, delta } | Extraction::Refusal { choice: 0, delta } => {
                self.text(delta, sink);
            }
            Extraction::Reasoning { choice: 0, delta } => self.reason(delta, sink),
            Extraction::ReasoningEnded { choice: 0 } => self.end_reasoning(sink),
            Extraction::Encrypted { call, value } => self.encrypted(*call, value, sink),
            Extraction::ToolCallStarted {
                choice: 0,
                call,
                id,
                name,
                ..
            } => {
                self.start_call(*call, id.as_deref(), name, sink);
            }
            Extraction::ToolCallArguments { call, delta } => self.arguments(*call, delta, sink),
            Extraction::ToolCallEnded { call } => self.end_call(*call, sink),
            Extraction::ToolCallResult { call, content } => self.result(*call, content, sink),
            _ => {}
        }
    }

    /// Ends the run: with RUN_ERROR if the answer failed, else with RUN_FINISHED. A second end does nothing.
    pub fn finish(&mut self, ending: &Ending, sink: Sink<'_>) {
        if self.has_finished {
            return;
        }
        self.start(sink);
        self.close_all(sink);
        self.has_finished = true;
        let usage = ending.usage.as_ref().filter(|usage| !usage.is_empty());
        let usage = usage.map(|usage| vec![self.token_usage(usage, ending)]);
        let metadata = metadata(ending);
        if let Some(failure) = &ending.failure {
            let mut error = RunError::new(failure.message.as_str());
            error.code = failure.kind.clone().or_else(|| failure.code.clone());
            error.usage = usage;
            error.metadata = metadata;
            self.emit(error, sink);
        } else {
            let mut finished = RunFinished::new(self.thread_id.clone(), self.run_id.clone());
            finished.usage = usage;
            finished.metadata = metadata;
            self.emit(finished, sink);
        }
    }

    fn close_all(&mut self, sink: Sink<'_>) {
        self.end_reasoning(sink);
        self.end_text(sink);
        let mut open: Vec<u32> = self.calls.keys().copied().collect();
        open.sort_unstable();
        for call in open {
            self.end_call(call, sink);
        }
        self.message = None;
        self.last_reasoning = None;
    }

    /// A new id; none when the run has become too large.
    fn new_item(&mut self, kind: &str) -> Option<String> {
        if self.n_items >= MAX_ITEMS {
            return None;
        }
        self.n_items += 1;
        Some(format!("{}:{kind}{}", self.run_id, self.n_items))
    }

    fn token_usage(&self, usage: &Usage, ending: &Ending) -> TokenUsage {
        let mut tokens = TokenUsage::new();
        tokens.provider.clone_from(&self.vendor);
        tokens.model.clone_from(&ending.model);
        tokens.input_tokens = usage.input_tokens;
        tokens.output_tokens = usage.output_tokens;
        tokens.total_tokens = usage
            .input_tokens
            .zip(usage.output_tokens)
            .map(|(input, output)| input.saturating_add(output));
        tokens.reasoning_tokens = usage.reasoning_tokens;
        tokens.cached_input_tokens = usage.cached_input_tokens;
        tokens.cache_write_input_tokens = usage.cache_write_tokens;
        tokens
    }

    fn emit(&self, event: impl Into<AgUiEvent>, sink: Sink<'_>) {
        sink(AgUiEventBuilder::stamp(self.clock.as_ref(), event));
    }
}

impl fmt::Debug for AgUiEmitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgUiEmitter")
            .field("thread_id", &self.thread_id)
            .field("run_id", &self.run_id)
            .finish_non_exhaustive()
    }
}

/// What the protocol has no member for.
fn metadata(ending: &Ending) -> Option<OpenObject> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    add(
        "finishReason",
        ending.finish_reason.clone().map(Value::from),
    );
    add("responseId", ending.response_id.clone().map(Value::from));
    add(
        "costUsd",
        ending.cost.map(|cost| Value::from(cost.dollars())),
    );
    add("partial", ending.is_partial.then_some(Value::from(true)));
    (!members.is_empty()).then(|| members.into())
}
