//! What is open, and the events that open it for a client and close it.

use std::sync::Arc;

use events_core::MessageId;

use super::{OUTCOME_UNKNOWN, ThreadContent};
use crate::agui::{
    AgUiEvent, Message, MessageRole, ReasoningEnd, ReasoningMessageEnd, ReasoningMessageStart,
    ReasoningStart, StepFinished, StepStarted, SubagentError, TextMessageEnd, TextMessageStart,
    ToolCallEnd, ToolCallStart,
    order::{ItemKind, OpenItem, ThreadOrder},
};

impl ThreadContent {
    /// Tells whether an item is open that no message shows: a snapshot has taken it away, and clients pass
    /// over its deltas.
    ///
    /// It is opened before the messages are restated, lest its start should bring it back.
    pub(super) fn is_swallowed(&self, item: &OpenItem<'_>) -> bool {
        match item.kind {
            ItemKind::TextMessage | ItemKind::ReasoningMessage => {
                self.messages.get_by(item.id).is_none()
            }
            ItemKind::ToolCall => self.messages.call(item.id).is_none(),
            ItemKind::ReasoningSpan | ItemKind::Step | ItemKind::Subagent => false,
        }
    }

    /// Tells whether a snapshot has taken away a message that a client holds.
    pub(super) fn is_gone(&self, order: &ThreadOrder, message: &Message) -> bool {
        let id = message.id();
        let is_open = || {
            [ItemKind::TextMessage, ItemKind::ReasoningMessage]
                .into_iter()
                .any(|kind| order.is_open(kind, id.as_str()))
        };
        self.messages.find(id).is_none() && (self.messages.dropped.contains(id) || is_open())
    }

    /// Makes the event that opens an item; none for a subagent, whose own start is kept.
    pub(super) fn start_of(&self, item: &OpenItem<'_>) -> Option<AgUiEvent> {
        let owner = item.owner.map(|owner| owner.as_ref().to_owned());
        let id = Arc::clone(item.id);
        Some(match item.kind {
            ItemKind::TextMessage => {
                let mut start = TextMessageStart::new(id);
                (start.role, start.name) = self.speaker(&start.message_id);
                start.subagent_run_id = owner;
                start.into()
            }
            ItemKind::ToolCall => self.call_start(item, owner).into(),
            ItemKind::ReasoningMessage => {
                let mut start = ReasoningMessageStart::new(id);
                start.subagent_run_id = owner;
                start.into()
            }
            ItemKind::ReasoningSpan => {
                let mut start = ReasoningStart::new(id);
                start.subagent_run_id = owner;
                start.into()
            }
            ItemKind::Step => {
                let mut start = StepStarted::new(item.id.as_ref());
                start.subagent_run_id = owner;
                start.into()
            }
            ItemKind::Subagent => return None,
        })
    }

    fn speaker(&self, id: &MessageId) -> (Option<MessageRole>, Option<String>) {
        match self.messages.get(id) {
            Some(Message::Developer(message)) => {
                (Some(MessageRole::Developer), message.name.clone())
            }
            Some(Message::System(message)) => (Some(MessageRole::System), message.name.clone()),
            Some(Message::Assistant(message)) => {
                (Some(MessageRole::Assistant), message.name.clone())
            }
            Some(Message::User(message)) => (Some(MessageRole::User), message.name.clone()),
            Some(Message::Tool(_) | Message::Activity(_) | Message::Reasoning(_)) | None => {
                (None, None)
            }
        }
    }

    /// Makes TOOL_CALL_START, with the message that has the call, if it is of the same owner.
    fn call_start(&self, item: &OpenItem<'_>, owner: Option<String>) -> ToolCallStart {
        let given = self.runs.open_calls.get(item.id);
        let Some((call, message)) = self.messages.call(item.id) else {
            let name = given.map_or("", |start| &start.tool_call_name);
            let mut start = ToolCallStart::new(Arc::clone(item.id), name);
            // The message that this makes for a moment must not be one that the snapshot then finds.
            if self.messages.get_by(item.id).is_some() {
                let mut parent = format!("{}-call", item.id);
                while self.messages.get_by(&parent).is_some() {
                    parent.push('-');
                }
                start.parent_message_id = Some(parent.into());
            }
            start.subagent_run_id = owner;
            return start;
        };
        let mut start = ToolCallStart::new(Arc::clone(item.id), call.function.name.as_str());
        if message.subagent_run_id == owner {
            start.subagent_run_id = owner;
            start.parent_message_id = Some(message.id.clone()).filter(|id| {
                given.is_some_and(|given| given.parent_message_id.as_ref() == Some(id))
            });
        }
        start
    }
}

/// Makes the event that closes an item for a client. A step is named with its owner, which is part of what it
/// is; for the rest it is safer to name none.
pub(super) fn end_of(kind: ItemKind, id: &Arc<str>, owner: Option<&Arc<str>>) -> AgUiEvent {
    let shared = Arc::clone(id);
    match kind {
        ItemKind::TextMessage => TextMessageEnd::new(shared).into(),
        ItemKind::ToolCall => ToolCallEnd::new(shared).into(),
        ItemKind::ReasoningMessage => ReasoningMessageEnd::new(shared).into(),
        ItemKind::ReasoningSpan => ReasoningEnd::new(shared).into(),
        ItemKind::Step => {
            let mut end = StepFinished::new(id.as_ref());
            end.subagent_run_id = owner.map(|owner| owner.as_ref().to_owned());
            end.into()
        }
        ItemKind::Subagent => {
            let mut error =
                SubagentError::new(id.as_ref(), "the subagent has ended; how is not remembered");
            error.code = Some(OUTCOME_UNKNOWN.to_owned());
            error.into()
        }
    }
}
