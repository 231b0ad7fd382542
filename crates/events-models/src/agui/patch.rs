//! JSON Patch, RFC 6902.

use std::collections::HashSet;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::{
    InvalidEvent,
    wire::{AnyJson, Members, Wire, wire_enum, wire_struct},
};

wire_enum! {
    /// What a patch operation does.
    ///
    /// `"replace"`
    pub enum PatchOp {
        /// Inserts `value` at `path`.
        Add = "add",
        /// Takes away what is at `path`.
        Remove = "remove",
        /// Puts `value` in the place of what is at `path`.
        Replace = "replace",
        /// Moves what is at `from` to `path`.
        Move = "move",
        /// Copies what is at `from` to `path`.
        Copy = "copy",
        /// Requires that `value` is at `path`.
        Test = "test",
    }
}

impl PatchOp {
    const fn needs_value(self) -> bool {
        matches!(self, Self::Add | Self::Replace | Self::Test)
    }

    const fn needs_from(self) -> bool {
        matches!(self, Self::Move | Self::Copy)
    }
}

/// One operation of a JSON Patch.
///
/// `{"op":"replace","path":"/step","value":2}`
#[derive(Clone, PartialEq, Debug)]
pub struct JsonPatchOperation {
    /// What it does.
    pub op: PatchOp,
    /// The place, as a JSON Pointer; the empty pointer is the whole document.
    pub path: String,
    /// The place that is read; for move and copy, and only for them.
    pub from: Option<String>,
    /// The value; for add, replace and test, and only for them. `null` is a value.
    pub value: Option<AnyJson>,
    /// Members that the operation does not use; the protocol allows them and so they are kept.
    pub extra: Vec<(String, AnyJson)>,
}

impl JsonPatchOperation {
    fn new(op: PatchOp, path: impl Into<String>) -> Self {
        Self {
            op,
            path: path.into(),
            from: None,
            value: None,
            extra: Vec::new(),
        }
    }

    fn with_value(mut self, value: impl Into<AnyJson>) -> Self {
        self.value = Some(value.into());
        self
    }

    fn with_from(mut self, from: impl Into<String>) -> Self {
        self.from = Some(from.into());
        self
    }

    /// Inserts a value.
    #[must_use]
    pub fn add(path: impl Into<String>, value: impl Into<AnyJson>) -> Self {
        Self::new(PatchOp::Add, path).with_value(value)
    }

    /// Takes a value away.
    #[must_use]
    pub fn remove(path: impl Into<String>) -> Self {
        Self::new(PatchOp::Remove, path)
    }

    /// Puts a value in the place of another.
    #[must_use]
    pub fn replace(path: impl Into<String>, value: impl Into<AnyJson>) -> Self {
        Self::new(PatchOp::Replace, path).with_value(value)
    }

    /// Moves a value.
    #[must_use]
    pub fn move_from(from: impl Into<String>, path: impl Into<String>) -> Self {
        Self::new(PatchOp::Move, path).with_from(from)
    }

    /// Copies a value.
    #[must_use]
    pub fn copy_from(from: impl Into<String>, path: impl Into<String>) -> Self {
        Self::new(PatchOp::Copy, path).with_from(from)
    }

    /// Requires a value.
    #[must_use]
    pub fn test(path: impl Into<String>, value: impl Into<AnyJson>) -> Self {
        Self::new(PatchOp::Test, path).with_value(value)
    }

    fn uses(&self, name: &str) -> bool {
        match name {
            "op" | "path" => true,
            "value" => self.op.needs_value(),
            "from" => self.op.needs_from(),
            _ => false,
        }
    }
}

impl Wire for JsonPatchOperation {
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        let members = Members::of(raw)?;
        let mut operation = Self::new(members.read("op")?, members.read::<String>("path")?);
        if operation.op.needs_from() {
            operation.from = Some(members.read("from")?);
        }
        if operation.op.needs_value() {
            operation.value = Some(members.read("value")?);
        }
        // Backwards, since the last of a repeated name counts; a set, since there may be many names.
        let mut seen = HashSet::new();
        for (name, raw) in members.iter().rev() {
            if !operation.uses(name) && seen.insert(name) {
                let value = AnyJson::read(raw).map_err(|error| error.in_member(name))?;
                operation.extra.push((name.to_owned(), value));
            }
        }
        operation.extra.reverse();
        operation.check()?;
        Ok(operation)
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        check_pointer(&self.path).map_err(|error| error.in_member("path"))?;
        if let Some(from) = &self.from {
            check_pointer(from).map_err(|error| error.in_member("from"))?;
        }
        for (name, is_there, is_needed) in [
            ("value", self.value.is_some(), self.op.needs_value()),
            ("from", self.from.is_some(), self.op.needs_from()),
        ] {
            if is_there != is_needed {
                let verb = if is_needed { "needs" } else { "does not use" };
                let reason = format!("`{}` {verb} `{name}`", self.op);
                return Err(InvalidEvent::new(reason).in_member(name));
            }
        }
        for (name, value) in &self.extra {
            if self.uses(name) {
                let reason = "an extra member has the name of a described one";
                return Err(InvalidEvent::new(reason).in_member(name));
            }
            value.check().map_err(|error| error.in_member(name))?;
        }
        self.value
            .iter()
            .try_for_each(|value| value.check().map_err(|error| error.in_member("value")))
    }
}

impl Serialize for JsonPatchOperation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("op", &self.op)?;
        if let Some(from) = &self.from {
            map.serialize_entry("from", from)?;
        }
        map.serialize_entry("path", &self.path)?;
        if let Some(value) = &self.value {
            map.serialize_entry("value", value)?;
        }
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

wire_struct!(@deserialize JsonPatchOperation);

/// Checks the grammar of RFC 6901: empty, or tokens that each begin with a slash, `~` only as `~0` or `~1`.
fn check_pointer(pointer: &str) -> Result<(), InvalidEvent> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(InvalidEvent::new(format!(
            "`{pointer}` is not a JSON Pointer: it is empty or begins with `/`"
        )));
    }
    let mut after_tildes = pointer.split('~');
    after_tildes.next();
    if after_tildes.all(|rest| rest.starts_with(['0', '1'])) {
        return Ok(());
    }
    Err(InvalidEvent::new(format!(
        "`{pointer}` is not a JSON Pointer: `~` is followed by 0 or 1"
    )))
}
