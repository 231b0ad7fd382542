//! Strings, identifiers, numbers and truth values.

use std::borrow::Cow;

use events_core::{ContextId, MessageId, TaskId, ThreadId, ToolCallId};
use serde_json::value::RawValue;

use super::Wire;
use crate::InvalidEvent;

/// The largest integer that every JSON reader keeps exact: 2^53 - 1.
const MAX_SAFE: i64 = 9_007_199_254_740_991;

/// Says what stands where something else was expected.
pub(crate) fn expected(what: &str, raw: &RawValue) -> InvalidEvent {
    let found = match raw.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    InvalidEvent::new(format!("expected {what}, found {found}"))
}

/// Reads a string, borrowed if it has no escapes.
pub(crate) fn text_of(raw: &RawValue) -> Result<Cow<'_, str>, InvalidEvent> {
    let quoted = raw.get();
    let Some(inner) = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return Err(expected("a string", raw));
    };
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(quoted)
        .map(Cow::Owned)
        .map_err(|_lone| InvalidEvent::new("the string has a lone surrogate, which is not text"))
}

/// Appends a string. One search and one copy if nothing needs an escape, which is the common case.
fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    // Without an early end, so that many bytes are looked at in one step.
    let needs_escape = text.bytes().fold(false, |found, byte| {
        found | (byte < 0x20) | (byte == b'"') | (byte == b'\\')
    });
    if needs_escape {
        return serde_json::to_writer(out, text);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

impl Wire for String {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        write_text(self, out)
    }

    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        text_of(raw).map(Cow::into_owned)
    }
}

macro_rules! wire_ids {
    ($($id:ident),*) => {$(
        impl Wire for $id {
            fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                write_text(self.as_str(), out)
            }

            fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
                text_of(raw).map(|text| Self::from(&*text))
            }
        }
    )*};
}

wire_ids!(ContextId, MessageId, TaskId, ThreadId, ToolCallId);

impl Wire for bool {
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        match raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(expected("a boolean", raw)),
        }
    }
}

/// Reads an integer as JavaScript does: `1.0` and `1e3` are integers.
fn integer_of(raw: &RawValue) -> Result<i64, InvalidEvent> {
    let digits = raw.get();
    if !digits.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(expected("an integer", raw));
    }
    if let Ok(integer) = digits.parse() {
        return Ok(integer);
    }
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() && number.fract() != 0.0 => {
            Err(InvalidEvent::new("expected an integer, found a fraction"))
        }
        // Beyond 2^53 the cast is not exact, and both ends of the cast are refused by the range check.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates, and the range is checked by the caller"
        )]
        Ok(number) => Ok(number as i64),
        Err(error) => Err(InvalidEvent::new(error.to_string())),
    }
}

fn check_range(integer: i64, low: i64, high: i64) -> Result<(), InvalidEvent> {
    if (low..=high).contains(&integer) {
        return Ok(());
    }
    Err(InvalidEvent::new(format!(
        "integer out of range: expected {low} to {high}"
    )))
}

macro_rules! wire_integers {
    ($($integer:ident: $low:expr, $high:expr;)*) => {$(
        impl Wire for $integer {
            fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
                let integer = integer_of(raw)?;
                check_range(integer, $low, $high)?;
                Self::try_from(integer).map_err(|error| InvalidEvent::new(error.to_string()))
            }

            fn check(&self) -> Result<(), InvalidEvent> {
                check_range(i64::try_from(*self).unwrap_or(i64::MAX), $low, $high)
            }
        }
    )*};
}

wire_integers! {
    i64: -MAX_SAFE, MAX_SAFE;
    u64: 0, MAX_SAFE;
    i32: i64::from(i32::MIN), i64::from(i32::MAX);
    u32: 0, i64::from(u32::MAX);
}
