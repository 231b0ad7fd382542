//! Makes A2A events out of the nine events that the reference knows.

use events_core::{Clock, ContextId, MessageId, SystemClock, TaskId};
use serde_json::{Map, Value, json};

use super::{
    A2AEvent, A2AVersion, Artifact, Message, Part, PartContent, Role, Task,
    TaskArtifactUpdateEvent, TaskState, TaskStatus, TaskStatusUpdateEvent, codec::Coded,
};
use crate::{
    InvalidEvent,
    wire::{self, AnyJson, Members},
};

/// Makes A2A events and stamps those that have a status with the machine's time.
///
/// Each function is named after an event of the reference and makes the official object that says the same. For
/// another time, or none, use [`A2AEventBuilder::stamp`] or build the struct itself.
///
/// Where the official object needs a message id and the reference has none, the id is made of what is said:
/// equal calls make equal ids, on every machine.
///
/// ```
/// use events_models::{A2AEventBuilder, TaskState};
///
/// let event = A2AEventBuilder::task_status_update(
///     "t1".into(), "c1".into(), TaskState::Working, Some("Reading".to_owned()),
/// );
/// assert_eq!(event.state(), Some(TaskState::Working));
/// assert!(event.timestamp().is_some());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct A2AEventBuilder;

fn now(event: impl Into<A2AEvent>) -> A2AEvent {
    A2AEventBuilder::stamp(&SystemClock, event)
}

/// Makes a part of any JSON: a string is text, anything else is data.
fn part_of(content: Value) -> Part {
    match content {
        Value::String(text) => Part::text(text),
        data => Part::data(data),
    }
}

/// Makes an id out of everything that tells one message from another: FNV-1a, 128 bits wide.
fn message_id_of(texts: &[&str]) -> MessageId {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash = OFFSET;
    for text in texts {
        // No byte of UTF-8 is 0xFF, so it can stand between two texts.
        for byte in text.bytes().chain([0xFF]) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(PRIME);
        }
    }
    MessageId::new(format!("msg-{hash:032x}"))
}

fn message(
    task_id: &TaskId,
    context_id: &ContextId,
    state: TaskState,
    role: Role,
    part: Part,
) -> Message {
    let said = match &part.content {
        PartContent::Text(text) | PartContent::Raw(text) | PartContent::Url(text) => text,
        PartContent::Data(data) => data.as_str(),
    };
    let message_id = message_id_of(&[task_id.as_str(), state.as_str(), role.as_str(), said]);
    let mut message = Message::new(message_id, role, vec![part]);
    message.context_id = Some(context_id.clone());
    message.task_id = Some(task_id.clone());
    message
}

fn status_update(
    task_id: TaskId,
    context_id: ContextId,
    state: TaskState,
    said: Option<Part>,
) -> TaskStatusUpdateEvent {
    let mut status = TaskStatus::new(state);
    status.message = said.map(|part| message(&task_id, &context_id, state, Role::Agent, part));
    TaskStatusUpdateEvent::new(task_id, context_id, status)
}

impl A2AEventBuilder {
    /// Stamps an event with the time of a clock, if it has a status.
    pub fn stamp(clock: &dyn Clock, event: impl Into<A2AEvent>) -> A2AEvent {
        let mut event = event.into();
        event.set_timestamp(Some(clock.now_ms()));
        event
    }

    /// Makes of `TASK_SUBMITTED` a submitted task. The input is a message of the user in its history, and the
    /// agent's name is `agentName` in its metadata.
    pub fn task_submitted(
        task_id: TaskId,
        context_id: ContextId,
        agent_name: impl Into<String>,
        input: Option<Value>,
    ) -> A2AEvent {
        let state = TaskState::Submitted;
        let history = input.map(|input| {
            vec![message(
                &task_id,
                &context_id,
                state,
                Role::User,
                part_of(input),
            )]
        });
        let mut metadata = Map::new();
        metadata.insert("agentName".to_owned(), Value::String(agent_name.into()));
        let mut task = Task::new(task_id, context_id, TaskStatus::new(state));
        task.history = history;
        task.metadata = Some(metadata.into());
        now(task)
    }

    /// Makes of `TASK_STATUS_UPDATE` a status, with what the agent says.
    #[must_use]
    pub fn task_status_update(
        task_id: TaskId,
        context_id: ContextId,
        state: TaskState,
        message: Option<String>,
    ) -> A2AEvent {
        now(status_update(
            task_id,
            context_id,
            state,
            message.map(Part::text),
        ))
    }

    /// Makes of `ARTIFACT_CREATED` an artifact that takes the place of any that has its id.
    #[must_use]
    pub fn artifact_created(
        task_id: TaskId,
        context_id: ContextId,
        artifact: Artifact,
    ) -> A2AEvent {
        TaskArtifactUpdateEvent::new(task_id, context_id, artifact).into()
    }

    /// Makes of `ARTIFACT_UPDATED` a piece of an artifact: a string is text, anything else is data.
    ///
    /// Without content there is only a flag to tell, and no official object for it: then an empty text is appended,
    /// which changes nothing.
    #[must_use]
    pub fn artifact_updated(
        task_id: TaskId,
        context_id: ContextId,
        artifact_id: impl Into<String>,
        append: bool,
        last_chunk: bool,
        content: Option<Value>,
    ) -> A2AEvent {
        let append = append || content.is_none();
        let part = content.map_or_else(|| Part::text(""), part_of);
        let artifact = Artifact::new(artifact_id, vec![part]);
        let mut event = TaskArtifactUpdateEvent::new(task_id, context_id, artifact);
        event.append = append.then_some(true);
        event.last_chunk = last_chunk.then_some(true);
        event.into()
    }

    /// Makes of `AGENT_MESSAGE` what the agent says while it works. An official message event would end the stream.
    ///
    /// A task in another state needs [`A2AEventBuilder::agent_message_in`].
    pub fn agent_message(
        task_id: TaskId,
        context_id: ContextId,
        message_id: impl Into<MessageId>,
        content: impl Into<String>,
    ) -> A2AEvent {
        Self::agent_message_in(task_id, context_id, TaskState::Working, message_id, content)
    }

    /// Makes of `AGENT_MESSAGE` what the agent says in the state that the task has.
    pub fn agent_message_in(
        task_id: TaskId,
        context_id: ContextId,
        state: TaskState,
        message_id: impl Into<MessageId>,
        content: impl Into<String>,
    ) -> A2AEvent {
        let mut event = status_update(task_id, context_id, state, Some(Part::text(content)));
        if let Some(message) = &mut event.status.message {
            message.message_id = message_id.into();
        }
        now(event)
    }

    /// Makes of `INPUT_REQUIRED` that status, with the prompt as what the agent says.
    pub fn input_required(
        task_id: TaskId,
        context_id: ContextId,
        prompt: impl Into<String>,
    ) -> A2AEvent {
        let prompt = Part::text(prompt);
        now(status_update(
            task_id,
            context_id,
            TaskState::InputRequired,
            Some(prompt),
        ))
    }

    /// Makes of `AUTH_REQUIRED` that status, with the address as data: `{"authUrl":"https://…"}`.
    pub fn auth_required(
        task_id: TaskId,
        context_id: ContextId,
        auth_url: impl Into<String>,
    ) -> A2AEvent {
        let mut part = Part::data(json!({ "authUrl": auth_url.into() }));
        part.media_type = Some("application/json".to_owned());
        now(status_update(
            task_id,
            context_id,
            TaskState::AuthRequired,
            Some(part),
        ))
    }

    /// Makes of `JSON_RPC_RESPONSE` the stream object, task or message that its result is, in either version.
    ///
    /// The request's id has no place in an event: an answer is for who asked, an event for who watches. The time
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// The result is none of these.
    pub fn json_rpc_response(result: &Value) -> Result<A2AEvent, InvalidEvent> {
        let json = AnyJson::from(result.clone());
        let raw = wire::parse(json.as_str().as_bytes())?;
        let members = Members::of(raw)?;
        if A2AVersion::of(&members).is_none() && members.get("status").is_some() {
            return Task::read(raw, A2AVersion::V1_0).map(A2AEvent::Task);
        }
        A2AEvent::from_json_any(json.as_str().as_bytes()).map(|(event, _)| event)
    }

    /// Makes of `JSON_RPC_ERROR` the failure of a task: the message is what the agent says, and code and data are
    /// `error` in the metadata.
    ///
    /// An error of a request is no state of a task: call this when the task has died of it, and not when only one
    /// caller was refused.
    pub fn json_rpc_error(
        task_id: TaskId,
        context_id: ContextId,
        code: i64,
        message: impl Into<String>,
        data: Option<Value>,
    ) -> A2AEvent {
        let mut error = Map::new();
        error.insert("code".to_owned(), code.into());
        error.extend(data.map(|data| ("data".to_owned(), data)));
        let mut metadata = Map::new();
        metadata.insert("error".to_owned(), error.into());
        let said = Part::text(message);
        let mut event = status_update(task_id, context_id, TaskState::Failed, Some(said));
        event.metadata = Some(metadata.into());
        now(event)
    }
}
