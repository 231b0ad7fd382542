//! What the checkpoints of threads and tasks have in common: how values are embedded, and why one is refused.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{InvalidEvent, wire::Wire};

/// The version of what is written. Another one is refused: a state that is not wholly understood is not used.
pub(crate) const VERSION: u32 = 1;

/// Beyond this no count is believed, so that none can overflow.
const MAX_COUNT: u64 = 1 << 40;

/// Says why a checkpoint cannot be read. None of these is cured by trying again: the state has to be made anew, from
/// records that are older than the checkpoint or from nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It is not the JSON of such a checkpoint: it was cut off, changed, or is of something else.
    #[error("the checkpoint does not have the form that is written")]
    Form(#[source] serde_json::Error),
    /// Another release has written it.
    #[error("the checkpoint is of version {found}, and only version {known} can be read")]
    Version {
        /// Its version.
        found: u32,
        /// The version that this release writes and reads.
        known: u32,
    },
    /// A message, an event or a document in it is not legal.
    #[error("the checkpoint has a {part} that cannot be read")]
    Part {
        /// What it is, such as `message`.
        part: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidEvent,
    },
    /// A message, an event or a document in it has members that this release does not know, or is written otherwise.
    #[error("the checkpoint has a {part} with more or other members than are known")]
    NotUnderstood {
        /// What it is, such as `message`.
        part: &'static str,
    },
    /// Two things in it cannot both be true.
    #[error("the checkpoint contradicts itself: {reason}")]
    Contradiction {
        /// What cannot be.
        reason: &'static str,
    },
}

impl CheckpointError {
    /// Says why bytes do not have the form that is written: the version may be another.
    pub(crate) fn of_form(bytes: &[u8], error: serde_json::Error) -> Self {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }

        match serde_json::from_slice(bytes) {
            Ok(Header { version: found }) if found != VERSION => Self::other_version(found),
            _ => Self::Form(error),
        }
    }

    /// Refuses a version.
    pub(crate) const fn other_version(found: u32) -> Self {
        Self::Version {
            found,
            known: VERSION,
        }
    }
}

/// Refuses what cannot be.
pub(crate) const fn require(is_so: bool, reason: &'static str) -> Result<(), CheckpointError> {
    if is_so {
        return Ok(());
    }
    Err(CheckpointError::Contradiction { reason })
}

/// Takes a count that others are added to.
pub(crate) fn count(number: u64) -> Result<usize, CheckpointError> {
    require(
        number <= MAX_COUNT,
        "a count is beyond all that can be held",
    )?;
    usize::try_from(number).map_err(|_narrow| CheckpointError::Contradiction {
        reason: "a count is beyond all that can be held",
    })
}

/// Writes an id without copying it.
pub(crate) fn borrowed(id: &str) -> Cow<'_, str> {
    Cow::Borrowed(id)
}

/// A value with a JSON form of its own: written where it stands, and read from its text, once that was found.
#[derive(Debug)]
pub(crate) enum Stored<'a, T> {
    Value(&'a T),
    Text(&'a RawValue),
}

impl<'a, T> From<&'a T> for Stored<'a, T> {
    fn from(value: &'a T) -> Self {
        Self::Value(value)
    }
}

impl<T: Serialize> Serialize for Stored<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

impl<'de: 'a, 'a, T> Deserialize<'de> for Stored<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::Text)
    }
}

impl<T: Wire + Clone> Stored<'_, T> {
    /// Reads the value, and refuses a text that says more than the value does: events leave aside what they do not
    /// know, which may be what a later release needs.
    pub(crate) fn read(&self, part: &'static str) -> Result<T, CheckpointError> {
        match self {
            Self::Value(value) => Ok((*value).clone()),
            Self::Text(text) => read_text(text, part),
        }
    }
}

/// Reads a value of which the text is exactly what would be written for it.
pub(crate) fn read_text<T: Wire>(
    text: &RawValue,
    part: &'static str,
) -> Result<T, CheckpointError> {
    let value = T::read(text).map_err(|source| CheckpointError::Part { part, source })?;
    let mut written = Vec::with_capacity(text.get().len());
    let is_written = value.write(&mut written).is_ok();
    if is_written && written == text.get().as_bytes() {
        return Ok(value);
    }
    Err(CheckpointError::NotUnderstood { part })
}
