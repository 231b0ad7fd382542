//! Makes events with the time of making them.

use events_core::{Clock, MessageId, SystemClock, TaskId, ThreadId, ToolCallId};
use serde_json::Value;

use super::{
    ActivityDelta, ActivitySnapshot, AgUiEvent, Custom, EncryptedSubtype, JsonPatchOperation,
    Message, MessageRole, MessagesSnapshot, OpenObject, Raw, ReasoningEncryptedValue, ReasoningEnd,
    ReasoningMessageChunk, ReasoningMessageContent, ReasoningMessageEnd, ReasoningMessageStart,
    ReasoningStart, RunAgentInput, RunError, RunFinished, RunOutcome, RunStarted, StateDelta,
    StateSnapshot, StepFinished, StepStarted, SubagentError, SubagentFinished, SubagentStarted,
    TextMessageChunk, TextMessageContent, TextMessageEnd, TextMessageStart, ToolCallArgs,
    ToolCallChunk, ToolCallEnd, ToolCallResult, ToolCallStart, ToolResultContent, ToolRole,
};

/// Makes events and stamps them with the machine's time.
///
/// For another time, or none, build the struct itself ([`TextMessageContent::new`]) and stamp it with
/// [`AgUiEventBuilder::stamp`].
///
/// ```
/// use events_models::{AgUiEventBuilder, AgUiEventType};
///
/// let event = AgUiEventBuilder::text_message_content("m1", "Hello");
/// assert_eq!(event.event_type(), AgUiEventType::TextMessageContent);
/// assert!(event.timestamp().is_some());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AgUiEventBuilder;

fn now(event: impl Into<AgUiEvent>) -> AgUiEvent {
    AgUiEventBuilder::stamp(&SystemClock, event)
}

/// An optional result: JSON's `null` has no other way to be written than to be left out.
fn unless_null(value: Option<Value>) -> Option<super::AnyJson> {
    value.filter(|value| !value.is_null()).map(Into::into)
}

impl AgUiEventBuilder {
    /// Stamps an event with the time of a clock.
    pub fn stamp(clock: &dyn Clock, event: impl Into<AgUiEvent>) -> AgUiEvent {
        let mut event = event.into();
        event.set_timestamp(Some(clock.now_ms()));
        event
    }

    /// Makes `RUN_STARTED`.
    pub fn run_started(
        thread_id: impl Into<ThreadId>,
        run_id: impl Into<TaskId>,
        input: Option<RunAgentInput>,
    ) -> AgUiEvent {
        let mut event = RunStarted::new(thread_id, run_id);
        event.input = input.map(Box::new);
        now(event)
    }

    /// Makes `RUN_FINISHED` of a success; a `null` result is left out.
    pub fn run_finished(
        thread_id: impl Into<ThreadId>,
        run_id: impl Into<TaskId>,
        result: Option<Value>,
    ) -> AgUiEvent {
        let mut event = RunFinished::new(thread_id, run_id);
        event.result = unless_null(result);
        now(event)
    }

    /// Makes `RUN_FINISHED` with a given outcome.
    pub fn run_finished_with(
        thread_id: impl Into<ThreadId>,
        run_id: impl Into<TaskId>,
        outcome: RunOutcome,
    ) -> AgUiEvent {
        let mut event = RunFinished::new(thread_id, run_id);
        event.outcome = Some(outcome);
        now(event)
    }

    /// Makes `RUN_ERROR`.
    pub fn run_error(message: impl Into<String>, code: Option<String>) -> AgUiEvent {
        let mut event = RunError::new(message);
        event.code = code;
        now(event)
    }

    /// Makes `STEP_STARTED`.
    pub fn step_started(step_name: impl Into<String>) -> AgUiEvent {
        now(StepStarted::new(step_name))
    }

    /// Makes `STEP_FINISHED`.
    pub fn step_finished(step_name: impl Into<String>) -> AgUiEvent {
        now(StepFinished::new(step_name))
    }

    /// Makes `TEXT_MESSAGE_START`.
    pub fn text_message_start(message_id: impl Into<MessageId>, role: MessageRole) -> AgUiEvent {
        let mut event = TextMessageStart::new(message_id);
        event.role = Some(role);
        now(event)
    }

    /// Makes `TEXT_MESSAGE_CONTENT`.
    pub fn text_message_content(
        message_id: impl Into<MessageId>,
        delta: impl Into<String>,
    ) -> AgUiEvent {
        now(TextMessageContent::new(message_id, delta))
    }

    /// Makes `TEXT_MESSAGE_END`.
    pub fn text_message_end(message_id: impl Into<MessageId>) -> AgUiEvent {
        now(TextMessageEnd::new(message_id))
    }

    /// Makes `TEXT_MESSAGE_CHUNK` of a message.
    pub fn text_message_chunk(
        message_id: impl Into<MessageId>,
        delta: impl Into<String>,
    ) -> AgUiEvent {
        let mut event = TextMessageChunk::new();
        event.message_id = Some(message_id.into());
        event.delta = Some(delta.into());
        now(event)
    }

    /// Makes `TOOL_CALL_START`.
    pub fn tool_call_start(
        tool_call_id: impl Into<ToolCallId>,
        tool_call_name: impl Into<String>,
        parent_message_id: Option<String>,
    ) -> AgUiEvent {
        let mut event = ToolCallStart::new(tool_call_id, tool_call_name);
        event.parent_message_id = parent_message_id.map(Into::into);
        now(event)
    }

    /// Makes `TOOL_CALL_ARGS`.
    pub fn tool_call_args(
        tool_call_id: impl Into<ToolCallId>,
        delta: impl Into<String>,
    ) -> AgUiEvent {
        now(ToolCallArgs::new(tool_call_id, delta))
    }

    /// Makes `TOOL_CALL_END`.
    pub fn tool_call_end(tool_call_id: impl Into<ToolCallId>) -> AgUiEvent {
        now(ToolCallEnd::new(tool_call_id))
    }

    /// Makes `TOOL_CALL_CHUNK` of a call.
    pub fn tool_call_chunk(
        tool_call_id: impl Into<ToolCallId>,
        tool_call_name: impl Into<String>,
        delta: impl Into<String>,
    ) -> AgUiEvent {
        let mut event = ToolCallChunk::new();
        event.tool_call_id = Some(tool_call_id.into());
        event.tool_call_name = Some(tool_call_name.into());
        event.delta = Some(delta.into());
        now(event)
    }

    /// Makes `TOOL_CALL_RESULT`. A JSON value that is neither a string nor content parts becomes its text.
    pub fn tool_call_result(
        message_id: impl Into<MessageId>,
        tool_call_id: impl Into<ToolCallId>,
        content: impl Into<ToolResultContent>,
    ) -> AgUiEvent {
        let mut event = ToolCallResult::new(message_id, tool_call_id, content);
        event.role = Some(ToolRole);
        now(event)
    }

    /// Makes `STATE_SNAPSHOT`.
    pub fn state_snapshot(snapshot: Value) -> AgUiEvent {
        now(StateSnapshot::new(snapshot))
    }

    /// Makes `STATE_DELTA`.
    pub fn state_delta(delta: Vec<JsonPatchOperation>) -> AgUiEvent {
        now(StateDelta::new(delta))
    }

    /// Makes `MESSAGES_SNAPSHOT`.
    pub fn messages_snapshot(messages: Vec<Message>) -> AgUiEvent {
        now(MessagesSnapshot::new(messages))
    }

    /// Makes `ACTIVITY_SNAPSHOT`.
    pub fn activity_snapshot(
        message_id: impl Into<MessageId>,
        activity_type: impl Into<String>,
        content: impl Into<OpenObject>,
    ) -> AgUiEvent {
        now(ActivitySnapshot::new(message_id, activity_type, content))
    }

    /// Makes `ACTIVITY_DELTA`.
    pub fn activity_delta(
        message_id: impl Into<MessageId>,
        activity_type: impl Into<String>,
        patch: Vec<JsonPatchOperation>,
    ) -> AgUiEvent {
        now(ActivityDelta::new(message_id, activity_type, patch))
    }

    /// Makes `RAW`.
    pub fn raw(event: Value, source: Option<String>) -> AgUiEvent {
        let mut raw = Raw::new(event);
        raw.source = source;
        now(raw)
    }

    /// Makes `CUSTOM`.
    pub fn custom(name: impl Into<String>, value: Value) -> AgUiEvent {
        now(Custom::new(name, value))
    }

    /// Makes `REASONING_START`.
    pub fn reasoning_start(message_id: impl Into<MessageId>) -> AgUiEvent {
        now(ReasoningStart::new(message_id))
    }

    /// Makes `REASONING_MESSAGE_START`.
    pub fn reasoning_message_start(message_id: impl Into<MessageId>) -> AgUiEvent {
        now(ReasoningMessageStart::new(message_id))
    }

    /// Makes `REASONING_MESSAGE_CONTENT`.
    pub fn reasoning_message_content(
        message_id: impl Into<MessageId>,
        delta: impl Into<String>,
    ) -> AgUiEvent {
        now(ReasoningMessageContent::new(message_id, delta))
    }

    /// Makes `REASONING_MESSAGE_END`.
    pub fn reasoning_message_end(message_id: impl Into<MessageId>) -> AgUiEvent {
        now(ReasoningMessageEnd::new(message_id))
    }

    /// Makes `REASONING_MESSAGE_CHUNK` of a message.
    pub fn reasoning_message_chunk(
        message_id: impl Into<MessageId>,
        delta: impl Into<String>,
    ) -> AgUiEvent {
        let mut event = ReasoningMessageChunk::new();
        event.message_id = Some(message_id.into());
        event.delta = Some(delta.into());
        now(event)
    }

    /// Makes `REASONING_END`.
    pub fn reasoning_end(message_id: impl Into<MessageId>) -> AgUiEvent {
        now(ReasoningEnd::new(message_id))
    }

    /// Makes `REASONING_ENCRYPTED_VALUE`.
    pub fn reasoning_encrypted_value(
        subtype: EncryptedSubtype,
        entity_id: impl Into<String>,
        encrypted_value: impl Into<String>,
    ) -> AgUiEvent {
        now(ReasoningEncryptedValue::new(
            subtype,
            entity_id,
            encrypted_value,
        ))
    }

    /// Makes `SUBAGENT_STARTED`.
    pub fn subagent_started(
        subagent_run_id: impl Into<String>,
        name: impl Into<String>,
    ) -> AgUiEvent {
        now(SubagentStarted::new(subagent_run_id, name))
    }

    /// Makes `SUBAGENT_FINISHED` of a success; a `null` result is left out.
    pub fn subagent_finished(
        subagent_run_id: impl Into<String>,
        result: Option<Value>,
    ) -> AgUiEvent {
        let mut event = SubagentFinished::new(subagent_run_id);
        event.result = unless_null(result);
        now(event)
    }

    /// Makes `SUBAGENT_ERROR`.
    pub fn subagent_error(
        subagent_run_id: impl Into<String>,
        message: impl Into<String>,
        code: Option<String>,
    ) -> AgUiEvent {
        let mut event = SubagentError::new(subagent_run_id, message);
        event.code = code;
        now(event)
    }
}
