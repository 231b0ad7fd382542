//! What a thread has said.

use super::{
    MAX_BYTES,
    document::{Document, Unpatched},
    messages::Messages,
    run::Runs,
    snapshot::Authority,
};
use crate::agui::{
    AgUiEvent, AnyJson, AssistantMessage, DeveloperMessage, EncryptedSubtype, Message, MessageRole,
    ReasoningEncryptedValue, ReasoningMessage, ReasoningMessageStart, RunError, RunFinished,
    RunStarted, SystemMessage, TextMessageStart, UserMessage,
};

/// Where a thread stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ThreadStatus<'a> {
    /// No run has begun.
    New,
    /// A run is active.
    Running(&'a RunStarted),
    /// The last run has finished; its outcome says how.
    Finished(&'a RunFinished),
    /// The last run has failed.
    Failed(&'a RunError),
}

/// What has grown too large and was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Lost {
    pub(super) messages: bool,
    pub(super) state: bool,
    /// What began within the run.
    pub(super) items: bool,
}

/// What a thread has said: its messages, its state, its runs. It does not check the order of events.
///
/// It holds at most [`MAX_BYTES`]. A thread that grows beyond that loses its content and keeps its ids; it is
/// whole again when a run begins with an input, or once a snapshot has restated each part that was lost.
///
/// ```
/// use events_models::{
///     AgUiEventBuilder as Make, MessageRole,
///     agui::fold::{ThreadContent, ThreadStatus},
/// };
///
/// let mut content = ThreadContent::default();
/// content.take(Make::run_started("thread", "run", None));
/// content.take(Make::text_message_start("m1", MessageRole::Assistant));
/// content.take(Make::text_message_content("m1", "Hel"));
/// content.take(Make::text_message_content("m1", "lo"));
/// let json = serde_json::to_value(content.messages()).expect("messages are JSON");
/// assert_eq!(json[0]["content"], "Hello");
/// assert!(matches!(content.status(), ThreadStatus::Running(_)));
/// ```
#[derive(Clone, Debug)]
pub struct ThreadContent {
    pub(super) max_bytes: usize,
    pub(super) messages: Messages,
    pub(super) state: Option<Document>,
    pub(super) runs: Runs,
    pub(super) authority: Option<Authority>,
    pub(super) lost: Lost,
    pub(super) n_skipped_patches: u64,
}

impl Default for ThreadContent {
    fn default() -> Self {
        Self::with_max_bytes(MAX_BYTES)
    }
}

impl ThreadContent {
    /// Makes the content of a new thread that may take so many bytes instead of [`MAX_BYTES`]; with 0 it follows the
    /// runs and nothing else, which costs next to nothing.
    #[must_use]
    pub fn with_max_bytes(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            messages: Messages::default(),
            state: None,
            runs: Runs::default(),
            authority: None,
            lost: Lost::default(),
            n_skipped_patches: 0,
        }
    }

    /// Takes in an event that the thread's [`ThreadIntake`](crate::agui::intake::ThreadIntake) has let pass.
    pub fn take(&mut self, mut event: AgUiEvent) {
        self.take_from(&mut event);
    }

    /// Takes the next event from where it lies, which is not moved if it is a delta. What is left of it is of no use.
    pub fn take_from(&mut self, event: &mut AgUiEvent) {
        if self.max_bytes == 0 {
            return self.take_run(event.take());
        }
        match event {
            AgUiEvent::TextMessageContent(content) => {
                let metadata = content.metadata.take();
                self.messages
                    .append(&content.message_id, &content.delta, metadata);
            }
            AgUiEvent::ToolCallArgs(args) => self.messages.append_arguments(
                args.tool_call_id.as_str(),
                &args.delta,
                args.metadata.take(),
            ),
            AgUiEvent::ReasoningMessageContent(content) => {
                let metadata = content.metadata.take();
                self.messages
                    .append(&content.message_id, &content.delta, metadata);
            }
            other => self.take_rare(other.take()),
        }
        if self.size() > self.max_bytes {
            self.shrink();
        }
    }

    /// Follows the runs only, as in a thread that has grown too large.
    fn take_run(&mut self, event: AgUiEvent) {
        match event {
            AgUiEvent::RunStarted(mut start) => {
                start.input = None;
                self.runs.begin(start);
            }
            AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_) => self.runs.end(event),
            _ => {}
        }
        self.lost.messages = true;
    }

    fn take_rare(&mut self, event: AgUiEvent) {
        match event {
            AgUiEvent::RunStarted(start) => self.begin_run(start),
            AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_) => self.runs.end(event),
            AgUiEvent::SubagentStarted(start) if !self.lost.items => {
                self.runs.begin_subagent(start);
            }
            AgUiEvent::SubagentFinished(_) | AgUiEvent::SubagentError(_) => {
                self.runs.end_subagent(event);
            }
            AgUiEvent::StateSnapshot(snapshot) => {
                self.state = Some(Document::new(snapshot.snapshot));
                self.lost.state = false;
            }
            AgUiEvent::StateDelta(delta) if !self.lost.state => {
                // The official client begins with an empty object.
                let mut state = self
                    .state
                    .take()
                    .map_or_else(|| (false, Document::new(empty())), |state| (true, state));
                let outcome = state.1.patch(&delta.delta, false);
                if state.0 || outcome.is_ok() {
                    self.state = Some(state.1);
                }
                self.note(outcome);
            }
            AgUiEvent::MessagesSnapshot(snapshot) => {
                self.messages.restate(snapshot, &mut self.authority);
                self.lost.messages = false;
            }
            AgUiEvent::ToolCallEnd(end) => {
                let id = end.tool_call_id.as_str();
                self.runs.end_call(id);
                self.messages.annotate_call(id, end.metadata);
            }
            AgUiEvent::ToolCallStart(start) => {
                self.runs.begin_call(&start);
                if !self.lost.messages {
                    self.messages.start_call(start);
                }
            }
            event if !self.lost.messages => self.take_message(event),
            _ => {}
        }
    }

    fn take_message(&mut self, event: AgUiEvent) {
        match event {
            AgUiEvent::TextMessageStart(mut start) => {
                let metadata = start.metadata.take();
                let id = start.message_id.clone();
                if self.messages.find(&id).is_none() {
                    self.messages.push(text_message(start));
                }
                self.messages.annotate(&id, metadata);
            }
            AgUiEvent::TextMessageEnd(end) => {
                self.messages.annotate(&end.message_id, end.metadata);
            }
            AgUiEvent::ReasoningMessageStart(mut start) => {
                let metadata = start.metadata.take();
                let id = start.message_id.clone();
                if self.messages.find(&id).is_none() {
                    self.messages.push(reasoning_message(start));
                }
                self.messages.annotate(&id, metadata);
            }
            AgUiEvent::ReasoningMessageEnd(end) => {
                self.messages.annotate(&end.message_id, end.metadata);
            }
            AgUiEvent::ReasoningEncryptedValue(value) => self.encrypt(value),
            AgUiEvent::ToolCallResult(result) => self.messages.answer(result),
            AgUiEvent::ActivitySnapshot(snapshot) => self.messages.state_activity(snapshot),
            AgUiEvent::ActivityDelta(delta) => {
                let outcome = self.messages.patch_activity(delta);
                self.note(outcome);
            }
            // The rest says nothing that lasts. Chunks never come here: the intake expands them.
            _ => {}
        }
    }

    fn begin_run(&mut self, mut start: RunStarted) {
        self.lost.items = false;
        if let Some(input) = start.input.take() {
            if self.is_too_large() {
                self.messages.replace_all(Vec::new());
                self.state = None;
                self.lost = Lost::default();
            }
            for message in input.messages {
                if self.messages.find(message.id()).is_none() {
                    self.messages.push(message);
                }
            }
            if let Some(state) = input.state {
                self.state = Some(Document::new(state));
            }
        }
        self.messages.run = self.messages.run.wrapping_add(1);
        self.runs.begin(start);
    }

    fn encrypt(&mut self, value: ReasoningEncryptedValue) {
        let id = &value.entity_id;
        match value.subtype {
            EncryptedSubtype::ToolCall => {
                self.messages.set_encrypted_call(id, value.encrypted_value);
            }
            EncryptedSubtype::Message => self.messages.set_encrypted(id, value.encrypted_value),
        }
    }

    fn note(&mut self, outcome: Result<(), Unpatched>) {
        match outcome {
            Ok(()) => {}
            Err(Unpatched::DoesNotApply) => self.n_skipped_patches += 1,
            Err(Unpatched::TooLarge) => self.give_up(),
        }
    }

    /// Drops the content if it is too large indeed, which an estimate may have said.
    pub(super) fn shrink(&mut self) {
        if let Some(state) = &mut self.state {
            state.recount();
        }
        self.messages.recount();
        // With room to grow, so that one event in many has to count.
        if self.size() > self.max_bytes - self.max_bytes / 8 {
            self.give_up();
        }
    }

    /// Drops the content and keeps its ids, as if it had grown too large: for whoever has a bound over many threads.
    pub fn give_up(&mut self) {
        self.lost.messages |= !self.messages.is_empty();
        self.lost.state |= self.state.is_some();
        self.lost.items |= !self.runs.subagents.is_empty();
        self.messages = Messages::default();
        self.state = None;
        self.runs.forget_items();
    }

    /// Returns the messages, in their order.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.messages.to_messages()
    }

    /// Counts the messages.
    #[must_use]
    pub fn n_messages(&self) -> usize {
        self.messages.iter().count()
    }

    /// Returns the state; none if the thread has not said any.
    #[must_use]
    pub fn state(&self) -> Option<AnyJson> {
        self.state.as_ref().map(Document::to_json)
    }

    /// Tells where the thread stands.
    #[must_use]
    pub fn status(&self) -> ThreadStatus<'_> {
        if let (true, Some(start)) = (self.runs.is_active, &self.runs.start) {
            return ThreadStatus::Running(start);
        }
        match self.runs.ended.back().map(|end| &end.event) {
            Some(AgUiEvent::RunFinished(end)) => ThreadStatus::Finished(end),
            Some(AgUiEvent::RunError(error)) => ThreadStatus::Failed(error),
            _ => ThreadStatus::New,
        }
    }

    /// Returns what the content takes as JSON, in bytes; an estimate that is never much too low.
    #[must_use]
    pub fn size(&self) -> usize {
        let state = self.state.as_ref().map_or(0, Document::bytes);
        self.messages.bytes + state + self.runs.bytes
    }

    /// Tells whether the thread has grown beyond [`MAX_BYTES`] and its content is dropped.
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        self.lost.messages || self.lost.state || self.lost.items
    }

    /// Counts the patches that did not fit what they were for, and were passed over.
    #[must_use]
    pub const fn n_skipped_patches(&self) -> u64 {
        self.n_skipped_patches
    }
}

fn empty() -> AnyJson {
    serde_json::Value::Object(serde_json::Map::new()).into()
}

fn text_message(start: TextMessageStart) -> Message {
    let (id, name, owner) = (start.message_id, start.name, start.subagent_run_id);
    match start.role.unwrap_or(MessageRole::Assistant) {
        MessageRole::Developer => {
            let mut message = DeveloperMessage::new(id, "");
            message.name = name;
            message.subagent_run_id = owner;
            message.into()
        }
        MessageRole::System => {
            let mut message = SystemMessage::new(id, "");
            message.name = name;
            message.subagent_run_id = owner;
            message.into()
        }
        MessageRole::Assistant => {
            let mut message = AssistantMessage::new(id);
            message.content = Some(String::new());
            message.name = name;
            message.subagent_run_id = owner;
            message.into()
        }
        MessageRole::User => {
            let mut message = UserMessage::new(id, "");
            message.name = name;
            message.subagent_run_id = owner;
            message.into()
        }
    }
}

fn reasoning_message(start: ReasoningMessageStart) -> Message {
    let mut message = ReasoningMessage::new(start.message_id, "");
    message.subagent_run_id = start.subagent_run_id;
    message.into()
}
