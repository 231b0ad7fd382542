//! Activities: messages that are shown, restated and patched.

use super::{
    document::{Document, Unpatched},
    messages::Messages,
};
use crate::agui::{ActivityDelta, ActivityMessage, ActivitySnapshot, AnyJson, Message, OpenObject};

impl Messages {
    /// States what an activity shows.
    pub(super) fn state_activity(&mut self, snapshot: ActivitySnapshot) {
        let is_replaced = snapshot.replace.unwrap_or(true);
        let mut stated = ActivityMessage::new(
            snapshot.message_id,
            snapshot.activity_type,
            snapshot.content,
        );
        stated.subagent_run_id = snapshot.subagent_run_id;
        let Some(place) = self.find(&stated.id) else {
            stated.metadata = snapshot.metadata;
            self.push(stated.into());
            return;
        };
        if is_replaced {
            // An activity keeps its metadata; a message of another kind gives way as a whole.
            if let Message::Activity(known) = &mut self.entries[place].message {
                stated.metadata = known.metadata.take();
            }
            self.replace(place, stated.into());
        }
        self.merge_metadata(place, snapshot.metadata);
    }

    /// Changes what an activity shows.
    pub(super) fn patch_activity(&mut self, delta: ActivityDelta) -> Result<(), Unpatched> {
        let Some(place) = self.find(&delta.message_id) else {
            return Ok(());
        };
        if !matches!(self.entries[place].message, Message::Activity(_)) {
            return Ok(());
        }
        // The official client merges metadata also if the patch does not apply.
        self.merge_metadata(place, delta.metadata);
        let entry = &mut self.entries[place];
        let Message::Activity(activity) = &mut entry.message else {
            return Ok(());
        };
        let mut document = match entry.patched.take() {
            Some(document) => document,
            None => Document::new(AnyJson::from(activity.content.clone())),
        };
        let before = document.bytes();
        let outcome = document.patch(&delta.patch, true);
        if outcome.is_ok() {
            activity.activity_type = delta.activity_type;
            // The document has taken the content's place.
            activity.content = OpenObject::default();
        }
        self.bytes += document.bytes();
        self.bytes -= before.min(self.bytes);
        entry.patched = Some(document);
        outcome
    }

    /// Counts the size of patched activities anew.
    pub(super) fn recount(&mut self) {
        for document in self
            .entries
            .iter_mut()
            .filter_map(|entry| entry.patched.as_mut())
        {
            let before = document.bytes();
            document.recount();
            self.bytes += document.bytes();
            self.bytes -= before.min(self.bytes);
        }
    }
}
