//! What messages and artifacts are made of.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, value::RawValue};

use super::{
    A2AVersion, UnknownMembers, base64,
    codec::{self, Coded},
    macros::a2a_serde,
};
use crate::{
    InvalidEvent,
    wire::{AnyJson, Members, OpenObject, Wire, text_of},
};

/// The members of which 1.0 has exactly one in every part.
const CONTENTS: [&str; 4] = ["text", "raw", "url", "data"];

/// The members of the file in a 0.3 part.
const FILE: [&str; 4] = ["bytes", "uri", "name", "mimeType"];

/// How 0.3 parts say that their data is no object and stands in an object of one member.
const WRAPPED: &str = "data_part_compat";

/// A piece of content.
///
/// `{"text":"plain text"}`, in 0.3 `{"kind":"text","text":"plain text"}`
///
/// ```
/// use events_models::a2a::{Part, PartContent};
///
/// let part = Part::data(serde_json::json!({ "rows": 3 }));
/// assert!(matches!(part.content, PartContent::Data(_)));
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    /// The content.
    pub content: PartContent,
    /// The name of the file; in 0.3 only files have one.
    pub filename: Option<String>,
    /// The media type; in 0.3 only files have one.
    pub media_type: Option<String>,
    /// Open data.
    pub metadata: Option<OpenObject>,
    /// The members that no version describes; those in the `file` of 0.3, too.
    pub unknown: UnknownMembers,
}

/// What a part contains.
#[derive(Clone, PartialEq, Debug)]
pub enum PartContent {
    /// Text.
    Text(String),
    /// The bytes of a file, as base64 text of the standard alphabet with padding.
    Raw(String),
    /// The address of a file.
    Url(String),
    /// Any JSON, `null` too.
    Data(AnyJson),
}

impl From<PartContent> for Part {
    fn from(content: PartContent) -> Self {
        Self {
            content,
            filename: None,
            media_type: None,
            metadata: None,
            unknown: UnknownMembers::default(),
        }
    }
}

impl Part {
    /// Makes a text part.
    pub fn text(text: impl Into<String>) -> Self {
        PartContent::Text(text.into()).into()
    }

    /// Makes a file part of base64 text.
    pub fn raw(base64: impl Into<String>) -> Self {
        PartContent::Raw(base64.into()).into()
    }

    /// Makes a file part of an address.
    pub fn url(url: impl Into<String>) -> Self {
        PartContent::Url(url.into()).into()
    }

    /// Makes a data part.
    pub fn data(data: impl Into<AnyJson>) -> Self {
        PartContent::Data(data.into()).into()
    }

    /// Returns the text of a text part.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            PartContent::Text(text) => Some(text),
            PartContent::Raw(_) | PartContent::Url(_) | PartContent::Data(_) => None,
        }
    }

    fn read_v1_0(members: &Members<'_>) -> Result<Self, InvalidEvent> {
        const VERSION: A2AVersion = A2AVersion::V1_0;
        let mut found = CONTENTS.iter().filter_map(|name| {
            // Only data can be null; elsewhere null stands for nothing.
            let raw = if *name == "data" {
                codec::find_even_null(members, name, VERSION)
            } else {
                codec::find(members, name, VERSION)
            };
            raw.map(|raw| (*name, raw))
        });
        let Some((name, raw)) = found.next() else {
            let expected = CONTENTS.join(", ");
            return Err(InvalidEvent::new(format!(
                "expected one member of {expected}"
            )));
        };
        if let Some((second, _)) = found.next() {
            return Err(InvalidEvent::new(format!(
                "has both `{name}` and `{second}`: a part has one content"
            )));
        }
        let content = match name {
            "text" => text_of(raw).map(|text| PartContent::Text(text.into_owned())),
            "raw" => base64::read(raw).map(PartContent::Raw),
            "url" => text_of(raw).map(|url| PartContent::Url(url.into_owned())),
            _ => AnyJson::read(raw).map(PartContent::Data),
        };
        Ok(Self {
            content: content.map_err(|error| error.in_member(name))?,
            filename: codec::read_member(members, "filename", VERSION)?,
            media_type: codec::read_member(members, "mediaType", VERSION)?,
            metadata: codec::read_member(members, "metadata", VERSION)?,
            unknown: UnknownMembers::of(members.iter(), is_described)?,
        })
    }

    fn read_v0_3(members: &Members<'_>) -> Result<Self, InvalidEvent> {
        const VERSION: A2AVersion = A2AVersion::V0_3;
        let metadata: Option<OpenObject> = codec::read_member(members, "metadata", VERSION)?;
        let unknown = UnknownMembers::of(members.iter(), is_described)?;
        let mut part = match &*members.tag("kind")? {
            "text" => Self::text(codec::read_member::<String>(members, "text", VERSION)?),
            "file" => {
                let raw = codec::find(members, "file", VERSION)
                    .ok_or_else(|| InvalidEvent::new("required, but missing"));
                raw.and_then(Members::of)
                    .and_then(|file| Self::read_file(&file))
                    .map_err(|error| error.in_member("file"))?
            }
            "data" => {
                let mut part = codec::find(members, "data", VERSION)
                    .ok_or_else(|| InvalidEvent::new("required, but missing"))
                    .and_then(|raw| read_data(raw, metadata))
                    .map_err(|error| error.in_member("data"))?;
                part.unknown = unknown;
                return Ok(part);
            }
            other => {
                return Err(InvalidEvent::new(format!(
                    "unknown kind `{other}`: expected text, file, data"
                ))
                .in_member("kind"));
            }
        };
        part.metadata = metadata;
        part.unknown.extend(unknown);
        Ok(part)
    }

    fn read_file(file: &Members<'_>) -> Result<Self, InvalidEvent> {
        const VERSION: A2AVersion = A2AVersion::V0_3;
        // A file with both is not described, and yet taken by every reader; the bytes are surely there.
        let bytes: Option<String> = codec::read_member(file, "bytes", VERSION)?;
        let mut part = match bytes {
            Some(bytes) => {
                Self::raw(base64::standard(&bytes).map_or_else(|| bytes.clone(), Into::into))
            }
            None => match codec::read_member::<Option<String>>(file, "uri", VERSION)? {
                Some(url) => Self::url(url),
                None => return Err(InvalidEvent::new("expected one member of bytes, uri")),
            },
        };
        part.filename = codec::read_member(file, "name", VERSION)?;
        part.media_type = codec::read_member(file, "mimeType", VERSION)?;
        part.unknown = UnknownMembers::of(file.iter(), |name| {
            FILE.contains(&name) || is_described(name)
        })?;
        Ok(part)
    }

    fn write_v1_0<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match &self.content {
            PartContent::Text(text) => map.serialize_entry("text", text),
            PartContent::Raw(base64) => map.serialize_entry("raw", base64),
            PartContent::Url(url) => map.serialize_entry("url", url),
            PartContent::Data(data) => map.serialize_entry("data", data),
        }?;
        codec::write_member(map, "filename", &self.filename, A2AVersion::V1_0)?;
        codec::write_member(map, "mediaType", &self.media_type, A2AVersion::V1_0)?;
        codec::write_member(map, "metadata", &self.metadata, A2AVersion::V1_0)
    }

    fn write_v0_3<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match &self.content {
            PartContent::Text(text) => {
                map.serialize_entry("kind", "text")?;
                map.serialize_entry("text", text)?;
            }
            PartContent::Raw(_) | PartContent::Url(_) => {
                map.serialize_entry("kind", "file")?;
                map.serialize_entry("file", &File(self))?;
            }
            PartContent::Data(data) => {
                map.serialize_entry("kind", "data")?;
                if !data.as_str().starts_with('{') {
                    map.serialize_entry("data", &Wrapper { value: data })?;
                    return map.serialize_entry("metadata", &Flagged(self.metadata.as_ref()));
                }
                map.serialize_entry("data", data)?;
            }
        }
        codec::write_member(map, "metadata", &self.metadata, A2AVersion::V0_3)
    }
}

/// Tells whether a version gives a meaning to a member of that name in some part.
fn is_described(name: &str) -> bool {
    matches!(
        name,
        "kind" | "file" | "filename" | "mediaType" | "media_type" | "metadata"
    ) || CONTENTS.contains(&name)
}

/// Reads data of 0.3, and takes it out of the object that may be around it.
fn read_data(raw: &RawValue, metadata: Option<OpenObject>) -> Result<Part, InvalidEvent> {
    let Some(flags) = &metadata else {
        return <OpenObject as Wire>::read(raw).map(Part::data);
    };
    let flags = Members::of(codec::parsed(flags.as_str())?)?;
    let is_flagged = flags.get(WRAPPED).is_some_and(|flag| flag.get() == "true");
    match wrapped_value(raw)?.filter(|_| is_flagged) {
        Some(value) => {
            let mut part = Part::data(AnyJson::read(value)?);
            part.metadata = without_flag(&flags)?;
            Ok(part)
        }
        None => {
            let mut part = Part::data(<OpenObject as Wire>::read(raw)?);
            part.metadata = metadata;
            Ok(part)
        }
    }
}

/// Finds what an object of one member has, if that is no object itself and so had to be wrapped.
fn wrapped_value(raw: &RawValue) -> Result<Option<&RawValue>, InvalidEvent> {
    let members = Members::of(raw)?;
    let is_alone = members.iter().count() == 1;
    let value = members.get("value").filter(|_| is_alone);
    Ok(value.filter(|value| !value.get().starts_with('{')))
}

fn without_flag(flags: &Members<'_>) -> Result<Option<OpenObject>, InvalidEvent> {
    let rest: Vec<String> = flags
        .iter()
        .filter(|(name, _)| *name != WRAPPED)
        .map(|(name, flag)| format!("{}:{}", Value::from(name), flag.get()))
        .collect();
    if rest.is_empty() {
        return Ok(None);
    }
    let json = format!("{{{}}}", rest.join(","));
    <OpenObject as Wire>::read(codec::parsed(&json)?).map(Some)
}

/// A file as 0.3 has it.
struct File<'a>(&'a Part);

impl Serialize for File<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.0.content {
            PartContent::Raw(base64) => map.serialize_entry("bytes", base64)?,
            PartContent::Url(url) => map.serialize_entry("uri", url)?,
            PartContent::Text(_) | PartContent::Data(_) => {}
        }
        codec::write_member(&mut map, "name", &self.0.filename, A2AVersion::V0_3)?;
        codec::write_member(&mut map, "mimeType", &self.0.media_type, A2AVersion::V0_3)?;
        map.end()
    }
}

/// Data that is no object, in one.
#[derive(Serialize)]
struct Wrapper<'a> {
    value: &'a AnyJson,
}

/// The metadata of wrapped data.
struct Flagged<'a>(Option<&'a OpenObject>);

impl Serialize for Flagged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(WRAPPED, &true)?;
        if let Some(metadata) = self.0 {
            let raw = codec::parsed(metadata.as_str()).map_err(serde::ser::Error::custom)?;
            let members = Members::of(raw).map_err(serde::ser::Error::custom)?;
            for (name, value) in members.iter().filter(|(name, _)| *name != WRAPPED) {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

impl Coded for Part {
    fn read(raw: &RawValue, version: A2AVersion) -> Result<Self, InvalidEvent> {
        let members = Members::of(raw)?;
        match version {
            A2AVersion::V1_0 => Self::read_v1_0(&members),
            A2AVersion::V0_3 => Self::read_v0_3(&members),
        }
    }

    fn write<S: Serializer>(&self, version: A2AVersion, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match version {
            A2AVersion::V1_0 => self.write_v1_0(&mut map),
            A2AVersion::V0_3 => self.write_v0_3(&mut map),
        }?;
        self.unknown.write(&mut map, is_described)?;
        map.end()
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        match &self.content {
            PartContent::Raw(base64) if base64::standard(base64).as_deref() != Some(base64) => Err(
                InvalidEvent::new("the string is not base64 in its standard form").in_member("raw"),
            ),
            PartContent::Data(data) => data.check().map_err(|error| error.in_member("data")),
            PartContent::Text(_) | PartContent::Raw(_) | PartContent::Url(_) => Ok(()),
        }?;
        Coded::check(&self.metadata).map_err(|error| error.in_member("metadata"))?;
        self.unknown.check(is_described)
    }
}

a2a_serde!(Part);
