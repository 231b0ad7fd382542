//! Members that no version describes, carried along.

use std::{collections::HashSet, fmt};

use serde::ser::SerializeMap;
use serde_json::value::RawValue;

use crate::{
    InvalidEvent,
    wire::{AnyJson, Wire},
};

/// How much of an unknown member's name an error shows, in characters.
const SHOWN_NAME: usize = 64;

/// The members of an object that neither 1.0 nor 0.3 describes, in their order: extensions of an agent, or what a
/// later version has added.
///
/// Their values are kept as text, so that no number changes; `null` is kept too, as nobody knows what it means
/// there. Of a repeated name the last one counts, as in JavaScript. Their number has no bound but the size of the
/// event. Without members nothing is allocated.
///
/// A member that one version describes is not unknown in the other: it is read or left aside, and never written
/// where it does not belong.
///
/// ```
/// use events_models::a2a::Task;
///
/// let json = r#"{"id":"t","status":{"state":"TASK_STATE_WORKING"},"cost":9007199254740993}"#;
/// let task: Task = serde_json::from_str(json)?;
/// assert_eq!(task.unknown.get("cost").map(|cost| cost.as_str()), Some("9007199254740993"));
/// assert_eq!(serde_json::to_string(&task)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct UnknownMembers(Box<[(Box<str>, AnyJson)]>);

impl UnknownMembers {
    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many members there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Goes through names and values in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &AnyJson)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Finds a member by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&AnyJson> {
        self.iter()
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// Adds a member at the end, or changes the one of that name, whose old value it returns.
    ///
    /// A name that a version describes for this object is not written, and
    /// [`A2AEvent::validate`](super::A2AEvent::validate) refuses it.
    pub fn insert(
        &mut self,
        name: impl Into<Box<str>>,
        value: impl Into<AnyJson>,
    ) -> Option<AnyJson> {
        let (name, value) = (name.into(), value.into());
        if let Some((_, old)) = self.0.iter_mut().find(|(found, _)| *found == name) {
            return Some(std::mem::replace(old, value));
        }
        let mut members = std::mem::take(&mut self.0).into_vec();
        members.push((name, value));
        self.0 = members.into();
        None
    }

    /// Takes a member away, and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<AnyJson> {
        let at = self.0.iter().position(|(found, _)| &**found == name)?;
        let mut members = std::mem::take(&mut self.0).into_vec();
        let (_, value) = members.remove(at);
        self.0 = members.into();
        Some(value)
    }

    /// Keeps what is not described.
    pub(super) fn of<'a>(
        members: impl DoubleEndedIterator<Item = (&'a str, &'a RawValue)>,
        is_described: impl Fn(&str) -> bool,
    ) -> Result<Self, InvalidEvent> {
        let mut members = members
            .rev()
            .filter(|(name, _)| !is_described(name))
            .peekable();
        // Nearly always there are none.
        if members.peek().is_none() {
            return Ok(Self::default());
        }
        let mut unknown = Vec::new();
        let mut names = HashSet::new();
        for (name, raw) in members {
            if names.insert(name) {
                let value =
                    AnyJson::read(raw).map_err(|error| error.in_member(&shown_name(name)))?;
                unknown.push((name.into(), value));
            }
        }
        unknown.reverse();
        Ok(Self(unknown.into()))
    }

    /// Adds members at the end; of equal names the added one counts.
    pub(super) fn extend(&mut self, added: Self) {
        if self.is_empty() {
            *self = added;
        } else if !added.is_empty() {
            let names: HashSet<_> = added.iter().map(|(name, _)| name).collect();
            self.retain(|name| !names.contains(name));
            let mut members = std::mem::take(&mut self.0).into_vec();
            members.extend(added.0);
            self.0 = members.into();
        }
    }

    /// Takes away what does not pass.
    pub(super) fn retain(&mut self, mut passes: impl FnMut(&str) -> bool) {
        if self.iter().any(|(name, _)| !passes(name)) {
            let mut members = std::mem::take(&mut self.0).into_vec();
            members.retain(|(name, _)| passes(name));
            self.0 = members.into();
        }
    }

    /// Writes all members but those whose names have a meaning at that place.
    pub(super) fn write<M: SerializeMap>(
        &self,
        map: &mut M,
        is_left_out: impl Fn(&str) -> bool,
    ) -> Result<(), M::Error> {
        self.iter()
            .filter(|(name, _)| !is_left_out(name))
            .try_for_each(|(name, value)| map.serialize_entry(name, value))
    }

    /// Checks members that may have been added in Rust.
    pub(super) fn check(&self, is_described: impl Fn(&str) -> bool) -> Result<(), InvalidEvent> {
        self.iter().try_for_each(|(name, value)| {
            if is_described(name) {
                return Err(InvalidEvent::new(
                    "described by a version of the protocol, and so not an unknown member",
                )
                .in_member(&shown_name(name)));
            }
            value
                .check()
                .map_err(|error| error.in_member(&shown_name(name)))
        })
    }
}

impl fmt::Debug for UnknownMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Clips a name that anybody may have chosen, so that an error stays one short line.
fn shown_name(name: &str) -> String {
    name.chars()
        .filter(|character| !character.is_control())
        .take(SHOWN_NAME)
        .collect()
}
