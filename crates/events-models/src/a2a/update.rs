//! What changes while a task is done.

use events_core::{ContextId, TaskId};
use serde::ser::SerializeMap;

use super::{A2AVersion, Artifact, TaskStatus, codec, macros::a2a_struct};
use crate::{
    InvalidEvent,
    wire::{Members, OpenObject},
};

a2a_struct! {
    /// A task has another status.
    ///
    /// `{"taskId":"t1","contextId":"c1","status":{"state":"TASK_STATE_WORKING"}}`
    pub struct TaskStatusUpdateEvent kind "status-update" hooks read_final, write_final {
        required {
            /// The task.
            task_id: TaskId = "taskId",
            /// The conversation.
            context_id: ContextId = "contextId",
            /// Where the task stands now.
            status: TaskStatus = "status",
        }
        optional {
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
        }
        hooked {
            /// Only in 0.3: whether the stream ends here, if that does not follow from the state, which ends it when
            /// it is terminal.
            is_final: Option<bool> = "final",
        }
    }
}

fn read_final(
    mut event: TaskStatusUpdateEvent,
    members: &Members<'_>,
    version: A2AVersion,
) -> Result<TaskStatusUpdateEvent, InvalidEvent> {
    if version == A2AVersion::V0_3 {
        let is_final: bool = codec::read_member(members, "final", version)?;
        event.is_final = (is_final != event.status.state.is_terminal()).then_some(is_final);
    }
    Ok(event)
}

fn write_final<M: SerializeMap>(
    event: &TaskStatusUpdateEvent,
    map: &mut M,
    version: A2AVersion,
) -> Result<(), M::Error> {
    match version {
        A2AVersion::V1_0 => Ok(()),
        A2AVersion::V0_3 => map.serialize_entry("final", &event.ends_stream()),
    }
}

impl TaskStatusUpdateEvent {
    /// Tells whether a stream ends after this event: because the state is terminal, or because 0.3 says so.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        self.is_final
            .unwrap_or_else(|| self.status.state.is_terminal())
    }
}

a2a_struct! {
    /// A task has made something, or a piece of it.
    ///
    /// `{"taskId":"t1","contextId":"c1","artifact":{"artifactId":"a1","parts":[{"text":"more"}]},"append":true}`
    pub struct TaskArtifactUpdateEvent kind "artifact-update" {
        required {
            /// The task.
            task_id: TaskId = "taskId",
            /// The conversation.
            context_id: ContextId = "contextId",
            /// The artifact, or the piece of it.
            artifact: Artifact = "artifact",
        }
        optional {
            /// Whether the parts are added to the artifact of that id; otherwise they replace it.
            append: Option<bool> = "append",
            /// Whether this is the last piece.
            last_chunk: Option<bool> = "lastChunk",
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
        }
    }
}

impl TaskArtifactUpdateEvent {
    /// Tells whether the parts are added to an artifact that is there.
    #[must_use]
    pub fn is_append(&self) -> bool {
        self.append == Some(true)
    }

    /// Tells whether this is said to be the last piece. A task that is cancelled may never say so.
    #[must_use]
    pub fn is_last_chunk(&self) -> bool {
        self.last_chunk == Some(true)
    }
}
