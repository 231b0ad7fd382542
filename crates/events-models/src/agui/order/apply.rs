//! What an allowed event changes: applying refuses nothing.

use std::sync::Arc;

use super::{
    Ledger, Phase, ThreadOrder,
    error::ItemKind,
    ledger::{Owned, Owner},
    owned_ids,
};
use crate::{AgUiEvent, agui::Message};

impl ThreadOrder {
    /// Takes an allowed event into account.
    pub(in crate::agui) fn apply(&mut self, event: &AgUiEvent) {
        let tag = event.subagent_run_id();
        let ledger = &mut self.ledger;
        match event {
            AgUiEvent::TextMessageStart(start) => {
                self.start(ItemKind::TextMessage, start.message_id.to_shared(), tag);
            }
            AgUiEvent::TextMessageEnd(end) => {
                ledger.close(ItemKind::TextMessage, end.message_id.as_str());
            }
            AgUiEvent::ToolCallStart(start) => {
                let owner = start
                    .parent_message_id
                    .as_ref()
                    .filter(|_| tag.is_none())
                    .and_then(|parent| ledger.owner(Owned::Message, parent.as_str()))
                    .cloned()
                    .unwrap_or_else(|| tag.map(Arc::from));
                let id = start.tool_call_id.to_shared();
                ledger.set_owner_of_item(ItemKind::ToolCall, Arc::clone(&id), owner);
                ledger.open(ItemKind::ToolCall, id);
            }
            AgUiEvent::ToolCallEnd(end) => {
                ledger.close(ItemKind::ToolCall, end.tool_call_id.as_str());
            }
            AgUiEvent::ReasoningStart(start) => {
                self.start(ItemKind::ReasoningSpan, start.message_id.to_shared(), tag);
            }
            AgUiEvent::ReasoningEnd(end) => {
                ledger.close(ItemKind::ReasoningSpan, end.message_id.as_str());
            }
            AgUiEvent::ReasoningMessageStart(start) => {
                self.start(
                    ItemKind::ReasoningMessage,
                    start.message_id.to_shared(),
                    tag,
                );
            }
            AgUiEvent::ReasoningMessageEnd(end) => {
                ledger.close(ItemKind::ReasoningMessage, end.message_id.as_str());
            }
            AgUiEvent::StepStarted(step) => ledger.start_step(&step.step_name, tag),
            AgUiEvent::StepFinished(step) => ledger.end_step(&step.step_name, tag),
            AgUiEvent::SubagentStarted(start) => ledger.start_subagent(&start.subagent_run_id),
            AgUiEvent::SubagentFinished(end) => ledger.end_subagent(&end.subagent_run_id),
            AgUiEvent::SubagentError(end) => ledger.end_subagent(&end.subagent_run_id),
            AgUiEvent::ActivitySnapshot(snapshot) => {
                let (id, owner) = (snapshot.message_id.to_shared(), tag.map(Arc::from));
                if snapshot.replace == Some(false) {
                    ledger.set_owner_if_new(Owned::Activity, id, owner);
                } else {
                    ledger.set_owner(Owned::Activity, id, owner);
                }
            }
            AgUiEvent::ToolCallResult(result) => {
                let owner = tag.map(Arc::from);
                ledger.set_owner(Owned::Message, result.message_id.to_shared(), owner);
            }
            AgUiEvent::MessagesSnapshot(snapshot) => {
                remember_owners(ledger, &snapshot.messages, Ledger::set_owner);
            }
            AgUiEvent::RunStarted(start) => {
                *ledger = Ledger::default();
                self.phase = Phase::Active {
                    run_id: start.run_id.to_shared(),
                };
                if let Some(input) = &start.input {
                    remember_owners(ledger, &input.messages, Ledger::set_owner_if_new);
                }
            }
            AgUiEvent::RunFinished(_) => self.end(Phase::Finished),
            AgUiEvent::RunError(_) => self.end(Phase::Failed),
            AgUiEvent::TextMessageContent(_)
            | AgUiEvent::TextMessageChunk(_)
            | AgUiEvent::ToolCallArgs(_)
            | AgUiEvent::ToolCallChunk(_)
            | AgUiEvent::StateSnapshot(_)
            | AgUiEvent::StateDelta(_)
            | AgUiEvent::ActivityDelta(_)
            | AgUiEvent::Raw(_)
            | AgUiEvent::Custom(_)
            | AgUiEvent::ReasoningMessageContent(_)
            | AgUiEvent::ReasoningMessageChunk(_)
            | AgUiEvent::ReasoningEncryptedValue(_) => {}
        }
    }

    fn start(&mut self, kind: ItemKind, id: Arc<str>, tag: Option<&str>) {
        self.ledger
            .set_owner_of_item(kind, Arc::clone(&id), tag.map(Arc::from));
        self.ledger.open(kind, id);
    }

    fn end(&mut self, phase: Phase) {
        self.ledger = Ledger::default();
        self.phase = phase;
    }

    /// Closes an item that the caller knows to be open, and returns its turn.
    pub(in crate::agui) fn close(&mut self, kind: ItemKind, id: &str) -> Option<u64> {
        self.ledger.close(kind, id)
    }

    /// Takes back [`ThreadOrder::close`].
    pub(in crate::agui) fn reopen(&mut self, kind: ItemKind, id: Arc<str>, turn: u64) {
        self.ledger.reopen(kind, id, turn);
    }

    /// Tells whether an item belongs to a subagent, or to the parent agent for `None`.
    pub(in crate::agui) fn is_owner(&self, kind: ItemKind, id: &str, owner: Option<&str>) -> bool {
        self.ledger
            .owner_of_item(kind, id)
            .is_some_and(|known| known.as_deref() == owner)
    }
}

fn remember_owners(
    ledger: &mut Ledger,
    messages: &[Message],
    remember: fn(&mut Ledger, Owned, Arc<str>, Owner),
) {
    for message in messages {
        for (owned, id) in owned_ids(message) {
            remember(ledger, owned, id, message.subagent_run_id().map(Arc::from));
        }
    }
}
