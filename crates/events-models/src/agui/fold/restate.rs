//! Messages and state, told again.
//!
//! A client replaces messages where they stand and appends what is new, so it can come to hold the right
//! messages in a wrong order: a tool's answer is inserted behind its call, before what was said since. Such a
//! client is first sent a snapshot of the messages before the first one that is misplaced, and then appends
//! the rest in the right order.

use std::collections::{HashMap, HashSet};

use events_core::MessageId;

use super::{Reader, ThreadContent, messages::Messages};
use crate::agui::{
    AgUiEvent, Message, MessagesSnapshot, RunAgentInput, StateSnapshot, order::ThreadOrder,
};

impl Messages {
    /// Says how many messages stand right with a client that holds those of its request, if not all that it
    /// holds do. They have to be how the thread begins, but for activities, which requests leave out.
    pub(super) fn n_right_for(&self, input: &RunAgentInput) -> Option<usize> {
        let mut expected = self
            .iter()
            .enumerate()
            .filter(|(_, entry)| !matches!(entry.message, Message::Activity(_)));
        let held: HashSet<&MessageId> = input.messages.iter().map(Message::id).collect();
        let shared = self.first_shared(|id| held.contains(id));
        let mut n_right = 0;
        for message in &input.messages {
            if matches!(message, Message::Activity(_)) || self.find(message.id()).is_none() {
                continue;
            }
            match expected.next() {
                Some((at, entry)) if entry.message.id() == message.id() => n_right = at + 1,
                _ => return Some(shared.map_or(n_right, |shared| shared.min(n_right))),
            }
        }
        shared
    }
}

impl ThreadContent {
    /// Restates messages and state, within a run. `n_right` messages stand right with the client, if not all
    /// that it may hold do.
    pub(super) fn restate(
        &self,
        order: &ThreadOrder,
        reader: &Reader<'_>,
        n_right: Option<usize>,
        events: &mut Vec<AgUiEvent>,
    ) {
        let messages = self.owned_messages(order);
        let of_request = reader
            .input
            .map_or(&[][..], |input| &*input.messages)
            .iter()
            .filter(|message| !self.is_gone(order, message));
        let restated = if let Some(n_right) = n_right {
            let right = messages[..n_right].to_vec();
            events.push(self.snapshot(right));
            let unknown = of_request.filter(|message| self.messages.find(message.id()).is_none());
            let unknown: Vec<_> = unknown.cloned().collect();
            messages.into_iter().chain(unknown).collect()
        } else {
            merged(of_request, messages)
        };
        events.push(self.snapshot(restated));
        if let Some(state) = self.state() {
            events.push(StateSnapshot::new(state).into());
        }
    }

    fn snapshot(&self, messages: Vec<Message>) -> AgUiEvent {
        let mut snapshot = MessagesSnapshot::new(messages);
        snapshot.metadata = self
            .authority
            .as_ref()
            .map(|declared| declared.to_metadata());
        snapshot.into()
    }

    /// Returns the messages with the owners by which the run's next events are judged. They are the messages'
    /// own, unless an id of an earlier run is used again for another.
    fn owned_messages(&self, order: &ThreadOrder) -> Vec<Message> {
        let mut messages = self.messages();
        for message in &mut messages {
            if let Some(owner) = order.owner_of(message)
                && message.subagent_run_id() != Some(owner)
            {
                message.set_subagent_run_id(Some(owner.to_owned()));
            }
        }
        messages
    }
}

/// Puts the thread's messages in the order of a request, followed by those that the request lacks.
fn merged<'m>(
    of_request: impl Iterator<Item = &'m Message>,
    messages: Vec<Message>,
) -> Vec<Message> {
    let of_request: Vec<&Message> = of_request.collect();
    if of_request.is_empty() {
        return messages;
    }
    let named: HashSet<MessageId> = of_request
        .iter()
        .map(|message| message.id().clone())
        .collect();
    let mut known: HashMap<MessageId, Message> = HashMap::new();
    let mut rest = Vec::new();
    for message in messages {
        if named.contains(message.id()) {
            known.entry(message.id().clone()).or_insert(message);
        } else {
            rest.push(message);
        }
    }
    let mut merged: Vec<Message> = Vec::with_capacity(of_request.len() + rest.len());
    let mut seen = HashSet::new();
    for message in of_request {
        if seen.insert(message.id()) {
            let message = known
                .remove(message.id())
                .unwrap_or_else(|| message.clone());
            merged.push(message);
        }
    }
    merged.extend(rest);
    merged
}
