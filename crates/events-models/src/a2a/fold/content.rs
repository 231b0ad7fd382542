//! What a task is now.

use std::collections::HashMap;

use events_core::ContextId;

use super::MAX_BYTES;
use crate::{
    a2a::{
        A2AEvent, AnyJson, Artifact, Message, Part, PartContent, Task, TaskArtifactUpdateEvent,
        TaskState, TaskStatus, TaskStatusUpdateEvent, UnknownMembers,
    },
    wire::{OpenObject, json_bytes, text_bytes},
};

/// What a task is now: its status, artifacts, history and metadata. It does not check the order of events.
///
/// It holds at most [`MAX_BYTES`] of JSON. A task that grows beyond that keeps its ids and its state only; it is whole
/// again when a Task object states it anew.
///
/// ```
/// use events_models::{A2AEvent, a2a::fold::TaskContent};
///
/// let mut content = TaskContent::default();
/// for json in [
///     r#"{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}"#,
///     r#"{"artifactUpdate":{"taskId":"t","contextId":"c","artifact":{"artifactId":"a","parts":[{"text":"Hel"}]}}}"#,
///     r#"{"artifactUpdate":{"taskId":"t","contextId":"c","append":true,"artifact":{"artifactId":"a","parts":[{"text":"lo"}]}}}"#,
/// ] {
///     content.take(A2AEvent::from_json(json.as_bytes())?);
/// }
/// let task = content.task().expect("it was told");
/// let artifact = &task.artifacts.as_deref().unwrap_or_default()[0];
/// assert_eq!(artifact.parts.iter().filter_map(|part| part.as_text()).collect::<String>(), "Hello");
/// # Ok::<(), events_models::InvalidEvent>(())
/// ```
#[derive(Clone, Debug)]
pub struct TaskContent {
    pub(super) max_bytes: usize,
    /// The Task object, or the message that was the whole answer.
    pub(super) told: Option<A2AEvent>,
    /// Where the artifacts are in the Task, by their ids.
    pub(super) artifacts: HashMap<Box<str>, Place>,
    pub(super) status_bytes: usize,
    pub(super) json_bytes: usize,
    pub(super) n_parts: usize,
    pub(super) is_too_large: bool,
}

/// Where an artifact is, and what it takes as JSON, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) bytes: usize,
}

impl Default for TaskContent {
    fn default() -> Self {
        Self::with_max_bytes(MAX_BYTES)
    }
}

impl TaskContent {
    /// Makes the content of a new task that may take so many bytes of JSON instead of [`MAX_BYTES`].
    #[must_use]
    pub fn with_max_bytes(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            told: None,
            artifacts: HashMap::new(),
            status_bytes: 0,
            json_bytes: 0,
            n_parts: 0,
            is_too_large: false,
        }
    }

    /// Takes in an event that the task's [`TaskOrder`](crate::a2a::order::TaskOrder) has let pass.
    pub fn take(&mut self, event: A2AEvent) {
        match event {
            A2AEvent::Task(task) => self.restate(task),
            A2AEvent::StatusUpdate(update) => self.take_status(update),
            A2AEvent::ArtifactUpdate(update) => self.take_artifact(update),
            A2AEvent::Message(message) => {
                if self.told.is_none() {
                    self.json_bytes = json_bytes(&message);
                    self.told = Some(message.into());
                }
            }
        }
        if self.json_bytes > self.max_bytes {
            self.give_up();
        }
    }

    /// Returns the event that tells a client of the task: its Task object, or the message that was the whole answer;
    /// none if nothing was told, or it has grown too large.
    #[must_use]
    pub const fn prelude(&self) -> Option<&A2AEvent> {
        if self.is_too_large {
            None
        } else {
            self.told.as_ref()
        }
    }

    /// Returns the task as it is now; none if no event was of a task. One that [is too
    /// large](TaskContent::is_too_large) has its ids and its status only.
    #[must_use]
    pub const fn task(&self) -> Option<&Task> {
        match &self.told {
            Some(A2AEvent::Task(task)) => Some(task),
            _ => None,
        }
    }

    /// Returns the task's state, once one was told.
    #[must_use]
    pub fn state(&self) -> Option<TaskState> {
        self.task().map(|task| task.status.state)
    }

    /// Tells whether the task has grown beyond what is kept.
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// Drops everything but ids and state, to free memory; the task then is too large.
    pub fn give_up(&mut self) {
        let stub = self.task().map(|task| {
            let mut status = TaskStatus::new(task.status.state);
            status.timestamp = task.status.timestamp;
            Task::new(task.id.clone(), task.context_id.clone(), status)
        });
        self.told = None;
        if let Some(stub) = stub {
            self.restate(stub);
        }
        self.is_too_large = true;
    }

    /// Returns what the task takes as JSON, roughly, in bytes.
    #[must_use]
    pub const fn json_bytes(&self) -> usize {
        self.json_bytes
    }

    /// Returns what the content takes, roughly, in bytes of memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let history = self.task().and_then(|task| task.history.as_ref());
        self.json_bytes
            + self.n_parts * size_of::<Part>()
            + history.map_or(0, Vec::len) * size_of::<Message>()
            + self.artifacts.len() * (size_of::<Artifact>() + size_of::<Place>() + 64)
    }

    fn restate(&mut self, mut task: Task) {
        // A task does not leave its conversation by not naming it.
        if task.context_id.is_none() {
            task.context_id = self.task().and_then(|known| known.context_id.clone());
        }
        self.is_too_large = false;
        self.artifacts.clear();
        self.status_bytes = json_bytes(&task.status);
        self.n_parts = 0;
        let mut n_bytes = 0;
        for (index, artifact) in task.artifacts.iter().flatten().enumerate() {
            self.n_parts += artifact.parts.len();
            let bytes = json_bytes(artifact) + 1;
            n_bytes += bytes;
            let id = artifact.artifact_id.as_str().into();
            self.artifacts.insert(id, Place { index, bytes });
        }
        let artifacts = task.artifacts.take();
        self.json_bytes = n_bytes + json_bytes(&task);
        task.artifacts = artifacts;
        self.told = Some(task.into());
    }

    /// Begins a task whose beginning was not seen.
    fn begin(&mut self, task: impl FnOnce() -> Task) {
        if self.told.is_none() {
            self.restate(task());
        }
    }

    fn take_status(&mut self, update: TaskStatusUpdateEvent) {
        let TaskStatusUpdateEvent {
            task_id,
            context_id,
            status,
            metadata,
            ..
        } = update;
        let state = status.state;
        self.begin(|| Task::new(task_id, None, TaskStatus::new(state)));
        let Some(A2AEvent::Task(task)) = &mut self.told else {
            return;
        };
        move_to(task, context_id);
        let n_bytes = json_bytes(&status);
        let old = std::mem::replace(&mut task.status, status);
        self.json_bytes = (self.json_bytes + n_bytes).saturating_sub(self.status_bytes);
        self.status_bytes = n_bytes;
        if self.is_too_large {
            return;
        }
        if let Some(message) = old.message {
            let history = task.history.get_or_insert_default();
            let is_said = |said: &Message| said.message_id == message.message_id;
            if !history.iter().rev().any(is_said) {
                self.json_bytes += json_bytes(&message) + 1;
                history.push(message);
            }
        }
        self.json_bytes += merge_metadata(&mut task.metadata, metadata);
    }

    fn take_artifact(&mut self, update: TaskArtifactUpdateEvent) {
        let is_append = update.is_append();
        let TaskArtifactUpdateEvent {
            task_id,
            context_id,
            artifact,
            metadata,
            ..
        } = update;
        // A task that makes something is at work.
        self.begin(|| Task::new(task_id, None, TaskStatus::new(TaskState::Working)));
        let Some(A2AEvent::Task(task)) = &mut self.told else {
            return;
        };
        move_to(task, context_id);
        if self.is_too_large {
            return;
        }
        self.json_bytes += merge_metadata(&mut task.metadata, metadata);
        self.n_parts += artifact.parts.len();
        let artifacts = task.artifacts.get_or_insert_default();
        let Some(place) = self.artifacts.get_mut(artifact.artifact_id.as_str()) else {
            let bytes = json_bytes(&artifact) + 1;
            let index = artifacts.len();
            let id = artifact.artifact_id.as_str().into();
            self.artifacts.insert(id, Place { index, bytes });
            self.json_bytes += bytes;
            artifacts.push(artifact);
            return;
        };
        let known = &mut artifacts[place.index];
        if is_append {
            let added = append(known, artifact);
            place.bytes += added;
            self.json_bytes += added;
        } else {
            self.n_parts -= known.parts.len();
            let bytes = json_bytes(&artifact) + 1;
            self.json_bytes = (self.json_bytes + bytes).saturating_sub(place.bytes);
            place.bytes = bytes;
            *known = artifact;
        }
    }
}

/// A task is in the conversation that it named last.
fn move_to(task: &mut Task, context_id: ContextId) {
    if task.context_id.as_ref() != Some(&context_id) {
        task.context_id = Some(context_id);
    }
}

/// Adds a piece to an artifact, and returns by how much its JSON grows, roughly, in bytes.
fn append(artifact: &mut Artifact, piece: Artifact) -> usize {
    let Artifact {
        parts,
        name,
        description,
        metadata,
        extensions,
        unknown,
        ..
    } = piece;
    let mut added = parts.iter().map(part_bytes).sum::<usize>();
    artifact.parts.extend(parts);
    for (known, new) in [
        (&mut artifact.name, name),
        (&mut artifact.description, description),
    ] {
        if let Some(new) = new {
            let before = known.as_deref().map_or(0, text_bytes);
            added += text_bytes(&new).saturating_sub(before);
            *known = Some(new);
        }
    }
    if extensions.is_some() {
        let before = json_bytes(&artifact.extensions);
        added += json_bytes(&extensions).saturating_sub(before);
        artifact.extensions = extensions;
    }
    if !unknown.is_empty() {
        let before = unknown_bytes(&artifact.unknown);
        artifact.unknown.extend(unknown);
        added += unknown_bytes(&artifact.unknown).saturating_sub(before);
    }
    added + merge_metadata(&mut artifact.metadata, metadata)
}

/// Adds members to others, and returns by how much their JSON grows, in bytes.
fn merge_metadata(known: &mut Option<OpenObject>, new: Option<OpenObject>) -> usize {
    let Some(new) = new else {
        return 0;
    };
    let before = known.as_ref().map_or(0, |known| known.as_str().len());
    let merged = match known.take() {
        Some(known) => known.merged_with(&new),
        None => new,
    };
    let after = merged.as_str().len();
    *known = Some(merged);
    after.saturating_sub(before)
}

fn unknown_bytes(unknown: &UnknownMembers) -> usize {
    let member = |(name, value): (&str, &AnyJson)| name.len() + value.as_str().len() + 4;
    unknown.iter().map(member).sum()
}

/// Returns what a part takes as JSON with a comma, in bytes; at most a few more.
fn part_bytes(part: &Part) -> usize {
    match &part.content {
        PartContent::Text(text)
            if part.metadata.is_none()
                && part.unknown.is_empty()
                && part.filename.is_none()
                && part.media_type.is_none() =>
        {
            text_bytes(text) + r#"{"text":""},"#.len()
        }
        _ => json_bytes(part) + 1,
    }
}
