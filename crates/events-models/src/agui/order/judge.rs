//! The rules: judging changes nothing.

use super::{
    Ledger, OrderError, Phase, ThreadOrder,
    error::ItemKind,
    ledger::{Owned, Owner},
    owned_ids,
};
use crate::{
    AgUiEvent, AgUiEventType,
    agui::{EncryptedSubtype, Message, SubagentStarted, ToolCallStart},
};

/// How many open things the text of an error lists.
const MAX_LISTED: usize = 5;

impl ThreadOrder {
    /// Says whether an event is allowed now.
    pub(in crate::agui) fn judge(&self, event: &AgUiEvent) -> Result<(), OrderError> {
        let found = event.event_type();
        self.judge_phase(found, event)?;
        let tag = event.subagent_run_id();
        match event {
            AgUiEvent::TextMessageStart(start) => {
                self.judge_start(found, ItemKind::TextMessage, start.message_id.as_str(), tag)
            }
            AgUiEvent::TextMessageContent(content) => self.judge_use(
                found,
                ItemKind::TextMessage,
                content.message_id.as_str(),
                tag,
            ),
            AgUiEvent::TextMessageEnd(end) => {
                self.judge_use(found, ItemKind::TextMessage, end.message_id.as_str(), tag)
            }
            AgUiEvent::ToolCallStart(start) => {
                self.judge_start(found, ItemKind::ToolCall, start.tool_call_id.as_str(), tag)?;
                self.judge_parent(start)
            }
            AgUiEvent::ToolCallArgs(args) => {
                self.judge_use(found, ItemKind::ToolCall, args.tool_call_id.as_str(), tag)
            }
            AgUiEvent::ToolCallEnd(end) => {
                self.judge_use(found, ItemKind::ToolCall, end.tool_call_id.as_str(), tag)
            }
            AgUiEvent::ReasoningStart(start) => self.judge_start(
                found,
                ItemKind::ReasoningSpan,
                start.message_id.as_str(),
                tag,
            ),
            AgUiEvent::ReasoningEnd(end) => {
                self.judge_use(found, ItemKind::ReasoningSpan, end.message_id.as_str(), tag)
            }
            AgUiEvent::ReasoningMessageStart(start) => self.judge_start(
                found,
                ItemKind::ReasoningMessage,
                start.message_id.as_str(),
                tag,
            ),
            AgUiEvent::ReasoningMessageContent(content) => self.judge_use(
                found,
                ItemKind::ReasoningMessage,
                content.message_id.as_str(),
                tag,
            ),
            AgUiEvent::ReasoningMessageEnd(end) => self.judge_use(
                found,
                ItemKind::ReasoningMessage,
                end.message_id.as_str(),
                tag,
            ),
            AgUiEvent::StepStarted(step) => {
                if self.ledger.is_step_active(&step.step_name, tag) {
                    return Err(OrderError::StepActive {
                        step: step.step_name.clone(),
                        owner: tag.map(str::to_owned),
                    });
                }
                self.judge_room(1)
            }
            AgUiEvent::StepFinished(step) => {
                if self.ledger.is_step_active(&step.step_name, tag) {
                    return Ok(());
                }
                Err(OrderError::StepNotActive {
                    step: step.step_name.clone(),
                    owner: tag.map(str::to_owned),
                })
            }
            AgUiEvent::SubagentStarted(start) => self.judge_subagent_start(start),
            AgUiEvent::SubagentFinished(end) => {
                self.judge_subagent_end(found, &end.subagent_run_id)
            }
            AgUiEvent::SubagentError(end) => self.judge_subagent_end(found, &end.subagent_run_id),
            AgUiEvent::ActivityDelta(delta) => {
                let id = delta.message_id.as_str();
                judge_owner(found, id, tag, self.ledger.owner(Owned::Activity, id))
            }
            AgUiEvent::ReasoningEncryptedValue(value) => {
                let id = value.entity_id.as_str();
                let owner = match value.subtype {
                    EncryptedSubtype::ToolCall => self.ledger.owner(Owned::ToolCall, id),
                    EncryptedSubtype::Message => self
                        .ledger
                        .owner(Owned::Message, id)
                        .or_else(|| self.ledger.owner(Owned::Reasoning, id)),
                };
                judge_owner(found, id, tag, owner)
            }
            AgUiEvent::ActivitySnapshot(snapshot) => {
                let id = snapshot.message_id.as_str();
                self.judge_room(usize::from(
                    self.ledger.owner(Owned::Activity, id).is_none(),
                ))
            }
            AgUiEvent::ToolCallResult(result) => {
                let id = result.message_id.as_str();
                self.judge_room(usize::from(self.ledger.owner(Owned::Message, id).is_none()))
            }
            AgUiEvent::MessagesSnapshot(snapshot) => {
                self.judge_room(n_new_ids(&self.ledger, &snapshot.messages))
            }
            AgUiEvent::RunStarted(start) => {
                let messages = start.input.as_ref().map(|input| &*input.messages);
                // Nothing of the run before is remembered.
                let n_ids = n_new_ids(&Ledger::default(), messages.unwrap_or_default());
                if n_ids > self.max_ids {
                    return Err(self.too_many_ids());
                }
                Ok(())
            }
            AgUiEvent::RunFinished(_) => self.judge_finish(),
            AgUiEvent::TextMessageChunk(_)
            | AgUiEvent::ToolCallChunk(_)
            | AgUiEvent::ReasoningMessageChunk(_) => Err(OrderError::NotExpanded { found }),
            AgUiEvent::StateSnapshot(_)
            | AgUiEvent::StateDelta(_)
            | AgUiEvent::Raw(_)
            | AgUiEvent::Custom(_)
            | AgUiEvent::RunError(_) => Ok(()),
        }
    }

    /// Rules 1, 2 and 3.
    fn judge_phase(&self, found: AgUiEventType, event: &AgUiEvent) -> Result<(), OrderError> {
        match (&self.phase, event) {
            (Phase::Active { run_id }, AgUiEvent::RunStarted(start)) => {
                Err(OrderError::RunActive {
                    active: run_id.as_ref().to_owned(),
                    next: start.run_id.as_str().to_owned(),
                })
            }
            (Phase::Active { .. }, _)
            | (_, AgUiEvent::RunStarted(_))
            | (Phase::Fresh | Phase::Finished, AgUiEvent::RunError(_)) => Ok(()),
            (Phase::Fresh, _) => Err(OrderError::NotStarted { found }),
            (Phase::Finished, _) => Err(OrderError::RunFinished { found }),
            (Phase::Failed, _) => Err(OrderError::RunFailed { found }),
        }
    }

    fn judge_start(
        &self,
        found: AgUiEventType,
        kind: ItemKind,
        id: &str,
        tag: Option<&str>,
    ) -> Result<(), OrderError> {
        if self.ledger.is_open(kind, id) {
            return Err(OrderError::AlreadyOpen {
                kind,
                id: id.to_owned(),
            });
        }
        let owner = self.ledger.owner_of_item(kind, id);
        judge_owner(found, id, tag, owner)?;
        self.judge_room(if owner.is_some() { 1 } else { 2 })
    }

    fn judge_use(
        &self,
        found: AgUiEventType,
        kind: ItemKind,
        id: &str,
        tag: Option<&str>,
    ) -> Result<(), OrderError> {
        if !self.ledger.is_open(kind, id) {
            return Err(OrderError::NotOpen {
                found,
                kind,
                id: id.to_owned(),
            });
        }
        // An event without a tag never disagrees, and most have none.
        if tag.is_none() {
            return Ok(());
        }
        judge_owner(found, id, tag, self.ledger.owner_of_item(kind, id))
    }

    /// Rule 10 for a tool call and the message that makes it.
    fn judge_parent(&self, start: &ToolCallStart) -> Result<(), OrderError> {
        let Some(parent) = &start.parent_message_id else {
            return Ok(());
        };
        let Some(parent_owner) = self.ledger.owner(Owned::Message, parent.as_str()) else {
            return Ok(());
        };
        let id = start.tool_call_id.as_str();
        let call_owner = match start.subagent_run_id.as_deref() {
            Some(tag) => Some(tag),
            // Without a tag the call is its message's, unless it was known before.
            None => match self.ledger.owner(Owned::ToolCall, id) {
                Some(known) => known.as_deref(),
                None => return Ok(()),
            },
        };
        if call_owner == parent_owner.as_deref() {
            return Ok(());
        }
        Err(OrderError::ForeignParent {
            id: id.to_owned(),
            parent: parent.as_str().to_owned(),
            tag: call_owner.map(str::to_owned),
            owner: parent_owner.as_deref().map(str::to_owned),
        })
    }

    fn judge_subagent_start(&self, start: &SubagentStarted) -> Result<(), OrderError> {
        let id = &start.subagent_run_id;
        if self.ledger.is_subagent_active(id) {
            return Err(OrderError::SubagentActive { id: id.clone() });
        }
        if self.ledger.is_subagent_known(id) {
            return Err(OrderError::SubagentReused { id: id.clone() });
        }
        match &start.parent_subagent_run_id {
            Some(parent) if !self.ledger.is_subagent_known(parent) => {
                Err(OrderError::SubagentParentUnknown {
                    id: id.clone(),
                    parent: parent.clone(),
                })
            }
            _ => self.judge_room(1),
        }
    }

    fn judge_subagent_end(&self, found: AgUiEventType, id: &str) -> Result<(), OrderError> {
        if self.ledger.is_subagent_active(id) {
            return Ok(());
        }
        Err(OrderError::SubagentNotActive {
            found,
            id: id.to_owned(),
        })
    }

    /// Rule 9.
    fn judge_finish(&self) -> Result<(), OrderError> {
        if !self.ledger.has_open_items() {
            return Ok(());
        }
        let items = self.ledger.open_items();
        let mut open = items
            .iter()
            .take(MAX_LISTED)
            .map(|item| format!("{} `{}`", item.kind, item.id))
            .collect::<Vec<_>>()
            .join(", ");
        if items.len() > MAX_LISTED {
            open.push_str(&format!(" and {} more", items.len() - MAX_LISTED));
        }
        Err(OrderError::StillOpen { open })
    }

    /// Refuses what needs more ids than are left.
    fn judge_room(&self, n_ids: usize) -> Result<(), OrderError> {
        if self.ledger.n_ids() + n_ids > self.max_ids {
            return Err(self.too_many_ids());
        }
        Ok(())
    }

    const fn too_many_ids(&self) -> OrderError {
        OrderError::TooManyIds {
            limit: self.max_ids,
        }
    }
}

/// Rule 10: a tag has to be the owner's, if the thing is known.
fn judge_owner(
    found: AgUiEventType,
    id: &str,
    tag: Option<&str>,
    owner: Option<&Owner>,
) -> Result<(), OrderError> {
    match (tag, owner) {
        (Some(tag), Some(owner)) if owner.as_deref() != Some(tag) => {
            Err(OrderError::ForeignOwner {
                found,
                id: id.to_owned(),
                tag: Some(tag.to_owned()),
                owner: owner.as_deref().map(str::to_owned),
            })
        }
        _ => Ok(()),
    }
}

fn n_new_ids(ledger: &Ledger, messages: &[Message]) -> usize {
    messages
        .iter()
        .flat_map(owned_ids)
        .filter(|(owned, id)| ledger.owner(*owned, id).is_none())
        .count()
}
