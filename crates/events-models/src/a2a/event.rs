//! The union of all stream objects.

use std::collections::HashSet;

use events_core::{ContextId, TaskId};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::{
    A2AVersion, Message, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus,
    TaskStatusUpdateEvent, Timestamp, UnknownMembers,
    codec::{self, Coded},
};
use crate::{
    InvalidEvent,
    wire::{self, Members, Wire, wire_enum, wire_struct},
};

/// The members of which 1.0 has exactly one.
pub(super) const WRAPPERS: [&str; 4] = ["task", "message", "statusUpdate", "artifactUpdate"];

macro_rules! a2a_events {
    ($( $(#[$meta:meta])* $variant:ident($body:ty) = $wire:literal, $kind:literal; )*) => {
        wire_enum! {
            /// The type of an A2A stream object: the name of its member in 1.0.
            ///
            /// `"statusUpdate"`
            pub enum A2AEventType {
                $( $(#[$meta])* $variant = $wire, )*
            }
        }

        impl A2AEventType {
            /// Returns what 0.3 calls it, such as `status-update`.
            #[must_use]
            pub const fn kind_v0_3(self) -> &'static str {
                match self { $( Self::$variant => $kind, )* }
            }
        }

        /// An object of an A2A stream.
        ///
        /// `{"statusUpdate":{"taskId":"t1","contextId":"c1","status":{"state":"TASK_STATE_WORKING"}}}`
        ///
        /// ```
        /// use events_models::{A2AEvent, TaskState};
        ///
        /// let json = br#"{"task":{"id":"t1","contextId":"c1","status":{"state":"TASK_STATE_COMPLETED"}}}"#;
        /// let event = A2AEvent::from_json(json)?;
        /// assert_eq!(event.state(), Some(TaskState::Completed));
        /// let mut old = Vec::new();
        /// event.write_json_v0_3(&mut old).expect("this event can be written");
        /// assert_eq!(old, br#"{"kind":"task","id":"t1","contextId":"c1","status":{"state":"completed"}}"#);
        /// # Ok::<(), events_models::InvalidEvent>(())
        /// ```
        #[derive(Clone, PartialEq, Debug)]
        pub enum A2AEvent {
            $( $(#[$meta])* $variant($body), )*
        }

        $(
            impl From<$body> for A2AEvent {
                fn from(body: $body) -> Self {
                    Self::$variant(body)
                }
            }
        )*

        impl A2AEvent {
            /// Returns the event's type.
            #[must_use]
            pub const fn event_type(&self) -> A2AEventType {
                match self { $( Self::$variant(_) => A2AEventType::$variant, )* }
            }

            fn read_v1_0(members: &Members<'_>) -> Result<Self, InvalidEvent> {
                let (name, raw) = only_member(members)?;
                let mut event = match name {
                    $( $wire => <$body>::read(raw, A2AVersion::V1_0).map(Self::$variant), )*
                    _ => Err(no_member()),
                }
                .map_err(|error| error.in_member(name))?;
                let beside = UnknownMembers::of(members.iter(), tells_what_it_is)?;
                match &mut event { $( Self::$variant(body) => body.beside = beside, )* }
                Ok(event)
            }

            fn read_v0_3(members: &Members<'_>) -> Result<Self, InvalidEvent> {
                if members.get("kind").is_none()
                    && A2AVersion::of(members) == Some(A2AVersion::V1_0)
                {
                    return Err(InvalidEvent::new(
                        "required, but missing (the event is in the form of 1.0)",
                    )
                    .in_member("kind"));
                }
                match &*members.tag("kind")? {
                    $( $kind => {
                        let mut body = <$body>::read_members(members, A2AVersion::V0_3)?;
                        body.unknown.retain(|name| !tells_what_it_is(name));
                        Ok(Self::$variant(body))
                    } )*
                    other => {
                        let known = [$($kind),*].join(", ");
                        let reason = format!("unknown kind `{other}`: expected {known}");
                        Err(InvalidEvent::new(reason).in_member("kind"))
                    }
                }
            }

            /// Appends the event's JSON in the JSON-RPC form of 0.3 to `out`: one line, `kind` first.
            ///
            /// What 0.3 has no place for is lost: see [the module](crate::a2a).
            ///
            /// # Errors
            ///
            /// None in practice: every event has a JSON form.
            pub fn write_json_v0_3(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                serde_json::to_writer(out, &Flat(self))
            }

            /// Checks an event that was built in Rust or read as 0.3, whether it is legal in 1.0; what
            /// [`A2AEvent::from_json`] gave passes.
            ///
            /// # Errors
            ///
            /// A required member is empty, a state is unknown, a file is not base64, or an unknown member has the
            /// name of a known one.
            pub fn validate(&self) -> Result<(), InvalidEvent> {
                match self {
                    $( Self::$variant(body) => {
                        Coded::check(body).map_err(|error| error.in_member($wire))?;
                        body.beside.check(tells_what_it_is)
                    } )*
                }
            }
        }

        impl Serialize for A2AEvent {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                match self {
                    $( Self::$variant(body) => {
                        map.serialize_entry($wire, body)?;
                        body.beside.write(&mut map, tells_what_it_is)?;
                    } )*
                }
                map.end()
            }
        }

        impl Serialize for Flat<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                match self.0 {
                    $( A2AEvent::$variant(body) => {
                        body.write_members(&mut map, A2AVersion::V0_3)?;
                        let is_taken = |name: &str| <$body>::is_described(name) || tells_what_it_is(name);
                        body.unknown.write(&mut map, is_taken)?;
                        if !body.beside.is_empty() {
                            let own: HashSet<_> = body.unknown.iter().map(|(name, _)| name).collect();
                            body.beside.write(&mut map, |name| is_taken(name) || own.contains(name))?;
                        }
                    } )*
                }
                map.end()
            }
        }
    };
}

a2a_events! {
    /// A task as it is now.
    Task(Task) = "task", "task";
    /// A message that answers without a task.
    Message(Message) = "message", "message";
    /// A task has another status.
    StatusUpdate(TaskStatusUpdateEvent) = "statusUpdate", "status-update";
    /// A task has made something, or a piece of it.
    ArtifactUpdate(TaskArtifactUpdateEvent) = "artifactUpdate", "artifact-update";
}

impl A2AEventType {
    /// Tells the type of an event by the JSON that [`A2AEvent::write_json`] has written, without reading it all; none
    /// for other JSON.
    ///
    /// ```
    /// use events_models::{A2AEventType, TaskState, A2AEventBuilder as Make};
    ///
    /// let mut json = Vec::new();
    /// Make::task_status_update("t".into(), "c".into(), TaskState::Working, None).write_json(&mut json)?;
    /// assert_eq!(A2AEventType::of_json(&json), Some(A2AEventType::StatusUpdate));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn of_json(json: &[u8]) -> Option<Self> {
        let name = json.strip_prefix(b"{\"")?;
        let name = name.split(|byte| *byte == b'"').next()?;
        [
            Self::ArtifactUpdate,
            Self::StatusUpdate,
            Self::Task,
            Self::Message,
        ]
        .into_iter()
        .find(|kind| kind.as_str().as_bytes() == name)
    }
}

/// An event in the form of 0.3, which has nothing around it.
struct Flat<'a>(&'a A2AEvent);

/// Tells whether a member says what an event is, in either version; then it can be nothing else.
fn tells_what_it_is(name: &str) -> bool {
    name == "kind" || WRAPPERS.contains(&name) || codec::is_snake_case_of_any(name, &WRAPPERS)
}

fn no_member() -> InvalidEvent {
    InvalidEvent::new(format!("expected one member of {}", WRAPPERS.join(", ")))
}

/// Finds the one member that tells what the event is.
fn only_member<'a>(members: &Members<'a>) -> Result<(&'static str, &'a RawValue), InvalidEvent> {
    let mut found = WRAPPERS
        .into_iter()
        .filter_map(|name| codec::find(members, name, A2AVersion::V1_0).map(|raw| (name, raw)));
    let Some(only) = found.next() else {
        let mut error = no_member();
        if members.get("kind").is_some() {
            error.reason.push_str(" (the event is in the form of 0.3)");
        }
        return Err(error);
    };
    match found.next() {
        Some((second, _)) => Err(InvalidEvent::new(format!(
            "has both `{}` and `{second}`: an event has one member",
            only.0
        ))),
        None => Ok(only),
    }
}

impl A2AEvent {
    /// Reads one event in the form of 1.0.
    ///
    /// Members that no version describes are kept, see [`UnknownMembers`]. Of a repeated member the last one counts,
    /// as in JavaScript.
    ///
    /// # Errors
    ///
    /// The text is not UTF-8 or not JSON ([`InvalidEvent::is_syntax`]), or not a legal event. What is kept as it is
    /// must not nest too deep nor have a lone surrogate.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidEvent> {
        Self::from_json_as(json, A2AVersion::V1_0)
    }

    /// Reads one event in the form of a version.
    ///
    /// # Errors
    ///
    /// As [`A2AEvent::from_json`].
    pub fn from_json_as(json: &[u8], version: A2AVersion) -> Result<Self, InvalidEvent> {
        // The usual case goes through the text once; what fails is parsed again to say why.
        let parsed;
        let members = match serde_json::from_slice::<Members<'_>>(json) {
            Ok(members) => members,
            Err(_) => {
                parsed = wire::parse(json)?;
                Members::of(parsed)?
            }
        };
        Self::read_members(&members, version)
    }

    /// Reads one event in the form of whichever version it is in, and says in which.
    ///
    /// # Errors
    ///
    /// As [`A2AEvent::from_json`]; what is in neither form is refused as 1.0 would refuse it.
    pub fn from_json_any(json: &[u8]) -> Result<(Self, A2AVersion), InvalidEvent> {
        let version = A2AVersion::detect(json).unwrap_or(A2AVersion::V1_0);
        Self::from_json_as(json, version).map(|event| (event, version))
    }

    fn read_members(members: &Members<'_>, version: A2AVersion) -> Result<Self, InvalidEvent> {
        match version {
            A2AVersion::V1_0 => Self::read_v1_0(members),
            A2AVersion::V0_3 => Self::read_v0_3(members),
        }
    }

    /// Appends the event's JSON in the form of 1.0 to `out`: one line, absent members left out.
    ///
    /// # Errors
    ///
    /// None in practice: every event has a JSON form. See [`A2AEvent::validate`] for whether it is legal.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(out, self)
    }

    /// Returns the status that the event brings; messages and artifacts bring none.
    #[must_use]
    pub const fn status(&self) -> Option<&TaskStatus> {
        match self {
            Self::Task(task) => Some(&task.status),
            Self::StatusUpdate(event) => Some(&event.status),
            Self::Message(_) | Self::ArtifactUpdate(_) => None,
        }
    }

    /// Returns the state that the event brings; messages and artifacts bring none.
    #[must_use]
    pub const fn state(&self) -> Option<TaskState> {
        match self.status() {
            Some(status) => Some(status.state),
            None => None,
        }
    }

    /// Returns when the status was reached, in milliseconds since the Unix epoch; messages and artifacts have no
    /// time.
    #[must_use]
    pub const fn timestamp(&self) -> Option<i64> {
        match self.status() {
            Some(TaskStatus {
                timestamp: Some(timestamp),
                ..
            }) => Some(timestamp.as_millis()),
            _ => None,
        }
    }

    /// Says when the status was reached, in milliseconds since the Unix epoch; messages and artifacts stay as they
    /// are.
    pub fn set_timestamp(&mut self, timestamp: Option<i64>) {
        match self {
            Self::Task(task) => task.status.timestamp = timestamp.map(Timestamp::from_millis),
            Self::StatusUpdate(event) => {
                event.status.timestamp = timestamp.map(Timestamp::from_millis);
            }
            Self::Message(_) | Self::ArtifactUpdate(_) => {}
        }
    }

    /// Returns the task that the event names; a message may name none. 1.0 takes an empty id for none.
    #[must_use]
    pub fn task_id(&self) -> Option<&TaskId> {
        match self {
            Self::Task(task) => Some(&task.id),
            Self::Message(message) => message.task_id.as_ref(),
            Self::StatusUpdate(event) => Some(&event.task_id),
            Self::ArtifactUpdate(event) => Some(&event.task_id),
        }
        .filter(|id| !id.as_str().is_empty())
    }

    /// Returns the conversation that the event names. 1.0 takes an empty id for none.
    #[must_use]
    pub fn context_id(&self) -> Option<&ContextId> {
        match self {
            Self::Task(task) => task.context_id.as_ref(),
            Self::Message(message) => message.context_id.as_ref(),
            Self::StatusUpdate(event) => Some(&event.context_id),
            Self::ArtifactUpdate(event) => Some(&event.context_id),
        }
        .filter(|id| !id.as_str().is_empty())
    }
}

impl Wire for A2AEvent {
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        Self::read_v1_0(&Members::of(raw)?)
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        self.validate()
    }
}

wire_struct!(@deserialize A2AEvent);
