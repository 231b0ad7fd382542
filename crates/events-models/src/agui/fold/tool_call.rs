//! Tool calls, which live within the messages that make them.

use std::sync::Arc;

use events_core::MessageId;

use super::messages::{Messages, merge, set_text};
use crate::{
    agui::{
        AssistantMessage, FunctionCall, Message, OpenObject, ToolCall, ToolCallResult,
        ToolCallStart, ToolMessage,
    },
    wire::{json_bytes, text_bytes},
};

impl Messages {
    /// Begins a call, or renames one that is known.
    ///
    /// It goes to the message that is named, if the agent says it or nobody has said it yet, and else to a
    /// message of its own, which has the id of the call.
    pub(super) fn start_call(&mut self, start: ToolCallStart) {
        let id = start.tool_call_id.to_shared();
        if let Some((call, bytes)) = self.call_mut(&id) {
            *bytes += text_bytes(&start.tool_call_name);
            *bytes -= text_bytes(&call.function.name).min(*bytes);
            call.function.name = start.tool_call_name;
            merge(&mut call.metadata, start.metadata, bytes);
            return;
        }
        let mut call = ToolCall::new(
            start.tool_call_id,
            FunctionCall::new(start.tool_call_name, ""),
        );
        call.metadata = start.metadata;
        // The official client takes an empty name for none.
        let parent = start.parent_message_id.filter(|id| !id.as_str().is_empty());
        let known = parent.as_ref().and_then(|parent| self.find(parent));
        let (place, is_new) = match (known, parent) {
            (Some(place), _) if matches!(self.entries[place].message, Message::Assistant(_)) => {
                (place, false)
            }
            (None, Some(parent)) => (self.push(assistant(parent)), true),
            _ => {
                let is_new = self.find(&Arc::clone(&id).into()).is_none();
                (self.push(assistant(Arc::clone(&id))), is_new)
            }
        };
        if let Message::Assistant(message) = &mut self.entries[place].message {
            if is_new && start.subagent_run_id.is_some() {
                self.bytes += json_bytes(&start.subagent_run_id) + 17;
                message.subagent_run_id = start.subagent_run_id;
            }
            let calls = message.tool_calls.get_or_insert_default();
            self.bytes += json_bytes(&call) + if calls.is_empty() { 15 } else { 1 };
            self.calls.insert(id, (place, calls.len()));
            calls.push(call);
        }
    }

    /// Appends to the arguments of a call, and to its metadata.
    pub(super) fn append_arguments(&mut self, id: &str, delta: &str, metadata: Option<OpenObject>) {
        if let Some((call, bytes)) = self.call_mut(id) {
            call.function.arguments.push_str(delta);
            *bytes += text_bytes(delta);
            merge(&mut call.metadata, metadata, bytes);
        }
    }

    /// Adds metadata to a call.
    pub(super) fn annotate_call(&mut self, id: &str, metadata: Option<OpenObject>) {
        self.append_arguments(id, "", metadata);
    }

    /// Sets the opaque value of a call.
    pub(super) fn set_encrypted_call(&mut self, id: &str, value: String) {
        if let Some((call, bytes)) = self.call_mut(id) {
            set_text(&mut call.encrypted_value, value, bytes);
        }
    }

    /// Adds what a tool has answered.
    pub(super) fn answer(&mut self, result: ToolCallResult) {
        let call = result.tool_call_id.to_shared();
        let mut message = ToolMessage::new(result.message_id, result.content, result.tool_call_id);
        message.metadata = result.metadata;
        message.subagent_run_id = result.subagent_run_id;
        self.insert_result(&call, message.into());
    }

    /// Returns a call and the message that makes it.
    pub(super) fn call(&self, id: &str) -> Option<(&ToolCall, &AssistantMessage)> {
        let (place, at) = *self.calls.get(id)?;
        let Message::Assistant(message) = &self.entries[place].message else {
            return None;
        };
        Some((message.tool_calls.as_ref()?.get(at)?, message))
    }

    fn call_mut(&mut self, id: &str) -> Option<(&mut ToolCall, &mut usize)> {
        let (place, at) = *self.calls.get(id)?;
        let Message::Assistant(message) = &mut self.entries[place].message else {
            return None;
        };
        let call = message.tool_calls.as_mut()?.get_mut(at)?;
        Some((call, &mut self.bytes))
    }
}

fn assistant(id: impl Into<MessageId>) -> Message {
    AssistantMessage::new(id).into()
}
