//! Tasks, messages and artifacts.

use events_core::{ContextId, MessageId, TaskId};
use serde::ser::SerializeMap;

use super::{A2AVersion, Part, Role, TaskState, Timestamp, macros::a2a_struct};
use crate::{
    InvalidEvent,
    wire::{Members, OpenObject},
};

a2a_struct! {
    /// One message, of the client or of the agent.
    ///
    /// `{"messageId":"m1","role":"ROLE_AGENT","parts":[{"text":"hello"}]}`
    pub struct Message kind "message" {
        required {
            /// The message's id.
            message_id: MessageId = "messageId",
            /// Who speaks.
            role: Role = "role",
            /// What is said; at least one part.
            parts: Vec<Part> = "parts",
        }
        optional {
            /// The conversation.
            context_id: Option<ContextId> = "contextId",
            /// The task.
            task_id: Option<TaskId> = "taskId",
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
            /// The URIs of the extensions that are used.
            extensions: Option<Vec<String>> = "extensions",
            /// Other tasks that the message is about.
            reference_task_ids: Option<Vec<TaskId>> = "referenceTaskIds",
        }
    }
}

a2a_struct! {
    /// Something that a task has made.
    ///
    /// `{"artifactId":"a1","parts":[{"text":"# Report"}]}`
    pub struct Artifact {
        required {
            /// The artifact's id, unique within its task.
            artifact_id: String = "artifactId",
            /// The content; at least one part.
            parts: Vec<Part> = "parts",
        }
        optional {
            /// Its name.
            name: Option<String> = "name",
            /// What it is, in words.
            description: Option<String> = "description",
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
            /// The URIs of the extensions that are used.
            extensions: Option<Vec<String>> = "extensions",
        }
    }
}

a2a_struct! {
    /// Where a task stands, since when, and what the agent has to say about it.
    ///
    /// `{"state":"TASK_STATE_WORKING","timestamp":"2026-11-21T08:00:02.001Z"}`
    pub struct TaskStatus {
        required {
            /// The state.
            state: TaskState = "state",
        }
        optional {
            /// What the agent says.
            message: Option<Message> = "message",
            /// Since when.
            timestamp: Option<Timestamp> = "timestamp",
        }
    }
}

a2a_struct! {
    /// A task as it is now.
    ///
    /// `{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_SUBMITTED"}}`
    pub struct Task kind "task" hooks require_context, write_no_context {
        required {
            /// The task's id.
            id: TaskId = "id",
            /// The conversation. 1.0 allows to leave it out, but not every client can do without it.
            context_id: Option<ContextId> = "contextId",
            /// Where it stands.
            status: TaskStatus = "status",
        }
        optional {
            /// What it has made up to now.
            artifacts: Option<Vec<Artifact>> = "artifacts",
            /// What was said up to now.
            history: Option<Vec<Message>> = "history",
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
        }
    }
}

/// In 0.3 a task has to name its conversation; an empty name stands for none.
fn require_context(
    mut task: Task,
    _members: &Members<'_>,
    version: A2AVersion,
) -> Result<Task, InvalidEvent> {
    if version == A2AVersion::V0_3 {
        if task.context_id.is_none() {
            return Err(InvalidEvent::new("required, but missing").in_member("contextId"));
        }
        task.context_id = task.context_id.filter(|id| !id.as_str().is_empty());
    }
    Ok(task)
}

/// A task of 1.0 that names none gets the empty string in 0.3.
fn write_no_context<M: SerializeMap>(
    task: &Task,
    map: &mut M,
    version: A2AVersion,
) -> Result<(), M::Error> {
    if version == A2AVersion::V0_3 && task.context_id.is_none() {
        map.serialize_entry("contextId", "")?;
    }
    Ok(())
}
