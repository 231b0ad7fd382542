//! An answer as one AG-UI run.

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
    AgUiEvent, AgUiEventBuilder, MessageRole,
    agui::{
        EncryptedSubtype, OpenObject, ReasoningEncryptedValue, ReasoningEnd,
        ReasoningMessageContent, ReasoningMessageEnd, ReasoningMessageStart, ReasoningStart,
        RunError, RunFinished, RunStarted, TextMessageContent, TextMessageEnd, TextMessageStart,
        TokenUsage, ToolCallArgs, ToolCallEnd, ToolCallResult, ToolCallStart, ToolRole,
    },
};
use serde_json::{Map, Value};

use crate::{Ending, Extraction, Usage, boundary};

pub use observer::AgUiObserver;

/// The longest text of one event, in bytes; a longer one becomes several events.
const MAX_DELTA: usize = 64 << 10;

/// The longest value that cannot be cut, in bytes; a longer one is left out, since no log takes such an event.
const MAX_WHOLE: usize = 768 << 10;

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

    fn text(&mut self, delta: &str, sink: Sink<'_>) {
        self.end_reasoning(sink);
        let is_open = self
            .message
            .as_ref()
            .is_some_and(|message| message.is_text_open);
        if !is_open {
            let Some(id) = self.new_item("m") else {
                return;
            };
            let mut start = TextMessageStart::new(id.as_str());
            start.role = Some(MessageRole::Assistant);
            self.message = Some(CurrentMessage {
                id: id.as_str().into(),
                is_text_open: true,
                has_text: true,
                has_calls: false,
            });
            self.emit(start, sink);
        }
        if let Some(id) = self.message.as_ref().map(|message| message.id.clone()) {
            for piece in pieces(delta) {
                self.emit(TextMessageContent::new(id.clone(), piece), sink);
            }
        }
    }

    fn end_text(&mut self, sink: Sink<'_>) {
        if let Some(message) = self.message.as_mut().filter(|message| message.is_text_open) {
            message.is_text_open = false;
            let end = TextMessageEnd::new(message.id.clone());
            self.emit(end, sink);
        }
    }

    fn reason(&mut self, delta: &str, sink: Sink<'_>) {
        if self.reasoning.is_none() && !self.start_reasoning(sink) {
            return;
        }
        if let Some(id) = self.reasoning.clone() {
            for piece in pieces(delta) {
                self.emit(ReasoningMessageContent::new(id.clone(), piece), sink);
            }
        }
    }

    fn start_reasoning(&mut self, sink: Sink<'_>) -> bool {
        self.end_text(sink);
        // What is said after a thought is a message of its own.
        self.message = None;
        let Some(id) = self.new_item("r") else {
            return false;
        };
        let id = MessageId::from(id);
        self.reasoning = Some(id.clone());
        self.last_reasoning = None;
        self.emit(ReasoningStart::new(id.clone()), sink);
        self.emit(ReasoningMessageStart::new(id), sink);
        true
    }

    fn end_reasoning(&mut self, sink: Sink<'_>) {
        if let Some(id) = self.reasoning.take() {
            self.emit(ReasoningMessageEnd::new(id.clone()), sink);
            self.emit(ReasoningEnd::new(id.clone()), sink);
            self.last_reasoning = Some(id);
            if let Some(value) = self.early_value.take() {
                self.encrypted(None, &value, sink);
            }
        }
    }

    /// Binds an opaque value to its call, or to the reasoning or text that it came with.
    fn encrypted(&mut self, call: Option<u32>, value: &str, sink: Sink<'_>) {
        if value.len() > MAX_WHOLE {
            return;
        }
        if let Some(call) = call {
            if let Some(call) = self.calls.get(&call) {
                let event = ReasoningEncryptedValue::new(
                    EncryptedSubtype::ToolCall,
                    call.id.as_str(),
                    value,
                );
                self.emit(event, sink);
            }
            return;
        }
        if self.reasoning.is_some() {
            self.early_value = Some(value.to_owned());
            return;
        }
        let of_text = self.message.as_ref().filter(|message| message.has_text);
        let entity = self
            .last_reasoning
            .take()
            .or_else(|| of_text.map(|message| message.id.clone()));
        let entity = entity.or_else(|| {
            // Reasoning of which nothing else is shown.
            if self.start_reasoning(sink) {
                self.end_reasoning(sink);
            }
            self.last_reasoning.take()
        });
        if let Some(entity) = entity {
            let event =
                ReasoningEncryptedValue::new(EncryptedSubtype::Message, entity.as_str(), value);
            self.emit(event, sink);
        }
    }

    fn start_call(&mut self, call: u32, id: Option<&str>, name: &str, sink: Sink<'_>) {
        self.end_call(call, sink);
        self.end_reasoning(sink);
        self.end_text(sink);
        if self.message.is_none() {
            let Some(id) = self.new_item("m") else {
                return;
            };
            self.message = Some(CurrentMessage {
                id: id.into(),
                is_text_open: false,
                has_text: false,
                has_calls: false,
            });
        }
        let Some(made_id) = self.new_item("c") else {
            return;
        };
        // A provider's id that comes twice would be one call to a client.
        let id = id
            .filter(|id| !self.used_call_ids.contains(*id))
            .map_or(made_id, str::to_owned);
        self.used_call_ids.insert(id.clone());
        let id = ToolCallId::from(id);
        let mut start = ToolCallStart::new(id.clone(), name);
        if let Some(message) = &mut self.message {
            message.has_calls = true;
            start.parent_message_id = Some(message.id.clone());
        }
        self.calls.insert(call, CurrentCall { id, is_open: true });
        self.emit(start, sink);
    }

    fn arguments(&mut self, call: u32, delta: &str, sink: Sink<'_>) {
        let open = self.calls.get(&call).filter(|call| call.is_open);
        if let Some(id) = open.map(|call| call.id.clone()) {
            for piece in pieces(delta) {
                self.emit(ToolCallArgs::new(id.clone(), piece), sink);
            }
        }
    }

    fn end_call(&mut self, call: u32, sink: Sink<'_>) {
        if let Some(call) = self.calls.get_mut(&call).filter(|call| call.is_open) {
            call.is_open = false;
            let end = ToolCallEnd::new(call.id.clone());
            self.emit(end, sink);
        }
    }

    fn result(&mut self, call: u32, content: &str, sink: Sink<'_>) {
        self.end_call(call, sink);
        let Some(id) = self.calls.get(&call).map(|call| call.id.clone()) else {
            return;
        };
        if content.len() > MAX_WHOLE {
            return;
        }
        self.end_text(sink);
        // What follows the result is a message of its own.
        self.message = None;
        if let Some(message_id) = self.new_item("t") {
            let mut result = ToolCallResult::new(message_id.as_str(), id, content.to_owned());
            result.role = Some(ToolRole);
            self.emit(result, sink);
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

/// Cuts a long text into pieces of whole characters.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, next) = rest.split_at(boundary::floor(rest, MAX_DELTA));
        rest = next;
        Some(piece)
    })
}
