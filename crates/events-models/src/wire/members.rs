//! An object split into its members, whose text is borrowed.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Wire, expected, text_of};
use crate::InvalidEvent;

/// The members of one object, in the order of the text. Of a repeated name the last one counts, as in
/// JavaScript.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn of(raw: &'a RawValue) -> Result<Self, InvalidEvent> {
        if !raw.get().starts_with('{') {
            return Err(expected("an object", raw));
        }
        serde_json::from_str(raw.get())
            .map_err(|error| InvalidEvent::new(format!("a member's name cannot be read: {error}")))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .rev()
            .find_map(|(key, value)| (key == name).then_some(*value))
    }

    /// Reads one member, or takes its absence for what it means.
    pub(crate) fn read<T: Wire>(&self, name: &str) -> Result<T, InvalidEvent> {
        match self.get(name) {
            Some(raw) => T::read(raw),
            None => T::absent().map_err(|mut error| {
                if let Some(hint) = self.misspelling_of(name) {
                    error.reason.push_str(&hint);
                }
                error
            }),
        }
        .map_err(|error| error.in_member(name))
    }

    /// Reads the member that tells which of several shapes the object has.
    pub(crate) fn tag(&self, name: &str) -> Result<Cow<'a, str>, InvalidEvent> {
        self.get(name)
            .ok_or_else(|| InvalidEvent::new("required, but missing"))
            .and_then(text_of)
            .map_err(|error| error.in_member(name))
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    fn misspelling_of(&self, name: &str) -> Option<String> {
        let letters = |text: &str| text.replace('_', "").to_lowercase();
        let meant = letters(name);
        if let Some((found, _)) = self.iter().find(|(found, _)| letters(found) == meant) {
            return Some(format!(" (found `{found}`: wire names are camelCase)"));
        }
        (name == "patch" && self.get("delta").is_some())
            .then(|| " (found `delta`, which is STATE_DELTA's name for it)".to_owned())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(name) = map.next_key_seed(Name)? {
                    members.push((name, map.next_value()?));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

/// Reads a name without copying it unless it has escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
