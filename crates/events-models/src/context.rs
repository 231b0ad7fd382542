//! One stream of several protocols: each event in an envelope that names its own.

use events_core::{ContextId, ThreadId};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::{
    A2AEvent, AgUiEvent, InvalidEvent, SystemEvent, SystemEventBuilder,
    agui::unknown_tag,
    system::ContextSummary,
    wire::{self, Members, Wire, wire_struct},
};

/// An event of any protocol, in its envelope.
///
/// `{"protocol":"agui","thread":"t1","event":{"type":"STEP_STARTED","stepName":"plan"}}`
///
/// ```
/// use events_models::{AgUiEventBuilder, ContextEvent};
///
/// let event = ContextEvent::from(AgUiEventBuilder::step_started("plan"));
/// assert_eq!(event.event_type(), "STEP_STARTED");
/// ```
#[derive(Clone, PartialEq, Debug)]
pub enum ContextEvent {
    /// An AG-UI event whose thread is not known here.
    AgUi(AgUiEvent),
    /// An AG-UI event of a thread.
    AgUiIn {
        /// The thread, which most AG-UI events do not name themselves.
        thread: ThreadId,
        /// The event.
        event: AgUiEvent,
    },
    /// An A2A stream object, which names its conversation itself.
    A2A(A2AEvent),
    /// A system event.
    System(SystemEvent),
}

impl ContextEvent {
    /// Reads one enveloped event. Members that are not described are left aside.
    ///
    /// # Errors
    ///
    /// The text is not JSON, the protocol is not known, or the event is not legal.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidEvent> {
        wire::from_json(json)
    }

    /// Appends the enveloped event's JSON to `out`, as one line.
    ///
    /// # Errors
    ///
    /// None in practice: every event has a JSON form.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(out, self)
    }

    /// Returns the name of the event's protocol.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match self {
            Self::AgUi(_) | Self::AgUiIn { .. } => "agui",
            Self::A2A(_) => "a2a",
            Self::System(_) => "system",
        }
    }

    /// Returns the thread that the envelope names.
    #[must_use]
    pub const fn thread(&self) -> Option<&ThreadId> {
        match self {
            Self::AgUiIn { thread, .. } => Some(thread),
            Self::AgUi(_) | Self::A2A(_) | Self::System(_) => None,
        }
    }

    /// Returns the type of the event, as its protocol names it.
    #[must_use]
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::AgUi(event) | Self::AgUiIn { event, .. } => event.event_type().as_str(),
            Self::A2A(event) => event.event_type().as_str(),
            Self::System(event) => event.event_type().as_str(),
        }
    }

    /// Returns when it happened, in milliseconds since the Unix epoch.
    #[must_use]
    pub const fn timestamp(&self) -> Option<i64> {
        match self {
            Self::AgUi(event) | Self::AgUiIn { event, .. } => event.timestamp(),
            Self::A2A(event) => event.timestamp(),
            Self::System(event) => Some(event.timestamp()),
        }
    }
}

impl From<AgUiEvent> for ContextEvent {
    fn from(event: AgUiEvent) -> Self {
        Self::AgUi(event)
    }
}

impl From<A2AEvent> for ContextEvent {
    fn from(event: A2AEvent) -> Self {
        Self::A2A(event)
    }
}

impl From<SystemEvent> for ContextEvent {
    fn from(event: SystemEvent) -> Self {
        Self::System(event)
    }
}

impl Wire for ContextEvent {
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        let members = Members::of(raw)?;
        match &*members.tag("protocol")? {
            "agui" => {
                let event = members.read("event")?;
                Ok(match members.read("thread")? {
                    Some(thread) => Self::AgUiIn { thread, event },
                    None => Self::AgUi(event),
                })
            }
            "a2a" => members.read("event").map(Self::A2A),
            "system" => members.read("event").map(Self::System),
            other => Err(unknown_tag("protocol", other, &["agui", "a2a", "system"])),
        }
    }
}

impl Serialize for ContextEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("protocol", self.protocol())?;
        if let Some(thread) = self.thread() {
            map.serialize_entry("thread", thread)?;
        }
        match self {
            Self::AgUi(event) | Self::AgUiIn { event, .. } => {
                map.serialize_entry("event", event)?;
            }
            Self::A2A(event) => map.serialize_entry("event", event)?,
            Self::System(event) => map.serialize_entry("event", event)?,
        }
        map.end()
    }
}

wire_struct!(@deserialize ContextEvent);

/// Makes enveloped events; system events are stamped with the machine's time.
#[derive(Clone, Copy, Debug)]
pub struct ContextEventBuilder;

impl ContextEventBuilder {
    /// Wraps an AG-UI event whose thread is not known here.
    #[must_use]
    pub const fn agui(event: AgUiEvent) -> ContextEvent {
        ContextEvent::AgUi(event)
    }

    /// Wraps an AG-UI event of a thread.
    pub fn agui_in(thread: impl Into<ThreadId>, event: AgUiEvent) -> ContextEvent {
        ContextEvent::AgUiIn {
            thread: thread.into(),
            event,
        }
    }

    /// Wraps an A2A stream object.
    #[must_use]
    pub const fn a2a(event: A2AEvent) -> ContextEvent {
        ContextEvent::A2A(event)
    }

    /// Wraps a system event.
    #[must_use]
    pub const fn system(event: SystemEvent) -> ContextEvent {
        ContextEvent::System(event)
    }

    /// Makes an enveloped `CONTEXT_CREATED`.
    pub fn context_created(context_id: ContextId, name: impl Into<String>) -> ContextEvent {
        SystemEventBuilder::context_created(context_id, name).into()
    }

    /// Makes an enveloped `CONTEXT_UPDATED`.
    #[must_use]
    pub fn context_updated(context_id: ContextId, name: Option<String>) -> ContextEvent {
        SystemEventBuilder::context_updated(context_id, name).into()
    }

    /// Makes an enveloped `CONTEXT_DELETED`.
    #[must_use]
    pub fn context_deleted(context_id: ContextId) -> ContextEvent {
        SystemEventBuilder::context_deleted(context_id).into()
    }

    /// Makes an enveloped `CONTEXTS_SNAPSHOT`.
    #[must_use]
    pub fn contexts_snapshot(contexts: Vec<ContextSummary>) -> ContextEvent {
        SystemEventBuilder::contexts_snapshot(contexts).into()
    }

    /// Makes an enveloped `CONNECTED`.
    pub fn connected(connection_id: impl Into<String>) -> ContextEvent {
        SystemEventBuilder::connected(connection_id).into()
    }

    /// Makes an enveloped `HEARTBEAT`.
    #[must_use]
    pub fn heartbeat() -> ContextEvent {
        SystemEventBuilder::heartbeat().into()
    }
}

#[cfg(test)]
mod tests;
