//! A JSON document that patches change.

use json_patch::jsonptr::PointerBuf;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Number, Value};

use super::MAX_BYTES;
use crate::{
    agui::{AnyJson, JsonPatchOperation, PatchOp},
    checkpoint::{self, CheckpointError, Stored},
    wire::{MAX_NESTING, json_bytes},
};

/// The estimate of a document may be wrong by this and a quarter of it, in bytes.
const TOLERANCE: usize = 4_096;

/// Why a patch has not been applied; the document is then unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unpatched {
    /// It does not fit the document; the official clients pass over it, too.
    DoesNotApply,
    /// The document would become too large or too deep to be sent.
    TooLarge,
}

/// Text as it was given, until the first patch.
#[derive(Clone, PartialEq, Debug)]
enum Form {
    Given(AnyJson),
    Parsed(Value),
}

impl Serialize for Form {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Given(json) => json.serialize(serializer),
            Self::Parsed(value) => value.serialize(serializer),
        }
    }
}

/// A document, and an estimate of its size that is never too low.
#[derive(Clone, Debug)]
pub(super) struct Document {
    form: Form,
    bytes: usize,
    /// What was counted last.
    counted: usize,
}

impl Document {
    pub(super) fn new(json: AnyJson) -> Self {
        let bytes = json.as_str().len();
        Self {
            form: Form::Given(json),
            bytes,
            counted: bytes,
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn to_json(&self) -> AnyJson {
        match &self.form {
            Form::Given(json) => json.clone(),
            Form::Parsed(value) => value.clone().into(),
        }
    }

    /// Counts its size anew.
    pub(super) fn recount(&mut self) {
        if let Form::Parsed(value) = &self.form {
            self.bytes = json_bytes(value);
            self.counted = self.bytes;
        }
    }

    /// Applies a patch as a whole or not at all, as `fast-json-patch` does in the official clients.
    pub(super) fn patch(
        &mut self,
        patch: &[JsonPatchOperation],
        needs_object: bool,
    ) -> Result<(), Unpatched> {
        let mut growth = 0_usize;
        let mut is_simple = true;
        let mut operations = Vec::with_capacity(patch.len());
        for operation in patch {
            let value_bytes = operation
                .value
                .as_ref()
                .map_or(0, |value| value.as_str().len());
            growth += value_bytes + operation.path.len() + 4;
            is_simple &= !operation.path.is_empty() && operation.from.is_none();
            operations.push(readable(operation)?);
        }
        let parsed = match &self.form {
            Form::Given(json) => Some(json.to_value().map_err(|_range| Unpatched::DoesNotApply)?),
            Form::Parsed(_) => None,
        };
        if let Some(mut value) = parsed {
            normalise(&mut value);
            self.form = Form::Parsed(apply(value, &operations, is_simple, needs_object)?.0);
            self.recount();
            return Ok(());
        }
        let Form::Parsed(value) = &mut self.form else {
            return Ok(());
        };
        if is_simple {
            json_patch::patch(value, &operations).map_err(|_misfit| Unpatched::DoesNotApply)?;
        } else {
            let (changed, copied) = apply(value.clone(), &operations, false, needs_object)?;
            *value = changed;
            growth += copied;
        }
        self.bytes += growth;
        if self.bytes > self.counted + self.counted / 4 + TOLERANCE {
            self.recount();
        }
        Ok(())
    }
}

/// A document as it is saved.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SavedDocument<'a> {
    #[serde(borrow)]
    json: Stored<'a, Form>,
    /// For one that was patched, since what it counts is an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    patched: Option<Counts>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    bytes: u64,
    counted: u64,
}

impl<'a> From<&'a Document> for SavedDocument<'a> {
    fn from(document: &'a Document) -> Self {
        let counts = || Counts {
            bytes: document.bytes as u64,
            counted: document.counted as u64,
        };
        Self {
            json: (&document.form).into(),
            patched: matches!(document.form, Form::Parsed(_)).then(counts),
        }
    }
}

impl SavedDocument<'_> {
    pub(super) fn restore(self) -> Result<Document, CheckpointError> {
        const PART: &str = "document";
        let given: AnyJson = match self.json {
            Stored::Text(text) => checkpoint::read_text(text, PART)?,
            Stored::Value(Form::Given(json)) => json.clone(),
            Stored::Value(Form::Parsed(value)) => value.clone().into(),
        };
        let Some(counts) = self.patched else {
            return Ok(Document::new(given));
        };
        let value = given.to_value().map_err(CheckpointError::Form)?;
        Ok(Document {
            form: Form::Parsed(value),
            bytes: checkpoint::count(counts.bytes)?,
            counted: checkpoint::count(counts.counted)?,
        })
    }
}

/// Makes an operation of the library's, if it can be applied anywhere.
fn readable(operation: &JsonPatchOperation) -> Result<json_patch::PatchOperation, Unpatched> {
    use json_patch::{
        AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation,
        ReplaceOperation, TestOperation,
    };

    let pointer = |text: &str| {
        // The official clients refuse these, lest a patch should change what all objects inherit from.
        if text.contains("__proto__") || text.contains("constructor/prototype") {
            return Err(Unpatched::DoesNotApply);
        }
        PointerBuf::parse(text.to_owned()).map_err(|_grammar| Unpatched::DoesNotApply)
    };
    let path = pointer(&operation.path)?;
    let from = || pointer(operation.from.as_deref().unwrap_or_default());
    let value = || {
        let json = operation.value.clone().unwrap_or_default();
        if depth_of_path(&operation.path) + depth_of_text(json.as_str()) > MAX_NESTING {
            return Err(Unpatched::TooLarge);
        }
        let mut value = json.to_value().map_err(|_range| Unpatched::DoesNotApply)?;
        normalise(&mut value);
        Ok(value)
    };
    Ok(match operation.op {
        PatchOp::Add => PatchOperation::Add(AddOperation {
            path,
            value: value()?,
        }),
        PatchOp::Remove => PatchOperation::Remove(RemoveOperation { path }),
        PatchOp::Replace => PatchOperation::Replace(ReplaceOperation {
            path,
            value: value()?,
        }),
        PatchOp::Move => PatchOperation::Move(MoveOperation {
            path,
            from: from()?,
        }),
        PatchOp::Copy => PatchOperation::Copy(CopyOperation {
            path,
            from: from()?,
        }),
        PatchOp::Test => PatchOperation::Test(TestOperation {
            path,
            value: value()?,
        }),
    })
}

/// Applies operations to a document of one's own; returns it, and how many bytes were copied within it.
///
/// What copies or moves is applied alone, after a look at what is copied: a few bytes of patch could else
/// double a document again and again.
fn apply(
    mut value: Value,
    operations: &[json_patch::PatchOperation],
    is_simple: bool,
    needs_object: bool,
) -> Result<(Value, usize), Unpatched> {
    use json_patch::PatchOperation;

    if is_simple {
        json_patch::patch(&mut value, operations).map_err(|_misfit| Unpatched::DoesNotApply)?;
        return Ok((value, 0));
    }
    let mut copied = 0;
    for operation in operations {
        let source = match operation {
            PatchOperation::Copy(copy) => Some((&copy.from, &copy.path)),
            PatchOperation::Move(moving) => Some((&moving.from, &moving.path)),
            PatchOperation::Remove(remove) if remove.path.is_root() => {
                value = Value::Null;
                continue;
            }
            _ => None,
        };
        if let Some((from, path)) = source {
            let source = from
                .resolve(&value)
                .map_err(|_absent| Unpatched::DoesNotApply)?;
            if path.count() + depth_of(source) > MAX_NESTING {
                return Err(Unpatched::TooLarge);
            }
            if matches!(operation, PatchOperation::Copy(_)) {
                copied += json_bytes(source);
            }
            if copied > MAX_BYTES {
                return Err(Unpatched::TooLarge);
            }
        }
        json_patch::patch(&mut value, std::slice::from_ref(operation))
            .map_err(|_misfit| Unpatched::DoesNotApply)?;
    }
    if needs_object && !value.is_object() {
        return Err(Unpatched::DoesNotApply);
    }
    Ok((value, copied))
}

/// Writes integers as integers: to JavaScript `1.0` is `1`, and a test of one for the other succeeds.
fn normalise(value: &mut Value) {
    /// 2^53: beyond it not every integer is a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(float) = number.as_f64()
                && float.fract() == 0.0
                && float.abs() <= EXACT
            {
                #[expect(clippy::cast_possible_truncation, reason = "an integer within 2^53")]
                let integer = float as i64;
                *number = Number::from(integer);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(normalise),
        Value::Object(members) => members.values_mut().for_each(normalise),
        _ => {}
    }
}

fn depth_of_path(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
}

/// Returns how deep a JSON text nests.
fn depth_of_text(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Returns how deep a value nests; documents nest at most [`MAX_NESTING`] deep.
fn depth_of(value: &Value) -> usize {
    let deepest = |depths: &mut dyn Iterator<Item = usize>| 1 + depths.max().unwrap_or_default();
    match value {
        Value::Array(elements) => deepest(&mut elements.iter().map(depth_of)),
        Value::Object(members) => deepest(&mut members.values().map(depth_of)),
        _ => 0,
    }
}
