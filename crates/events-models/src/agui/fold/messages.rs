//! The messages of a thread, in their order and by their ids.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use events_core::MessageId;

use super::document::Document;
use crate::{
    agui::{Message, OpenObject, ToolResultContent},
    wire::{json_bytes, text_bytes},
};

/// How many ids of dropped messages are remembered.
pub(super) const MAX_DROPPED: usize = 4_096;

/// A message, and the content of one that patches change.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) message: Message,
    /// The content of an activity, once it was patched; the message's own is then out of date.
    pub(super) patched: Option<Document>,
    /// The run in which it came to stand before older messages, as a client may not know that has lost events.
    pub(super) moved_in: Option<u32>,
}

impl From<Message> for Entry {
    fn from(message: Message) -> Self {
        Self {
            message,
            patched: None,
            moved_in: None,
        }
    }
}

impl Entry {
    fn to_message(&self) -> Message {
        let mut message = self.message.clone();
        if let (Message::Activity(activity), Some(document)) = (&mut message, &self.patched) {
            // Only what leaves an object is applied.
            if let Ok(content) = OpenObject::try_from(document.to_json()) {
                activity.content = content;
            }
        }
        message
    }

    pub(super) fn bytes(&self) -> usize {
        let patched = self.patched.as_ref().map_or(0, Document::bytes);
        // One for the comma.
        json_bytes(&self.message) + 1 + patched
    }
}

/// Messages, found by id as the official client finds them: the first of an id counts.
#[derive(Clone, Default, Debug)]
pub(super) struct Messages {
    /// In the order of coming; a place in it never changes.
    pub(super) entries: Vec<Entry>,
    /// The places of the entries, in the order of the thread.
    order: Vec<usize>,
    places: HashMap<MessageId, usize>,
    /// The message of each tool call, and its place among the calls of the message.
    pub(super) calls: HashMap<Arc<str>, (usize, usize)>,
    /// Where text was appended last, since deltas come in a row; the first of its id.
    last: usize,
    /// What snapshots have taken away.
    pub(super) dropped: HashSet<MessageId>,
    /// Counts the runs.
    pub(super) run: u32,
    pub(super) bytes: usize,
}

impl Messages {
    /// Puts other messages in the place of all; what is not among them was dropped.
    pub(super) fn replace_all(&mut self, entries: Vec<Entry>) {
        let held = std::mem::take(&mut self.places);
        let (dropped, run) = (std::mem::take(&mut self.dropped), self.run);
        *self = Self {
            dropped,
            run,
            ..Self::default()
        };
        for entry in entries {
            self.push_entry(entry);
        }
        let gone = held.into_keys().filter(|id| !self.places.contains_key(id));
        self.dropped.extend(gone.take(MAX_DROPPED));
        if self.dropped.len() > MAX_DROPPED {
            self.dropped.clear();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls up the entries in the order of the thread.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.order.iter().map(|place| &self.entries[*place])
    }

    /// Takes the entries out, in the order of the thread.
    pub(super) fn take_entries(&mut self) -> Vec<Entry> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let mut entries: Vec<_> = entries.map(Some).collect();
        let in_order = std::mem::take(&mut self.order).into_iter();
        in_order.filter_map(|place| entries[place].take()).collect()
    }

    pub(super) fn to_messages(&self) -> Vec<Message> {
        self.iter().map(Entry::to_message).collect()
    }

    pub(super) fn find(&self, id: &MessageId) -> Option<usize> {
        let last = self.entries.get(self.last);
        if last.is_some_and(|entry| entry.message.id() == id) {
            return Some(self.last);
        }
        self.places.get(id).copied()
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&Message> {
        self.find(id).map(|place| &self.entries[place].message)
    }

    pub(super) fn get_by(&self, id: &str) -> Option<&Message> {
        self.places
            .get(id)
            .map(|place| &self.entries[*place].message)
    }

    /// Says how many messages stand right with a client that has lost events since a run began, if not all that
    /// it holds do: those before the first one that has moved or has its id in common with another.
    pub(super) fn n_right_since(&self, run: u32) -> Option<usize> {
        let has_moved = |entry: &Entry| entry.moved_in.is_some_and(|moved_in| moved_in >= run);
        let moved = self.iter().position(has_moved);
        let shared = self.first_shared(|_| true);
        moved.into_iter().chain(shared).min()
    }

    /// Finds the first message of which another has the id, among those that are asked for.
    ///
    /// A snapshot has one message for each that a client holds of an id; only what a client does not hold at
    /// all it takes as it is.
    pub(super) fn first_shared(&self, is_asked: impl Fn(&MessageId) -> bool) -> Option<usize> {
        if self.places.len() == self.entries.len() {
            return None;
        }
        let mut n_of_id: HashMap<&MessageId, usize> = HashMap::new();
        for entry in &self.entries {
            *n_of_id.entry(entry.message.id()).or_default() += 1;
        }
        let is_shared = |entry: &Entry| n_of_id[entry.message.id()] > 1;
        self.iter()
            .position(|entry| is_shared(entry) && is_asked(entry.message.id()))
    }

    pub(super) fn push(&mut self, message: Message) -> usize {
        self.push_entry(message.into())
    }

    fn push_entry(&mut self, mut entry: Entry) -> usize {
        if !self.dropped.is_empty() && self.dropped.remove(entry.message.id()) {
            entry.moved_in = Some(self.run);
        }
        let place = self.add(entry);
        self.order.push(place);
        place
    }

    fn add(&mut self, entry: Entry) -> usize {
        self.bytes += entry.bytes();
        self.add_uncounted(entry)
    }

    fn add_uncounted(&mut self, entry: Entry) -> usize {
        let place = self.entries.len();
        let id = entry.message.id().clone();
        self.places.entry(id).or_insert(place);
        self.entries.push(entry);
        self.find_calls_in(place);
        place
    }

    /// Adds an entry at the end of the thread as it has been before; its bytes are counted elsewhere.
    pub(super) fn add_restored(&mut self, entry: Entry) {
        let place = self.add_uncounted(entry);
        self.order.push(place);
    }

    /// Finds the calls that a message makes; the first of an id counts.
    fn find_calls_in(&mut self, place: usize) {
        if let Message::Assistant(assistant) = &self.entries[place].message {
            let calls = assistant.tool_calls.as_deref().unwrap_or_default();
            for (at, call) in calls.iter().enumerate() {
                let id = call.id.to_shared();
                self.calls.entry(id).or_insert((place, at));
            }
        }
    }

    /// Puts a tool's answer behind the message that makes the call and the answers that follow it already.
    pub(super) fn insert_result(&mut self, call: &str, message: Message) {
        let owner = self.calls.get(call).map(|(place, _)| *place);
        let at_owner = owner.and_then(|owner| self.order.iter().rposition(|at| *at == owner));
        let Some(at_owner) = at_owner else {
            self.push(message);
            return;
        };
        let answers = self.order[at_owner + 1..]
            .iter()
            .take_while(|place| matches!(self.entries[**place].message, Message::Tool(_)))
            .count();
        let at = at_owner + 1 + answers;
        let id = message.id().clone();
        let mut entry = Entry::from(message);
        entry.moved_in = Some(self.run).filter(|_| at < self.order.len());
        let place = self.add(entry);
        self.order.insert(at, place);
        // The first of an id counts, and this one may have come before another.
        let known = self.places[&id];
        if known != place && self.order[at + 1..].contains(&known) {
            self.places.insert(id, place);
            self.last = place;
        }
    }

    /// Puts another message in the place of one.
    pub(super) fn replace(&mut self, place: usize, message: Message) {
        let entry = &mut self.entries[place];
        self.bytes -= entry.bytes().min(self.bytes);
        let replaced = std::mem::replace(&mut entry.message, message);
        entry.patched = None;
        self.bytes += entry.bytes();
        // Its calls have gone with it, or are another message's now.
        if matches!(&replaced, Message::Assistant(assistant) if assistant.tool_calls.is_some()) {
            self.calls.clear();
            (0..self.entries.len()).for_each(|place| self.find_calls_in(place));
        }
    }

    /// Appends text to a message, and metadata. An activity has no text: then nothing happens, as in the
    /// official client.
    pub(super) fn append(&mut self, id: &MessageId, delta: &str, metadata: Option<OpenObject>) {
        let Some(place) = self.find(id) else {
            return;
        };
        self.last = place;
        match &mut self.entries[place].message {
            Message::Activity(_) => return,
            Message::Assistant(message) => message.content.get_or_insert_default().push_str(delta),
            Message::Developer(message) => message.content.push_str(delta),
            Message::System(message) => message.content.push_str(delta),
            Message::Reasoning(message) => message.content.push_str(delta),
            Message::User(message) => append(&mut message.content, delta, &mut self.bytes),
            Message::Tool(message) => append(&mut message.content, delta, &mut self.bytes),
        }
        self.bytes += text_bytes(delta);
        if metadata.is_some() {
            self.merge_metadata(place, metadata);
        }
    }

    /// Adds metadata to a message, unless it is an activity.
    pub(super) fn annotate(&mut self, id: &MessageId, metadata: Option<OpenObject>) {
        if metadata.is_none() {
            return;
        }
        if let Some(place) = self.find(id)
            && !matches!(self.entries[place].message, Message::Activity(_))
        {
            self.merge_metadata(place, metadata);
        }
    }

    pub(super) fn merge_metadata(&mut self, place: usize, metadata: Option<OpenObject>) {
        let target = match &mut self.entries[place].message {
            Message::Developer(message) => &mut message.metadata,
            Message::System(message) => &mut message.metadata,
            Message::Assistant(message) => &mut message.metadata,
            Message::User(message) => &mut message.metadata,
            Message::Tool(message) => &mut message.metadata,
            Message::Activity(message) => &mut message.metadata,
            Message::Reasoning(message) => &mut message.metadata,
        };
        merge(target, metadata, &mut self.bytes);
    }

    /// Sets the opaque value of a message; an activity has none.
    pub(super) fn set_encrypted(&mut self, id: &str, value: String) {
        let Some(place) = self.places.get(id) else {
            return;
        };
        let target = match &mut self.entries[*place].message {
            Message::Activity(_) => return,
            Message::Developer(message) => &mut message.encrypted_value,
            Message::System(message) => &mut message.encrypted_value,
            Message::Assistant(message) => &mut message.encrypted_value,
            Message::User(message) => &mut message.encrypted_value,
            Message::Tool(message) => &mut message.encrypted_value,
            Message::Reasoning(message) => &mut message.encrypted_value,
        };
        set_text(target, value, &mut self.bytes);
    }
}

/// Appends to content; the official client forgets parts when text is appended to them.
fn append(content: &mut ToolResultContent, delta: &str, bytes: &mut usize) {
    match content {
        ToolResultContent::Text(text) => text.push_str(delta),
        ToolResultContent::Parts(parts) => {
            *bytes -= json_bytes(parts).min(*bytes);
            *content = delta.into();
        }
    }
}

/// Merges metadata key by key: the last value of a key counts.
pub(super) fn merge(
    target: &mut Option<OpenObject>,
    incoming: Option<OpenObject>,
    bytes: &mut usize,
) {
    let Some(incoming) = incoming else {
        return;
    };
    let before = target.as_ref().map_or(0, |known| known.as_str().len());
    let merged = match target.take() {
        Some(known) => known.merged_with(&incoming),
        None => incoming,
    };
    *bytes += merged.as_str().len() + if before == 0 { 12 } else { 0 };
    *bytes -= before.min(*bytes);
    *target = Some(merged);
}

/// Sets an optional text.
pub(super) fn set_text(target: &mut Option<String>, value: String, bytes: &mut usize) {
    let before = target.as_deref().map_or(0, text_bytes);
    *bytes += text_bytes(&value) + if target.is_none() { 20 } else { 0 };
    *bytes -= before.min(*bytes);
    *target = Some(value);
}
