//! Values that have a form in each version.

use events_core::{ContextId, MessageId, TaskId};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::value::RawValue;

use super::A2AVersion;
use crate::{
    InvalidEvent,
    wire::{Members, OpenObject, Wire, expected},
};

/// A value as it stands on the wire, in either version.
pub(super) trait Coded: Sized {
    /// Reads a value that is present and not `null`.
    fn read(raw: &RawValue, version: A2AVersion) -> Result<Self, InvalidEvent>;

    /// Reads a value that may be left aside because it cannot be understood.
    fn read_optional(raw: &RawValue, version: A2AVersion) -> Result<Option<Self>, InvalidEvent> {
        Self::read(raw, version).map(Some)
    }

    fn write<S: Serializer>(&self, version: A2AVersion, serializer: S) -> Result<S::Ok, S::Error>;

    /// Says what the absence of the value means.
    fn absent() -> Result<Self, InvalidEvent> {
        Err(InvalidEvent::new("required, but missing"))
    }

    /// Checks whether the value can be written legally in 1.0.
    fn check(&self) -> Result<(), InvalidEvent> {
        Ok(())
    }

    /// Tells whether the value is left out when it is written.
    fn is_absent(&self) -> bool {
        false
    }

    /// Tells whether 1.0 takes the value for none at all, so that a required member cannot have it.
    fn is_unset(&self) -> bool {
        false
    }
}

/// A value to be written in the form of a version.
pub(super) struct In<'a, T>(pub(super) &'a T, pub(super) A2AVersion);

impl<T: Coded> Serialize for In<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(self.1, serializer)
    }
}

/// Looks again at a text that has been read.
pub(super) fn parsed(json: &str) -> Result<&RawValue, InvalidEvent> {
    serde_json::from_str(json).map_err(|error| InvalidEvent::new(error.to_string()))
}

/// Finds a member that is not `null`; in 1.0 also by its name in `snake_case`.
pub(super) fn find<'a>(
    members: &Members<'a>,
    name: &str,
    version: A2AVersion,
) -> Option<&'a RawValue> {
    find_even_null(members, name, version).filter(|raw| raw.get() != "null")
}

/// Finds a member for which `null` is a value.
pub(super) fn find_even_null<'a>(
    members: &Members<'a>,
    name: &str,
    version: A2AVersion,
) -> Option<&'a RawValue> {
    members.iter().rev().find_map(|(found, raw)| {
        let is_meant =
            found == name || (version == A2AVersion::V1_0 && is_snake_case_of(found, name));
        is_meant.then_some(raw)
    })
}

/// Tells whether a name is one of some in `snake_case`.
pub(super) fn is_snake_case_of_any(found: &str, names: &[&str]) -> bool {
    found.contains('_') && names.iter().any(|name| is_snake_case_of(found, name))
}

/// Tells whether `taskId` is meant by `task_id`.
fn is_snake_case_of(found: &str, name: &str) -> bool {
    if !found.contains('_') {
        return false;
    }
    let mut letters = found.bytes();
    name.bytes().all(|letter| {
        (!letter.is_ascii_uppercase() || letters.next() == Some(b'_'))
            && letters.next() == Some(letter.to_ascii_lowercase())
    }) && letters.next().is_none()
}

pub(super) fn read_member<T: Coded>(
    members: &Members<'_>,
    name: &str,
    version: A2AVersion,
) -> Result<T, InvalidEvent> {
    match find(members, name, version) {
        Some(raw) => T::read(raw, version),
        None => T::absent(),
    }
    .map_err(|error| error.in_member(name))
}

/// Reads a member that 1.0 demands to be set, which is more than to be there.
pub(super) fn read_required<T: Coded>(
    members: &Members<'_>,
    name: &str,
    version: A2AVersion,
) -> Result<T, InvalidEvent> {
    let value = read_member(members, name, version)?;
    if version == A2AVersion::V1_0 {
        check_set(&value, name)?;
    }
    Ok(value)
}

pub(super) fn check_set<T: Coded>(value: &T, name: &str) -> Result<(), InvalidEvent> {
    if value.is_unset() {
        return Err(InvalidEvent::new("required, but empty or unspecified").in_member(name));
    }
    Ok(())
}

/// Checks the `kind` that objects of 0.3 carry.
pub(super) fn check_kind(members: &Members<'_>, kind: &str) -> Result<(), InvalidEvent> {
    let found = members.tag("kind")?;
    if found == kind {
        return Ok(());
    }
    Err(
        InvalidEvent::new(format!("unknown kind `{found}`: can only be `{kind}`"))
            .in_member("kind"),
    )
}

pub(super) fn write_member<T: Coded, M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    value: &T,
    version: A2AVersion,
) -> Result<(), M::Error> {
    if value.is_absent() {
        return Ok(());
    }
    map.serialize_entry(name, &In(value, version))
}

/// Values that both versions write alike.
macro_rules! coded_alike {
    ($($value:ty $(, unset if $is_unset:expr)?;)*) => {$(
        impl Coded for $value {
            fn read(raw: &RawValue, _version: A2AVersion) -> Result<Self, InvalidEvent> {
                Wire::read(raw)
            }

            fn write<S: Serializer>(
                &self,
                _version: A2AVersion,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }

            fn check(&self) -> Result<(), InvalidEvent> {
                Wire::check(self)
            }

            $(
                fn is_unset(&self) -> bool {
                    $is_unset(self)
                }
            )?
        }
    )*};
}

coded_alike! {
    bool;
    OpenObject;
    String, unset if Self::is_empty;
    ContextId, unset if |id: &Self| id.as_str().is_empty();
    MessageId, unset if |id: &Self| id.as_str().is_empty();
    TaskId, unset if |id: &Self| id.as_str().is_empty();
}

impl<T: Coded> Coded for Option<T> {
    fn read(raw: &RawValue, version: A2AVersion) -> Result<Self, InvalidEvent> {
        T::read_optional(raw, version)
    }

    fn write<S: Serializer>(&self, version: A2AVersion, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => value.write(version, serializer),
            None => serializer.serialize_none(),
        }
    }

    fn absent() -> Result<Self, InvalidEvent> {
        Ok(None)
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        self.as_ref().map_or(Ok(()), Coded::check)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Coded> Coded for Vec<T> {
    fn read(raw: &RawValue, version: A2AVersion) -> Result<Self, InvalidEvent> {
        if !raw.get().starts_with('[') {
            return Err(expected("an array", raw));
        }
        let elements: Vec<&RawValue> = serde_json::from_str(raw.get())
            .map_err(|error| InvalidEvent::new(error.to_string()))?;
        elements
            .into_iter()
            .enumerate()
            .map(|(index, element)| {
                T::read(element, version).map_err(|error| error.in_element(index))
            })
            .collect()
    }

    fn write<S: Serializer>(&self, version: A2AVersion, serializer: S) -> Result<S::Ok, S::Error> {
        let mut elements = serializer.serialize_seq(Some(self.len()))?;
        for element in self {
            elements.serialize_element(&In(element, version))?;
        }
        elements.end()
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        self.iter().enumerate().try_for_each(|(index, element)| {
            element.check().map_err(|error| error.in_element(index))
        })
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}
