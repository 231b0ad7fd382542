//! The union of all events.

use events_core::{TaskId, ThreadId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::value::RawValue;

use super::{
    ActivityDelta, ActivitySnapshot, Custom, MessagesSnapshot, Raw, ReasoningEncryptedValue,
    ReasoningEnd, ReasoningMessageChunk, ReasoningMessageContent, ReasoningMessageEnd,
    ReasoningMessageStart, ReasoningStart, RunError, RunFinished, RunStarted, StateDelta,
    StateSnapshot, StepFinished, StepStarted, SubagentError, SubagentFinished, SubagentStarted,
    TextMessageChunk, TextMessageContent, TextMessageEnd, TextMessageStart, ToolCallArgs,
    ToolCallChunk, ToolCallEnd, ToolCallResult, ToolCallStart, unknown_tag,
};
use crate::{
    InvalidEvent,
    wire::{self, Members, Wire, wire_enum},
};

macro_rules! agui_events {
    ($($variant:ident = $wire:literal,)*) => {
        wire_enum! {
            /// The type of an AG-UI event.
            ///
            /// `"TEXT_MESSAGE_CONTENT"`
            pub enum AgUiEventType {
                $( #[doc = concat!("`", $wire, "`, see [`", stringify!($variant), "`].")] $variant = $wire, )*
            }
        }

        /// An AG-UI 1.0 event.
        ///
        /// ```
        /// use events_models::AgUiEvent;
        ///
        /// let event = AgUiEvent::from_json(br#"{"type":"STEP_STARTED","stepName":"plan"}"#)?;
        /// let mut json = Vec::new();
        /// event.write_json(&mut json).expect("this event can be written");
        /// assert_eq!(json, br#"{"type":"STEP_STARTED","stepName":"plan"}"#);
        /// # Ok::<(), events_models::InvalidEvent>(())
        /// ```
        #[derive(Clone, PartialEq, Debug)]
        pub enum AgUiEvent {
            $( #[doc = concat!("`", $wire, "`")] $variant($variant), )*
        }

        impl AgUiEvent {
            fn read_members(members: &Members<'_>) -> Result<Self, InvalidEvent> {
                let name = members.tag("type")?;
                match AgUiEventType::from_wire(&name) {
                    $( Some(AgUiEventType::$variant) => $variant::read_members(members).map(Self::$variant), )*
                    None => Err(unknown_tag("type", &name, &[$($wire),*])),
                }
            }

            /// Returns the event's type.
            #[must_use]
            pub const fn event_type(&self) -> AgUiEventType {
                match self { $( Self::$variant(_) => AgUiEventType::$variant, )* }
            }

            /// Returns when it happened, in milliseconds since the Unix epoch.
            #[must_use]
            pub const fn timestamp(&self) -> Option<i64> {
                match self { $( Self::$variant(event) => event.timestamp, )* }
            }

            /// Says when it happened, in milliseconds since the Unix epoch.
            pub const fn set_timestamp(&mut self, timestamp: Option<i64>) {
                match self { $( Self::$variant(event) => event.timestamp = timestamp, )* }
            }

            /// Checks an event that was built in Rust; what [`AgUiEvent::from_json`] gave passes.
            ///
            /// # Errors
            ///
            /// A member cannot be written legally: an integer beyond 2^53, a `null` that had to be left
            /// out, an interrupt outcome without interrupts, a JSON Pointer that is none.
            pub fn validate(&self) -> Result<(), InvalidEvent> {
                match self { $( Self::$variant(event) => event.check(), )* }
            }
        }

        impl AgUiEvent {
            /// Appends the event's JSON to `out`: one line, `type` first, absent members left out.
            ///
            /// # Errors
            ///
            /// None in practice: every event has a JSON form. See [`AgUiEvent::validate`] for whether it is legal.
            pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                match self {
                    $( Self::$variant(event) => {
                        out.extend_from_slice(concat!("{\"type\":\"", $wire, "\"").as_bytes());
                        event.append_members(out)?;
                    } )*
                }
                out.push(b'}');
                Ok(())
            }
        }

        impl Serialize for AgUiEvent {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                match self {
                    $( Self::$variant(event) => {
                        map.serialize_entry("type", $wire)?;
                        event.write_members(&mut map)?;
                    } )*
                }
                map.end()
            }
        }
    };
}

agui_events! {
    TextMessageStart = "TEXT_MESSAGE_START",
    TextMessageContent = "TEXT_MESSAGE_CONTENT",
    TextMessageEnd = "TEXT_MESSAGE_END",
    TextMessageChunk = "TEXT_MESSAGE_CHUNK",
    ToolCallStart = "TOOL_CALL_START",
    ToolCallArgs = "TOOL_CALL_ARGS",
    ToolCallEnd = "TOOL_CALL_END",
    ToolCallChunk = "TOOL_CALL_CHUNK",
    ToolCallResult = "TOOL_CALL_RESULT",
    StateSnapshot = "STATE_SNAPSHOT",
    StateDelta = "STATE_DELTA",
    MessagesSnapshot = "MESSAGES_SNAPSHOT",
    ActivitySnapshot = "ACTIVITY_SNAPSHOT",
    ActivityDelta = "ACTIVITY_DELTA",
    Raw = "RAW",
    Custom = "CUSTOM",
    RunStarted = "RUN_STARTED",
    RunFinished = "RUN_FINISHED",
    RunError = "RUN_ERROR",
    StepStarted = "STEP_STARTED",
    StepFinished = "STEP_FINISHED",
    ReasoningStart = "REASONING_START",
    ReasoningMessageStart = "REASONING_MESSAGE_START",
    ReasoningMessageContent = "REASONING_MESSAGE_CONTENT",
    ReasoningMessageEnd = "REASONING_MESSAGE_END",
    ReasoningMessageChunk = "REASONING_MESSAGE_CHUNK",
    ReasoningEnd = "REASONING_END",
    ReasoningEncryptedValue = "REASONING_ENCRYPTED_VALUE",
    SubagentStarted = "SUBAGENT_STARTED",
    SubagentFinished = "SUBAGENT_FINISHED",
    SubagentError = "SUBAGENT_ERROR",
}

impl AgUiEventType {
    /// Finds the type of an event by the beginning of its JSON, if that is written as
    /// [`AgUiEvent::write_json`] does it: `type` first.
    #[must_use]
    pub fn of_json(json: &[u8]) -> Option<Self> {
        let rest = json.strip_prefix(b"{\"type\":\"")?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        Self::from_wire(std::str::from_utf8(&rest[..end]).ok()?)
    }

    /// Tells whether events of this type begin or end a run, or something within one; only such events change
    /// what is open.
    #[must_use]
    pub const fn is_structural(self) -> bool {
        matches!(
            self,
            Self::RunStarted
                | Self::RunFinished
                | Self::RunError
                | Self::StepStarted
                | Self::StepFinished
                | Self::SubagentStarted
                | Self::SubagentFinished
                | Self::SubagentError
                | Self::TextMessageStart
                | Self::TextMessageEnd
                | Self::ToolCallStart
                | Self::ToolCallEnd
                | Self::ReasoningStart
                | Self::ReasoningEnd
                | Self::ReasoningMessageStart
                | Self::ReasoningMessageEnd
        )
    }
}

impl AgUiEvent {
    /// Reads one event, strictly: what the protocol describes must be as it describes it.
    ///
    /// Members that it does not describe are left aside. Of a repeated member the last one counts, as in
    /// JavaScript.
    ///
    /// # Errors
    ///
    /// The text is not UTF-8 or not JSON ([`InvalidEvent::is_syntax`]), or not a legal event.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidEvent> {
        if let Some(event) = super::delta::read(json) {
            return Ok(event);
        }
        // The usual case goes through the text once; what fails is parsed again to say why.
        match serde_json::from_slice::<Members<'_>>(json) {
            Ok(members) => Self::read_members(&members),
            Err(_) => wire::from_json(json),
        }
    }

    /// Makes an event that says nothing, for the place of one that was moved out. It is never published.
    #[must_use]
    pub fn spent() -> Self {
        Self::StepFinished(StepFinished::new(""))
    }

    /// Takes the event out, and leaves a [spent](AgUiEvent::spent) one.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::spent())
    }

    /// Tells whether the event is shorthand, which an intake expands.
    #[must_use]
    pub const fn is_chunk(&self) -> bool {
        matches!(
            self,
            Self::TextMessageChunk(_) | Self::ToolCallChunk(_) | Self::ReasoningMessageChunk(_)
        )
    }

    /// Tells whether the event begins or ends a run, or something within one; only such events change what is
    /// open.
    #[must_use]
    pub const fn is_structural(&self) -> bool {
        self.event_type().is_structural()
    }

    /// Tells whether a checker may have to remember an id for the event, as it does for what begins and for what
    /// names messages; what only continues or ends something adds none.
    #[must_use]
    pub const fn may_add_ids(&self) -> bool {
        !matches!(
            self,
            Self::TextMessageContent(_)
                | Self::TextMessageEnd(_)
                | Self::ToolCallArgs(_)
                | Self::ToolCallEnd(_)
                | Self::StateSnapshot(_)
                | Self::StateDelta(_)
                | Self::ActivityDelta(_)
                | Self::Raw(_)
                | Self::Custom(_)
                | Self::ReasoningMessageContent(_)
                | Self::ReasoningMessageEnd(_)
                | Self::ReasoningEnd(_)
                | Self::StepFinished(_)
                | Self::SubagentFinished(_)
                | Self::SubagentError(_)
                | Self::RunFinished(_)
        )
    }

    /// Tells whether a checker that allows the event is the same afterwards: the event continues something that is open,
    /// or stands by itself.
    #[must_use]
    pub const fn leaves_order(&self) -> bool {
        matches!(
            self,
            Self::TextMessageContent(_)
                | Self::ToolCallArgs(_)
                | Self::ReasoningMessageContent(_)
                | Self::StateSnapshot(_)
                | Self::StateDelta(_)
                | Self::ActivityDelta(_)
                | Self::ReasoningEncryptedValue(_)
                | Self::Raw(_)
                | Self::Custom(_)
        )
    }

    /// Returns the thread that the event names: only RUN_STARTED and RUN_FINISHED name one.
    #[must_use]
    pub fn thread_id(&self) -> Option<&str> {
        self.run().map(|(thread, _)| thread.as_str())
    }

    /// Returns the run that the event names: only RUN_STARTED and RUN_FINISHED name one.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        self.run().map(|(_, run)| run.as_str())
    }

    const fn run(&self) -> Option<(&ThreadId, &TaskId)> {
        match self {
            Self::RunStarted(event) => Some((&event.thread_id, &event.run_id)),
            Self::RunFinished(event) => Some((&event.thread_id, &event.run_id)),
            _ => None,
        }
    }

    /// Returns the subagent that the event comes from or is about; none for the parent agent.
    #[must_use]
    pub fn subagent_run_id(&self) -> Option<&str> {
        let tag = match self {
            Self::TextMessageStart(event) => &event.subagent_run_id,
            Self::TextMessageContent(event) => &event.subagent_run_id,
            Self::TextMessageEnd(event) => &event.subagent_run_id,
            Self::TextMessageChunk(event) => &event.subagent_run_id,
            Self::ToolCallStart(event) => &event.subagent_run_id,
            Self::ToolCallArgs(event) => &event.subagent_run_id,
            Self::ToolCallEnd(event) => &event.subagent_run_id,
            Self::ToolCallChunk(event) => &event.subagent_run_id,
            Self::ToolCallResult(event) => &event.subagent_run_id,
            Self::StateSnapshot(event) => &event.subagent_run_id,
            Self::StateDelta(event) => &event.subagent_run_id,
            Self::ActivitySnapshot(event) => &event.subagent_run_id,
            Self::ActivityDelta(event) => &event.subagent_run_id,
            Self::Raw(event) => &event.subagent_run_id,
            Self::Custom(event) => &event.subagent_run_id,
            Self::StepStarted(event) => &event.subagent_run_id,
            Self::StepFinished(event) => &event.subagent_run_id,
            Self::ReasoningStart(event) => &event.subagent_run_id,
            Self::ReasoningMessageStart(event) => &event.subagent_run_id,
            Self::ReasoningMessageContent(event) => &event.subagent_run_id,
            Self::ReasoningMessageEnd(event) => &event.subagent_run_id,
            Self::ReasoningMessageChunk(event) => &event.subagent_run_id,
            Self::ReasoningEnd(event) => &event.subagent_run_id,
            Self::ReasoningEncryptedValue(event) => &event.subagent_run_id,
            Self::SubagentStarted(event) => return Some(&event.subagent_run_id),
            Self::SubagentFinished(event) => return Some(&event.subagent_run_id),
            Self::SubagentError(event) => return Some(&event.subagent_run_id),
            Self::RunStarted(_)
            | Self::RunFinished(_)
            | Self::RunError(_)
            | Self::MessagesSnapshot(_) => return None,
        };
        tag.as_deref()
    }
}

impl Wire for AgUiEvent {
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        Self::read_members(&Members::of(raw)?)
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        self.validate()
    }
}

impl<'de> Deserialize<'de> for AgUiEvent {
    /// Reads the event from a JSON deserializer; other formats have no raw text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::read(&raw).map_err(D::Error::custom)
    }
}
