//! String identifiers, one type per meaning, cheap to clone.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::event_id::{ascii, write_base32};

macro_rules! string_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// An opaque, shared string: cloning copies a pointer. Any string is legal, the empty one too.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "shared_str")] Arc<str>);

        impl $name {
            /// Makes an identifier of any string.
            pub fn new(id: impl Into<Arc<str>>) -> Self {
                Self(id.into())
            }

            /// Returns the identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Returns the shared text without copying it.
            #[must_use]
            pub fn to_shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&&*self.0).finish()
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id.into())
            }
        }

        impl From<Arc<str>> for $name {
            fn from(id: Arc<str>) -> Self {
                Self(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

string_id! {
    /// Names the person whose screens an event is for; the only unit of addressing.
    UserId;
    /// Names one connection of a user.
    ConnectionId;
    /// Names an AG-UI thread.
    ThreadId;
    /// Names a conversation in the reference's vocabulary; the same value as its AG-UI thread.
    ContextId;
    /// Names an A2A task, and in the reference's vocabulary an AG-UI run.
    TaskId;
    /// Names a message of a run.
    MessageId;
    /// Names a tool call of a run.
    ToolCallId;
    /// Names one request to a provider of language models.
    RequestId;
}

macro_rules! id_into_id {
    ($($from:ident => $into:ident),*) => {$(
        impl From<$from> for $into {
            fn from(id: $from) -> Self {
                Self(id.0)
            }
        }
    )*};
}

// The reference calls a thread "context"; both names reach the same AG-UI field.
id_into_id!(ContextId => ThreadId, ThreadId => ContextId);

impl ConnectionId {
    /// Makes an identifier that is unique in practice: 16 characters, 80 bits of process-local randomness.
    ///
    /// It is a name, not a secret.
    #[must_use]
    pub fn generate() -> Self {
        let mut text = [0; 16];
        let (high, low) = text.split_at_mut(8);
        write_base32(fastrand::u64(..), high);
        write_base32(fastrand::u64(..), low);
        Self(ascii(&text).into())
    }
}

mod shared_str {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        text: &Arc<str>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Into::into)
    }
}
