//! Message content: text, or parts with media.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    InvalidEvent,
    wire::{AnyJson, Wire, expected, wire_struct, wire_union},
};

/// What a tool answered: text, or content parts. Never other JSON, which official clients refuse.
///
/// `"3 results"` or `[{"type":"text","text":"3 results"}]`
///
/// A [`Value`] becomes content without loss: a string becomes that text, a non-empty array of content
/// parts becomes parts, and anything else becomes its JSON text.
///
/// ```
/// use events_models::agui::ToolResultContent;
/// use serde_json::json;
///
/// assert_eq!(ToolResultContent::from(json!({"hits": 3})), ToolResultContent::from("{\"hits\":3}"));
/// assert_eq!(ToolResultContent::from(json!("done")), ToolResultContent::from("done"));
/// ```
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum ToolResultContent {
    /// Plain text.
    Text(String),
    /// Text and media.
    Parts(Vec<ContentPart>),
}

/// What a person said or showed; the same shape as a tool's answer.
pub type UserContent = ToolResultContent;

impl From<&str> for ToolResultContent {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for ToolResultContent {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<ContentPart>> for ToolResultContent {
    fn from(parts: Vec<ContentPart>) -> Self {
        Self::Parts(parts)
    }
}

impl From<Value> for ToolResultContent {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            // An empty array is more likely an answer without hits than a message without parts.
            Value::Array(elements) if !elements.is_empty() => {
                let value = Value::Array(elements);
                Self::deserialize(&value).unwrap_or_else(|_no_parts| Self::Text(value.to_string()))
            }
            other => Self::Text(other.to_string()),
        }
    }
}

impl Wire for ToolResultContent {
    fn read(raw: &RawValue) -> Result<Self, InvalidEvent> {
        match raw.get().as_bytes().first() {
            Some(b'"') => String::read(raw).map(Self::Text),
            Some(b'[') => Vec::read(raw).map(Self::Parts),
            _ => Err(expected("a string or an array of content parts", raw)),
        }
    }

    fn check(&self) -> Result<(), InvalidEvent> {
        match self {
            Self::Text(_) => Ok(()),
            Self::Parts(parts) => parts.check(),
        }
    }
}

wire_struct!(@deserialize ToolResultContent);

wire_union! {
    /// One part of a message's content.
    ///
    /// `{"type":"text","text":"look"}`
    pub enum ContentPart by "type" {
        shapes {
            /// Text.
            Text(TextPart) = "text",
            /// A picture.
            Image(MediaPart) = "image",
            /// A sound.
            Audio(MediaPart) = "audio",
            /// A film.
            Video(MediaPart) = "video",
            /// A file to read.
            Document(MediaPart) = "document",
        }
        bare {}
    }
}

wire_struct! {
    /// Text as a part.
    ///
    /// `{"type":"text","text":"look"}` (the type is the union's)
    pub struct TextPart {
        required {
            /// The text.
            text: String = "text",
        }
        optional {
            /// The part's id.
            id: Option<String> = "id",
            /// Open data; never `null`.
            metadata: Option<AnyJson> = "metadata",
        }
    }
}

wire_struct! {
    /// Media as a part.
    ///
    /// `{"type":"image","source":{"type":"url","value":"https://example.com/a.png"}}` (the type is the union's)
    pub struct MediaPart {
        required {
            /// Where the bytes are.
            source: PartSource = "source",
        }
        optional {
            /// The part's id.
            id: Option<String> = "id",
            /// Open data; never `null`.
            metadata: Option<AnyJson> = "metadata",
        }
    }
}

wire_union! {
    /// Where the bytes of a media part are.
    ///
    /// `{"type":"data","value":"aGk=","mimeType":"image/png"}`
    pub enum PartSource by "type" {
        shapes {
            /// In the event itself.
            Data(DataSource) = "data",
            /// At an address.
            Url(UrlSource) = "url",
            /// With a provider.
            File(FileSource) = "file",
        }
        bare {}
    }
}

wire_struct! {
    /// Bytes within the event.
    ///
    /// `{"type":"data","value":"aGk=","mimeType":"image/png"}` (the type is the union's)
    pub struct DataSource {
        required {
            /// The bytes in base64.
            value: String = "value",
            /// Their media type.
            mime_type: String = "mimeType",
        }
        optional {}
    }
}

wire_struct! {
    /// Bytes at an address.
    ///
    /// `{"type":"url","value":"https://example.com/a.png"}` (the type is the union's)
    pub struct UrlSource {
        required {
            /// The address.
            value: String = "value",
        }
        optional {
            /// The media type.
            mime_type: Option<String> = "mimeType",
        }
    }
}

wire_struct! {
    /// Bytes that a provider keeps.
    ///
    /// `{"type":"file","value":"file_9","provider":"acme"}` (the type is the union's)
    pub struct FileSource {
        required {
            /// The provider's handle.
            value: String = "value",
        }
        optional {
            /// Who keeps it.
            provider: Option<String> = "provider",
            /// The media type.
            mime_type: Option<String> = "mimeType",
        }
    }
}
