//! The states of a task, and who speaks.

use serde::Serializer;
use serde_json::value::RawValue;

use super::{A2AVersion, codec::Coded, macros::a2a_serde};
use crate::{
    InvalidEvent,
    wire::{expected, text_of},
};

/// A closed set of names, which 1.0 and 0.3 spell in their own ways and 1.0 also counts.
macro_rules! a2a_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$vmeta:meta])* $variant:ident = $number:literal, $wire:literal, $old:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $( $(#[$vmeta])* $variant, )* }

        impl $name {
            /// Returns the name that 1.0 has on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $wire, )* }
            }

            /// Returns the name that 0.3 has on the wire.
            #[must_use]
            pub const fn as_str_v0_3(self) -> &'static str {
                match self { $( Self::$variant => $old, )* }
            }

            /// Finds the value by its name in 1.0.
            #[must_use]
            pub fn from_wire(name: &str) -> Option<Self> {
                match name {
                    $( $wire => Some(Self::$variant), )*
                    _ => None,
                }
            }

            /// Finds the value by its name in 0.3.
            #[must_use]
            pub fn from_wire_v0_3(name: &str) -> Option<Self> {
                match name {
                    $( $old => Some(Self::$variant), )*
                    _ => None,
                }
            }

            fn from_number(number: &str) -> Option<Self> {
                match number.parse() {
                    $( Ok($number) => Some(Self::$variant), )*
                    _ => None,
                }
            }

            const fn name_in(self, version: A2AVersion) -> &'static str {
                match version {
                    A2AVersion::V1_0 => self.as_str(),
                    A2AVersion::V0_3 => self.as_str_v0_3(),
                }
            }

            fn read_name(raw: &RawValue, version: A2AVersion) -> Result<Self, InvalidEvent> {
                let text = raw.get();
                let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
                if version == A2AVersion::V1_0 && is_number {
                    return Self::from_number(text)
                        .ok_or_else(|| InvalidEvent::new(format!("unknown value {text}")));
                }
                if !text.starts_with('"') {
                    return Err(expected("a name", raw));
                }
                let name = text_of(raw)?;
                let (found, other) = match version {
                    A2AVersion::V1_0 => (Self::from_wire(&name), Self::from_wire_v0_3(&name)),
                    A2AVersion::V0_3 => (Self::from_wire_v0_3(&name), Self::from_wire(&name)),
                };
                found.ok_or_else(|| {
                    let reason = other.map_or_else(
                        || {
                            let known = [$(Self::$variant.name_in(version)),*].join(", ");
                            format!("unknown value `{name}`: expected {known}")
                        },
                        |meant| format!("unknown value `{name}`: {version} spells it `{}`", meant.name_in(version)),
                    );
                    InvalidEvent::new(reason)
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        a2a_serde!($name);
    };
}

a2a_enum! {
    /// Where a task stands.
    ///
    /// `"TASK_STATE_WORKING"`, in 0.3 `"working"`
    ///
    /// ```
    /// use events_models::TaskState;
    ///
    /// assert!(TaskState::Completed.is_terminal());
    /// assert!(TaskState::InputRequired.is_interrupted());
    /// assert_eq!(TaskState::Canceled.as_str(), "TASK_STATE_CANCELED");
    /// assert_eq!(TaskState::AuthRequired.as_str_v0_3(), "auth-required");
    /// ```
    pub enum TaskState {
        /// Nobody knows. 0.3 can say so; 1.0 cannot, see [`A2AEvent::validate`](super::A2AEvent::validate).
        Unknown = 0, "TASK_STATE_UNSPECIFIED", "unknown";
        /// The agent has taken the task.
        Submitted = 1, "TASK_STATE_SUBMITTED", "submitted";
        /// The agent is at work.
        Working = 2, "TASK_STATE_WORKING", "working";
        /// Done.
        Completed = 3, "TASK_STATE_COMPLETED", "completed";
        /// Ended by an error.
        Failed = 4, "TASK_STATE_FAILED", "failed";
        /// Ended by somebody's wish.
        Canceled = 5, "TASK_STATE_CANCELED", "canceled";
        /// The agent waits for a message.
        InputRequired = 6, "TASK_STATE_INPUT_REQUIRED", "input-required";
        /// The agent will not do it.
        Rejected = 7, "TASK_STATE_REJECTED", "rejected";
        /// The agent waits for a permission.
        AuthRequired = 8, "TASK_STATE_AUTH_REQUIRED", "auth-required";
    }
}

impl TaskState {
    /// Tells whether the task has ended, so that nothing can follow.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Canceled | Self::Rejected
        )
    }

    /// Tells whether the task waits for somebody, and may go on.
    #[must_use]
    pub const fn is_interrupted(self) -> bool {
        matches!(self, Self::InputRequired | Self::AuthRequired)
    }
}

impl Coded for TaskState {
    fn read(raw: &RawValue, version: A2AVersion) -> Result<Self, InvalidEvent> {
        Self::read_name(raw, version)
    }

    fn write<S: Serializer>(&self, version: A2AVersion, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name_in(version))
    }

    fn is_unset(&self) -> bool {
        *self == Self::Unknown
    }
}

a2a_enum! {
    /// Who speaks in a message.
    ///
    /// `"ROLE_AGENT"`, in 0.3 `"agent"`
    pub enum Role {
        /// The client, for a person or for another agent.
        User = 1, "ROLE_USER", "user";
        /// The agent that does the task.
        Agent = 2, "ROLE_AGENT", "agent";
    }
}

impl Coded for Role {
    fn read(raw: &RawValue, version: A2AVersion) -> Result<Self, InvalidEvent> {
        Self::read_name(raw, version)
    }

    fn write<S: Serializer>(&self, version: A2AVersion, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name_in(version))
    }
}
