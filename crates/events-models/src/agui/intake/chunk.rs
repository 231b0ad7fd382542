//! One form for the three kinds of chunks.

use std::sync::Arc;

use crate::{
    AgUiEvent, AgUiEventType, MessageRole,
    agui::{
        AnyJson, OpenObject, ReasoningMessageChunk, ReasoningMessageContent, ReasoningMessageStart,
        TextMessageChunk, TextMessageContent, TextMessageStart, ToolCallArgs, ToolCallChunk,
        ToolCallStart,
        order::{ItemKind, OrderError},
    },
};

/// What the first chunk said about its item, and later ones may only repeat.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Item {
    Text {
        id: Arc<str>,
        role: MessageRole,
        name: Option<String>,
    },
    ToolCall {
        id: Arc<str>,
        name: String,
        parent: Option<Arc<str>>,
    },
    Reasoning {
        id: Arc<str>,
    },
}

impl Item {
    /// Makes the item again that a chunk has begun, of the start that the chunk made; none for other events.
    pub(super) fn begun_by(start: &AgUiEvent) -> Option<Self> {
        Some(match start {
            AgUiEvent::TextMessageStart(start) => Self::Text {
                id: start.message_id.to_shared(),
                role: start.role.unwrap_or(MessageRole::Assistant),
                name: start.name.clone(),
            },
            AgUiEvent::ToolCallStart(start) => Self::ToolCall {
                id: start.tool_call_id.to_shared(),
                name: start.tool_call_name.clone(),
                parent: start.parent_message_id.as_ref().map(|id| id.to_shared()),
            },
            AgUiEvent::ReasoningMessageStart(start) => Self::Reasoning {
                id: start.message_id.to_shared(),
            },
            _ => return None,
        })
    }

    pub(super) const fn kind(&self) -> ItemKind {
        match self {
            Self::Text { .. } => ItemKind::TextMessage,
            Self::ToolCall { .. } => ItemKind::ToolCall,
            Self::Reasoning { .. } => ItemKind::ReasoningMessage,
        }
    }

    /// Estimates from above the bytes that it holds on the heap.
    pub(super) fn held_bytes(&self) -> usize {
        let names = match self {
            Self::Text { name, .. } => name.as_ref().map_or(0, String::capacity),
            Self::ToolCall { name, parent, .. } => {
                name.capacity() + parent.as_ref().map_or(0, |parent| parent.len())
            }
            Self::Reasoning { .. } => 0,
        };
        self.id().len() + names + 128
    }

    pub(super) const fn id(&self) -> &Arc<str> {
        match self {
            Self::Text { id, .. } | Self::ToolCall { id, .. } | Self::Reasoning { id } => id,
        }
    }
}

/// A chunk of any kind.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) kind: ItemKind,
    pub(super) id: Option<Arc<str>>,
    pub(super) subagent_run_id: Option<String>,
    role: Option<MessageRole>,
    /// The speaker's name or the tool's.
    name: Option<String>,
    parent: Option<Arc<str>>,
    delta: Option<String>,
    timestamp: Option<i64>,
    raw_event: Option<AnyJson>,
    metadata: Option<OpenObject>,
}

impl From<TextMessageChunk> for Chunk {
    fn from(chunk: TextMessageChunk) -> Self {
        Self {
            kind: ItemKind::TextMessage,
            id: chunk.message_id.map(|id| id.to_shared()),
            subagent_run_id: chunk.subagent_run_id,
            role: chunk.role,
            name: chunk.name,
            parent: None,
            delta: chunk.delta,
            timestamp: chunk.timestamp,
            raw_event: chunk.raw_event,
            metadata: chunk.metadata,
        }
    }
}

impl From<ToolCallChunk> for Chunk {
    fn from(chunk: ToolCallChunk) -> Self {
        Self {
            kind: ItemKind::ToolCall,
            id: chunk.tool_call_id.map(|id| id.to_shared()),
            subagent_run_id: chunk.subagent_run_id,
            role: None,
            name: chunk.tool_call_name,
            parent: chunk.parent_message_id.map(|id| id.to_shared()),
            delta: chunk.delta,
            timestamp: chunk.timestamp,
            raw_event: chunk.raw_event,
            metadata: chunk.metadata,
        }
    }
}

impl From<ReasoningMessageChunk> for Chunk {
    fn from(chunk: ReasoningMessageChunk) -> Self {
        Self {
            kind: ItemKind::ReasoningMessage,
            id: chunk.message_id.map(|id| id.to_shared()),
            subagent_run_id: chunk.subagent_run_id,
            role: None,
            name: None,
            parent: None,
            delta: chunk.delta,
            timestamp: chunk.timestamp,
            raw_event: chunk.raw_event,
            metadata: chunk.metadata,
        }
    }
}

/// Gives an event a chunk's base members.
macro_rules! stamped {
    ($event:expr, $timestamp:expr, $tag:expr, $raw_event:expr, $metadata:expr) => {{
        let mut event = $event;
        event.timestamp = $timestamp;
        event.subagent_run_id = $tag;
        event.raw_event = $raw_event;
        event.metadata = $metadata;
        event.into()
    }};
}

impl Chunk {
    pub(super) const fn found(&self) -> AgUiEventType {
        match self.kind {
            ItemKind::ToolCall => AgUiEventType::ToolCallChunk,
            ItemKind::ReasoningMessage => AgUiEventType::ReasoningMessageChunk,
            _ => AgUiEventType::TextMessageChunk,
        }
    }

    /// Tells whether the chunk is about an item that is open, as opposed to beginning another.
    pub(super) fn continues(&self, item: &Item) -> bool {
        self.kind == item.kind() && self.id.as_ref().is_none_or(|id| id == item.id())
    }

    /// Refuses a chunk that repeats what the first one said, with another value.
    pub(super) fn agrees_with(&self, item: &Item) -> Result<(), OrderError> {
        let conflict = match item {
            Item::Text { role, name, .. } => {
                if self.role.is_some_and(|other| other != *role) {
                    Some("role")
                } else {
                    (self.name.is_some() && self.name != *name).then_some("name")
                }
            }
            Item::ToolCall { name, parent, .. } => {
                if self.name.as_ref().is_some_and(|other| other != name) {
                    Some("toolCallName")
                } else {
                    (self.parent.is_some() && self.parent != *parent).then_some("parentMessageId")
                }
            }
            Item::Reasoning { .. } => None,
        };
        conflict.map_or(Ok(()), |member| {
            Err(OrderError::ChunkConflict {
                kind: item.kind(),
                id: item.id().as_ref().to_owned(),
                member,
            })
        })
    }

    /// Makes the item that the chunk begins, and its start; the chunk's open data goes with the start.
    pub(super) fn open(&self) -> Result<(Item, AgUiEvent), OrderError> {
        let incomplete = |missing| OrderError::ChunkIncomplete {
            found: self.found(),
            missing,
        };
        let (timestamp, tag) = (self.timestamp, self.subagent_run_id.clone());
        let (raw_event, metadata) = (self.raw_event.clone(), self.metadata.clone());
        Ok(match self.kind {
            ItemKind::ToolCall => {
                let id = self.id.clone().ok_or_else(|| incomplete("toolCallId"))?;
                let name = self
                    .name
                    .clone()
                    .ok_or_else(|| incomplete("toolCallName"))?;
                let mut start = ToolCallStart::new(Arc::clone(&id), name.clone());
                start.parent_message_id = self.parent.clone().map(Into::into);
                let parent = self.parent.clone();
                (
                    Item::ToolCall { id, name, parent },
                    stamped!(start, timestamp, tag, raw_event, metadata),
                )
            }
            ItemKind::ReasoningMessage => {
                let id = self.id.clone().ok_or_else(|| incomplete("messageId"))?;
                let start = ReasoningMessageStart::new(Arc::clone(&id));
                (
                    Item::Reasoning { id },
                    stamped!(start, timestamp, tag, raw_event, metadata),
                )
            }
            _ => {
                let id = self.id.clone().ok_or_else(|| incomplete("messageId"))?;
                let role = self.role.unwrap_or(MessageRole::Assistant);
                let name = self.name.clone();
                let mut start = TextMessageStart::new(Arc::clone(&id));
                start.role = Some(role);
                start.name.clone_from(&name);
                (
                    Item::Text { id, role, name },
                    stamped!(start, timestamp, tag, raw_event, metadata),
                )
            }
        })
    }

    /// Makes the content that comes with the start, if the chunk has any.
    pub(super) fn first_content(mut self, item: &Item) -> Option<AgUiEvent> {
        let delta = self.delta.take()?;
        let (timestamp, tag) = (self.timestamp, self.subagent_run_id);
        Some(content(item, delta, timestamp, tag, None, None))
    }

    /// Makes the content of a chunk that continues an item, if the chunk says anything.
    pub(super) fn next_content(self, item: &Item, owner: Option<&str>) -> Option<AgUiEvent> {
        if self.delta.is_none() && self.raw_event.is_none() && self.metadata.is_none() {
            return None;
        }
        let tag = self.subagent_run_id.or_else(|| owner.map(str::to_owned));
        let delta = self.delta.unwrap_or_default();
        Some(content(
            item,
            delta,
            self.timestamp,
            tag,
            self.raw_event,
            self.metadata,
        ))
    }
}

fn content(
    item: &Item,
    delta: String,
    timestamp: Option<i64>,
    tag: Option<String>,
    raw_event: Option<AnyJson>,
    metadata: Option<OpenObject>,
) -> AgUiEvent {
    let id = Arc::clone(item.id());
    match item {
        Item::Text { .. } => stamped!(
            TextMessageContent::new(id, delta),
            timestamp,
            tag,
            raw_event,
            metadata
        ),
        Item::ToolCall { .. } => stamped!(
            ToolCallArgs::new(id, delta),
            timestamp,
            tag,
            raw_event,
            metadata
        ),
        Item::Reasoning { .. } => stamped!(
            ReasoningMessageContent::new(id, delta),
            timestamp,
            tag,
            raw_event,
            metadata
        ),
    }
}
