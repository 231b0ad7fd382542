//! The messages, thoughts and calls of a run: opened when they are needed, closed when something else begins.

use events_core::{MessageId, ToolCallId};
use events_models::{
    MessageRole,
    agui::{
        EncryptedSubtype, ReasoningEncryptedValue, ReasoningEnd, ReasoningMessageContent,
        ReasoningMessageEnd, ReasoningMessageStart, ReasoningStart, TextMessageContent,
        TextMessageEnd, TextMessageStart, ToolCallArgs, ToolCallEnd, ToolCallResult, ToolCallStart,
        ToolRole,
    },
};

use super::{AgUiEmitter, CurrentCall, CurrentMessage, Sink};
use crate::boundary;

/// The longest text of one event, in bytes; a longer one becomes several events.
pub(super) const MAX_DELTA: usize = 64 << 10;

/// The longest value that cannot be cut, in bytes; a longer one is left out, since no log takes such an event.
const MAX_WHOLE: usize = 768 << 10;

impl AgUiEmitter {
    pub(super) fn text(&mut self, delta: &str, sink: Sink<'_>) {
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

    pub(super) fn end_text(&mut self, sink: Sink<'_>) {
        if let Some(message) = self.message.as_mut().filter(|message| message.is_text_open) {
            message.is_text_open = false;
            let end = TextMessageEnd::new(message.id.clone());
            self.emit(end, sink);
        }
    }

    pub(super) fn reason(&mut self, delta: &str, sink: Sink<'_>) {
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

    pub(super) fn end_reasoning(&mut self, sink: Sink<'_>) {
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
    pub(super) fn encrypted(&mut self, call: Option<u32>, value: &str, sink: Sink<'_>) {
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

    pub(super) fn start_call(&mut self, call: u32, id: Option<&str>, name: &str, sink: Sink<'_>) {
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

    pub(super) fn arguments(&mut self, call: u32, delta: &str, sink: Sink<'_>) {
        let open = self.calls.get(&call).filter(|call| call.is_open);
        if let Some(id) = open.map(|call| call.id.clone()) {
            for piece in pieces(delta) {
                self.emit(ToolCallArgs::new(id.clone(), piece), sink);
            }
        }
    }

    pub(super) fn end_call(&mut self, call: u32, sink: Sink<'_>) {
        if let Some(call) = self.calls.get_mut(&call).filter(|call| call.is_open) {
            call.is_open = false;
            let end = ToolCallEnd::new(call.id.clone());
            self.emit(end, sink);
        }
    }

    pub(super) fn result(&mut self, call: u32, content: &str, sink: Sink<'_>) {
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
