//! What a thread has said, as it is saved.
//!
//! What follows from the messages, such as where each of them is, is worked out again. Their count of bytes is kept:
//! it is an estimate, and when a thread has become too large depends on it.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use events_core::MessageId;
use serde::{Deserialize, Serialize};

use super::{
    ThreadContent,
    content::Lost,
    document::SavedDocument,
    messages::{Entry, MAX_DROPPED, Messages},
    run::{MAX_ENDED, RunEnd, Runs, Subagent},
    snapshot::Authority,
};
use crate::{
    agui::{AgUiEvent, Message, RunStarted, SubagentStarted, ToolCallStart},
    checkpoint::{CheckpointError, Stored, borrowed, count, require},
};

/// What a thread has said, without its bound.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::agui) struct SavedContent<'a> {
    /// In the order of the thread.
    #[serde(borrow)]
    messages: Vec<SavedEntry<'a>>,
    message_bytes: u64,
    /// The ids of what snapshots have taken away, sorted.
    dropped: Vec<Cow<'a, str>>,
    n_runs: u32,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    state: Option<SavedDocument<'a>>,
    #[serde(borrow)]
    runs: SavedRuns<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<SavedAuthority<'a>>,
    lost: SavedLost,
    n_skipped_patches: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SavedEntry<'a> {
    #[serde(borrow)]
    message: Stored<'a, Message>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    patched: Option<SavedDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_in: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SavedRuns<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    start: Option<Stored<'a, RunStarted>>,
    is_active: bool,
    #[serde(borrow)]
    ended: Vec<SavedEnd<'a>>,
    #[serde(borrow)]
    subagents: Vec<SavedSubagent<'a>>,
    /// Sorted by id.
    #[serde(borrow)]
    open_calls: Vec<Stored<'a, ToolCallStart>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SavedEnd<'a> {
    run_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event: Stored<'a, AgUiEvent>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedSubagent<'a> {
    #[serde(borrow)]
    start: Stored<'a, SubagentStarted>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    end: Option<Stored<'a, AgUiEvent>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum SavedAuthority<'a> {
    All,
    Types(BTreeSet<Cow<'a, str>>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLost {
    messages: bool,
    state: bool,
    items: bool,
}

// === saving ===

impl<'a> From<&'a ThreadContent> for SavedContent<'a> {
    fn from(content: &'a ThreadContent) -> Self {
        let ThreadContent {
            messages,
            authority,
            ..
        } = content;
        let mut dropped: Vec<_> = messages
            .dropped
            .iter()
            .map(|id| borrowed(id.as_str()))
            .collect();
        dropped.sort_unstable();
        Self {
            messages: messages.iter().map(SavedEntry::from).collect(),
            message_bytes: messages.bytes as u64,
            dropped,
            n_runs: messages.run,
            state: content.state.as_ref().map(SavedDocument::from),
            runs: (&content.runs).into(),
            authority: authority.as_ref().map(|authority| match authority {
                Authority::All => SavedAuthority::All,
                Authority::Types(types) => {
                    SavedAuthority::Types(types.iter().map(|name| borrowed(name)).collect())
                }
            }),
            lost: SavedLost {
                messages: content.lost.messages,
                state: content.lost.state,
                items: content.lost.items,
            },
            n_skipped_patches: content.n_skipped_patches,
        }
    }
}

impl<'a> From<&'a Entry> for SavedEntry<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            message: (&entry.message).into(),
            patched: entry.patched.as_ref().map(SavedDocument::from),
            moved_in: entry.moved_in,
        }
    }
}

impl<'a> From<&'a Runs> for SavedRuns<'a> {
    fn from(runs: &'a Runs) -> Self {
        let end = |end: &'a RunEnd| SavedEnd {
            run_id: end.run_id.as_deref().map(borrowed),
            event: (&end.event).into(),
        };
        let subagent = |subagent: &'a Subagent| SavedSubagent {
            start: (&subagent.start).into(),
            end: subagent.end.as_ref().map(Stored::from),
        };
        let mut open_calls: Vec<_> = runs.open_calls.values().collect();
        open_calls.sort_unstable_by(|one, other| one.tool_call_id.cmp(&other.tool_call_id));
        Self {
            start: runs.start.as_ref().map(Stored::from),
            is_active: runs.is_active,
            ended: runs.ended.iter().map(end).collect(),
            subagents: runs.subagents.iter().map(subagent).collect(),
            open_calls: open_calls.into_iter().map(Stored::from).collect(),
        }
    }
}

// === restoring ===

impl SavedContent<'_> {
    /// Makes the content again, with a bound as [`ThreadContent::with_max_bytes`] takes it.
    pub(in crate::agui) fn restore(
        self,
        max_bytes: usize,
    ) -> Result<ThreadContent, CheckpointError> {
        let is_few = self.dropped.len() <= MAX_DROPPED;
        require(is_few, "more ids of dropped messages than are remembered")?;
        let mut messages = Messages::default();
        for entry in self.messages {
            messages.add_restored(entry.restore()?);
        }
        messages.bytes = count(self.message_bytes)?;
        messages.run = self.n_runs;
        let dropped = self.dropped.iter().map(|id| MessageId::from(&**id));
        messages.dropped = dropped.collect();
        let mut content = ThreadContent {
            max_bytes,
            messages,
            state: self.state.map(SavedDocument::restore).transpose()?,
            runs: self.runs.restore()?,
            authority: self.authority.map(|authority| match authority {
                SavedAuthority::All => Authority::All,
                SavedAuthority::Types(types) => {
                    Authority::Types(types.into_iter().map(Cow::into_owned).collect())
                }
            }),
            lost: Lost {
                messages: self.lost.messages,
                state: self.lost.state,
                items: self.lost.items,
            },
            n_skipped_patches: count(self.n_skipped_patches)? as u64,
        };
        // The bound may be lower than the one that it was saved with.
        if content.size() > max_bytes {
            content.shrink();
        }
        Ok(content)
    }
}

impl SavedEntry<'_> {
    fn restore(self) -> Result<Entry, CheckpointError> {
        let message = self.message.read("message")?;
        let is_activity = matches!(message, Message::Activity(_));
        require(
            is_activity || self.patched.is_none(),
            "a message was patched that is no activity",
        )?;
        Ok(Entry {
            message,
            patched: self.patched.map(SavedDocument::restore).transpose()?,
            moved_in: self.moved_in,
        })
    }
}

impl SavedRuns<'_> {
    fn restore(self) -> Result<Runs, CheckpointError> {
        let is_begun = self.start.is_some() || !self.is_active;
        require(is_begun, "a run is active that has not begun")?;
        let is_few = self.ended.len() <= MAX_ENDED;
        require(is_few, "more runs have ended than are remembered")?;
        let mut runs = Runs {
            start: self
                .start
                .map(|start| start.read("start of a run"))
                .transpose()?,
            is_active: self.is_active,
            ..Runs::default()
        };
        for SavedEnd { run_id, event } in self.ended {
            let event = event.read("end of a run")?;
            let is_end = matches!(event, AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_));
            require(is_end, "a run has ended with an event that ends none")?;
            let run_id = run_id.as_deref().map(Arc::from);
            runs.ended.push_back(RunEnd { run_id, event });
        }
        for subagent in self.subagents {
            let subagent = subagent.restore()?;
            let id = subagent.start.subagent_run_id.clone();
            runs.subagent_places.insert(id, runs.subagents.len());
            runs.subagents.push(subagent);
        }
        for start in self.open_calls {
            let start = start.read("start of a call")?;
            let twice = runs
                .open_calls
                .insert(start.tool_call_id.to_shared(), start);
            require(twice.is_none(), "a call is open twice")?;
        }
        runs.recount();
        Ok(runs)
    }
}

impl SavedSubagent<'_> {
    fn restore(self) -> Result<Subagent, CheckpointError> {
        let end = self
            .end
            .map(|end| end.read("end of a subagent"))
            .transpose()?;
        let is_end = end.as_ref().is_none_or(|end| {
            matches!(
                end,
                AgUiEvent::SubagentFinished(_) | AgUiEvent::SubagentError(_)
            )
        });
        require(is_end, "a subagent has ended with an event that ends none")?;
        Ok(Subagent {
            start: self.start.read("start of a subagent")?,
            end,
        })
    }
}
