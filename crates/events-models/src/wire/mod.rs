//! How values are read from JSON text, strictly, and checked before they are written.
//!
//! serde's derive cannot tell an absent member from `null`, refuses repeated members and buffers tagged
//! unions. So objects are first split into members whose text is borrowed, then each member is read alone.

mod any_json;
mod macros;
mod members;
mod scalar;
mod weight;

pub(crate) use any_json::MAX_NESTING;
pub use any_json::{AnyJson, OpenObject};
pub(crate) use macros::{wire_enum, wire_flat_union, wire_literal, wire_struct, wire_union};
pub(crate) use members::Members;
pub(crate) use scalar::{expected, text_of};
pub(crate) use weight::{json_bytes, text_bytes};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::InvalidEvent;

/// A value as it stands on the wire.
pub(crate) trait Wire: Sized + Serialize {
    /// Appends the value's JSON, the same as serde would write; for what is in every event there is a faster way.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(out, self)
    }

    /// Reads a value that is present.
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent>;

    /// Says what the absence of the value means.
    fn absent() -> Result<Self, InvalidEvent> {
        Err(InvalidEvent::new("required, but missing"))
    }

    /// Checks a value that may have been built in Rust.
    fn check(&self) -> Result<(), InvalidEvent> {
        Ok(())
    }

    /// Tells whether the value is left out when it is written.
    fn is_absent(&self) -> bool {
        false
    }

    /// Tells whether the value would be written as `null`.
    fn is_null(&self) -> bool {
        false
    }
}

const NEVER_NULL: &str = "optional members are left out, never null";

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Some(value) => value.write(out),
            None => serde_json::to_writer(out, &()),
        }
    }

    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        if raw.get() == "null" {
            return Err(InvalidEvent::new(NEVER_NULL));
        }
        T::read(raw).map(Some)
    }

    fn absent() -> Result<Self, InvalidEvent> {
        Ok(None)
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        match self {
            Some(value) if value.is_null() => Err(InvalidEvent::new(NEVER_NULL)),
            Some(value) => value.check(),
            None => Ok(()),
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Wire> Wire for Box<T> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        T::write(self, out)
    }

    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        T::read(raw).map(Self::new)
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        T::check(self)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        out.push(b'[');
        for (index, element) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            element.write(out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        if !raw.get().starts_with('[') {
            return Err(expected("an array", raw));
        }
        let elements: Vec<&RawValue> = serde_json::from_str(raw.get())
            .map_err(|error| InvalidEvent::new(error.to_string()))?;
        elements
            .into_iter()
            .enumerate()
            .map(|(index, element)| T::read(element).map_err(|error| error.in_element(index)))
            .collect()
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        self.iter().enumerate().try_for_each(|(index, element)| {
            element.check().map_err(|error| error.in_element(index))
        })
    }
}

/// Splits a whole text into the value that it is.
pub(crate) fn parse(bytes: &[u8]) -> Result<&RawValue, InvalidEvent> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| InvalidEvent::syntax(format!("not UTF-8: {error}")))?;
    serde_json::from_str(text).map_err(|error| {
        // An event is a line of a request most often: a second number of a line beside that one's would mislead.
        let why = error
            .to_string()
            .replace(" at line 1 column ", " at column ");
        InvalidEvent::syntax(format!("not JSON: {why}"))
    })
}

/// Reads a whole text as one value.
pub(crate) fn from_json<T: Wire>(bytes: &[u8]) -> Result<T, InvalidEvent> {
    T::read(parse(bytes)?)
}

#[cfg(test)]
mod tests;
