//! JSON that the protocol leaves open, kept as text.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::{Members, Wire, expected};
use crate::InvalidEvent;

/// How deep open JSON may nest, so that the event in an envelope stays within the 128 levels that common
/// readers allow.
pub(crate) const MAX_NESTING: usize = 118;

/// Any JSON value, kept as the text in which it came: no number loses a digit, no member its place.
///
/// Only insignificant white space is dropped, and only if it has a line break. Equality is that of the
/// parsed values.
///
/// ```
/// use events_models::agui::AnyJson;
///
/// let state = AnyJson::from(serde_json::json!({ "step": 2 }));
/// assert_eq!(state.as_str(), r#"{"step":2}"#);
/// ```
#[derive(Clone)]
pub struct AnyJson(Box<RawValue>);

impl AnyJson {
    /// Makes the value `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(RawValue::NULL.to_owned())
    }

    /// Takes a JSON text as it is.
    ///
    /// # Errors
    ///
    /// The text is not JSON, nests too deep, or has a lone surrogate.
    pub fn from_json(text: &str) -> Result<Self, InvalidEvent> {
        super::from_json(text.as_bytes())
    }

    /// Returns the JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Tells whether the value is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// Parses the text.
    ///
    /// # Errors
    ///
    /// A number is beyond the range of an `f64`.
    pub fn to_value(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

impl Default for AnyJson {
    fn default() -> Self {
        Self::null()
    }
}

impl fmt::Debug for AnyJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for AnyJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
            || matches!((self.to_value(), other.to_value()), (Ok(one), Ok(two)) if one == two)
    }
}

impl From<Value> for AnyJson {
    fn from(value: Value) -> Self {
        // A `Value` has string keys only, and so it can always be written.
        Self(to_raw_value(&value).unwrap_or_else(|_never| RawValue::NULL.to_owned()))
    }
}

impl From<OpenObject> for AnyJson {
    fn from(object: OpenObject) -> Self {
        object.0
    }
}

impl Serialize for AnyJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnyJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::read(&raw).map_err(D::Error::custom)
    }
}

impl Wire for AnyJson {
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        if !has_line_break(raw.get())? {
            return Ok(Self(raw.to_owned()));
        }
        // Line breaks can only be white space here, and would cut an SSE `data:` line.
        RawValue::from_string(without_white_space(raw.get()))
            .map(Self)
            .map_err(|error| InvalidEvent::new(error.to_string()))
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        has_line_break(self.as_str()).map(drop)
    }

    fn is_null(&self) -> bool {
        Self::is_null(self)
    }
}

/// A JSON object whose members the protocol leaves open, kept as text like [`AnyJson`].
#[derive(Clone, PartialEq)]
pub struct OpenObject(AnyJson);

impl OpenObject {
    /// Returns the JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Makes the object that has the members of both; of a name that both have, the value of `other` counts.
    pub(crate) fn merged_with(&self, other: &Self) -> Self {
        let (Ok(mine), Ok(theirs)) = (Members::of(&self.0.0), Members::of(&other.0.0)) else {
            return other.clone();
        };
        let mut members: Vec<(&str, &RawValue)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (name, value) in mine.iter().chain(theirs.iter()) {
            match places.entry(name) {
                Entry::Occupied(place) => members[*place.get()].1 = value,
                Entry::Vacant(place) => {
                    place.insert(members.len());
                    members.push((name, value));
                }
            }
        }
        let merged = Object(&members);
        to_raw_value(&merged).map_or_else(|_never| other.clone(), |raw| Self(AnyJson(raw)))
    }

    /// Parses the text.
    ///
    /// # Errors
    ///
    /// A number is beyond the range of an `f64`.
    pub fn to_map(&self) -> Result<Map<String, Value>, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

impl Default for OpenObject {
    fn default() -> Self {
        Map::new().into()
    }
}

impl fmt::Debug for OpenObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Map<String, Value>> for OpenObject {
    fn from(members: Map<String, Value>) -> Self {
        Self(Value::Object(members).into())
    }
}

impl TryFrom<AnyJson> for OpenObject {
    type Error = InvalidEvent;

    /// Takes a value that is an object.
    fn try_from(json: AnyJson) -> Result<Self, Self::Error> {
        if !json.as_str().starts_with('{') {
            return Err(expected("an object", &json.0));
        }
        Ok(Self(json))
    }
}

impl TryFrom<Value> for OpenObject {
    type Error = InvalidEvent;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::read(&AnyJson::from(value).0)
    }
}

impl Serialize for OpenObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Wire for OpenObject {
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        if !raw.get().starts_with('{') {
            return Err(expected("an object", raw));
        }
        AnyJson::read(raw).map(Self)
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        self.0.check()
    }
}

/// Members to be written as an object.
struct Object<'a>(&'a [(&'a str, &'a RawValue)]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Walks through a valid JSON text, and tells whether it has a line break.
///
/// Refuses what readers cannot take: nesting beyond [`MAX_NESTING`] and lone surrogates.
fn has_line_break(json: &str) -> Result<bool, InvalidEvent> {
    let bytes = json.as_bytes();
    let (mut at, mut depth, mut broken) = (0, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return Err(InvalidEvent::new(format!(
                        "nested more than {MAX_NESTING} levels deep"
                    )));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'\n' | b'\r' => broken = true,
            b'"' => at = end_of_string(bytes, at)?,
            _ => {}
        }
    }
    Ok(broken)
}

/// Returns the place after a string's closing quote.
fn end_of_string(bytes: &[u8], mut at: usize) -> Result<usize, InvalidEvent> {
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => return Ok(at),
            b'\\' => {
                let unit = code_unit(bytes, at);
                let paired = matches!(unit, Some(0xD800..=0xDBFF))
                    && bytes.get(at + 5) == Some(&b'\\')
                    && matches!(code_unit(bytes, at + 6), Some(0xDC00..=0xDFFF));
                if paired {
                    at += 11;
                } else if matches!(unit, Some(0xD800..=0xDFFF)) {
                    return Err(InvalidEvent::new(
                        "a string has a lone surrogate, which is not text",
                    ));
                } else {
                    at += 1;
                }
            }
            _ => {}
        }
    }
    Ok(at)
}

/// Reads the letter `u` and four hexadecimal digits at a place.
fn code_unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 5)?.strip_prefix(b"u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn without_white_space(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|character| {
            if in_string {
                in_string = escaped || *character != '"';
                escaped = !escaped && *character == '\\';
                return true;
            }
            in_string = *character == '"';
            !matches!(character, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}
