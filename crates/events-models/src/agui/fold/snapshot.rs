//! MESSAGES_SNAPSHOT: how it changes the messages that are held.
//!
//! A message of the same id is replaced where it stands, a new one is appended, and one that is not named goes,
//! except activities and reasoning: most agents do not keep those, so they stay unless the snapshot has some
//! of their kind. A producer can also declare which types of activities its snapshot has all of, in the
//! metadata, under the official client's own key.

use std::collections::{BTreeSet, HashMap};

use events_core::MessageId;
use serde_json::{Map, Value};

use super::messages::{Entry, Messages};
use crate::agui::{Message, MessagesSnapshot, OpenObject};

/// The key of the official client in a snapshot's metadata.
const DECLARATION: &str = "@ag-ui/client";
const AUTHORITATIVE_TYPES: &str = "authoritativeActivityTypes";

/// Which activities a snapshot deletes by not naming them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Authority {
    All,
    Types(BTreeSet<String>),
}

impl Authority {
    /// Reads what a snapshot declares; none if it declares nothing.
    fn declared(metadata: Option<&OpenObject>) -> Option<Self> {
        let metadata = metadata.filter(|metadata| metadata.as_str().contains(DECLARATION))?;
        let mut members = metadata.to_map().ok()?;
        let nothing = Some(Self::Types(BTreeSet::new()));
        let Value::Object(mut declaration) = members.remove(DECLARATION)? else {
            return nothing;
        };
        match declaration.remove(AUTHORITATIVE_TYPES)? {
            Value::Null => Some(Self::All),
            Value::Array(types) => types
                .into_iter()
                .map(|name| match name {
                    Value::String(name) => Some(name),
                    _ => None,
                })
                .collect::<Option<_>>()
                .map(Self::Types)
                .or(nothing),
            _ => nothing,
        }
    }

    /// Takes in what a later snapshot of the thread declares.
    fn extend(&mut self, later: Self) {
        match (self, later) {
            (Self::Types(types), Self::Types(more)) => types.extend(more),
            (known @ Self::Types(_), Self::All) => *known = Self::All,
            (Self::All, _) => {}
        }
    }

    /// Writes the declaration as a snapshot's metadata.
    pub(super) fn to_metadata(&self) -> OpenObject {
        let types = match self {
            Self::All => Value::Null,
            Self::Types(types) => types.iter().cloned().collect(),
        };
        let mut declaration = Map::new();
        declaration.insert(AUTHORITATIVE_TYPES.to_owned(), types);
        let mut metadata = Map::new();
        metadata.insert(DECLARATION.to_owned(), declaration.into());
        metadata.into()
    }
}

impl Messages {
    /// Takes in a snapshot, and remembers in `authority` what its producer has declared.
    pub(super) fn restate(
        &mut self,
        snapshot: MessagesSnapshot,
        authority: &mut Option<Authority>,
    ) {
        let declared = Authority::declared(snapshot.metadata.as_ref());
        let incoming = snapshot.messages;
        let held = self.take_entries();
        let entries = if held.is_empty() {
            incoming.into_iter().map(Entry::from).collect()
        } else {
            merged(held, incoming, declared.as_ref())
        };
        self.replace_all(entries);
        match (authority, declared) {
            (Some(known), Some(declared)) => known.extend(declared),
            (known @ None, Some(declared)) if declared != Authority::Types(BTreeSet::new()) => {
                *known = Some(declared);
            }
            _ => {}
        }
    }
}

fn merged(held: Vec<Entry>, incoming: Vec<Message>, declared: Option<&Authority>) -> Vec<Entry> {
    let has_activity = incoming
        .iter()
        .any(|message| matches!(message, Message::Activity(_)));
    let has_reasoning = incoming
        .iter()
        .any(|message| matches!(message, Message::Reasoning(_)));
    let stays = |message: &Message| match message {
        Message::Activity(activity) => match declared {
            Some(Authority::All) => false,
            Some(Authority::Types(types)) => !types.contains(&activity.activity_type),
            None => !has_activity,
        },
        Message::Reasoning(_) => !has_reasoning,
        _ => false,
    };
    let ids: Vec<MessageId> = incoming
        .iter()
        .map(|message| message.id().clone())
        .collect();
    // Of a repeated id the last message counts where one is replaced.
    let by_id: HashMap<&MessageId, usize> =
        ids.iter().enumerate().map(|(at, id)| (id, at)).collect();
    let mut incoming: Vec<_> = incoming.into_iter().map(Some).collect();
    let mut replaced: HashMap<MessageId, usize> = HashMap::new();
    let mut entries: Vec<Entry> = Vec::with_capacity(ids.len().max(held.len()));
    for entry in held {
        let id = entry.message.id();
        if let Some(at) = by_id.get(id) {
            if let Some(message) = incoming[*at].take() {
                replaced.insert(id.clone(), entries.len());
                entries.push(Entry {
                    moved_in: entry.moved_in,
                    ..message.into()
                });
            } else if let Some(same) = replaced.get(id).map(|at| entries[*at].clone()) {
                entries.push(same);
            }
        } else if stays(&entry.message) {
            entries.push(entry);
        }
    }
    let new = incoming
        .into_iter()
        .zip(&ids)
        .filter(|(_, id)| !replaced.contains_key(*id));
    entries.extend(new.filter_map(|(message, _)| message).map(Entry::from));
    entries
}
