//! Which protocol an answer speaks, told by its route, its content type or its first event.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use serde::Deserialize;

use crate::{boundary, json::Json};

/// The protocol of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions, which many servers speak.
    OpenAiChat,
    /// OpenAI Responses.
    OpenAiResponses,
    /// Gemini `generateContent` and `streamGenerateContent`.
    Gemini,
    /// Ollama's own protocol.
    Ollama,
}

impl Provider {
    /// All protocols that are read.
    pub const ALL: [Self; 5] = [
        Self::Anthropic,
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::Gemini,
        Self::Ollama,
    ];

    /// Returns the name, as in `anthropic` and `openai-chat`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }

    /// Finds a protocol by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.as_str() == name)
    }

    /// Returns who sells this protocol's models, when nothing else is known.
    #[must_use]
    pub const fn vendor(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAiChat | Self::OpenAiResponses => "openai",
            Self::Gemini => "google",
            Self::Ollama => "ollama",
        }
    }

    /// Tells the protocol by the path of a request; a query may follow. Whatever stands before the known part does
    /// not matter, since servers mount these routes anywhere.
    ///
    /// ```
    /// use events_llm::Provider;
    ///
    /// assert_eq!(Provider::of_path("/v1/messages?beta=true"), Some(Provider::Anthropic));
    /// assert_eq!(Provider::of_path("/openai/v1/chat/completions"), Some(Provider::OpenAiChat));
    /// assert_eq!(Provider::of_path("/v1/models"), None);
    /// ```
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = path.trim_end_matches('/');
        let ends = |end: &str| path.ends_with(end);
        if ends(":streamGenerateContent") || ends(":generateContent") {
            Some(Self::Gemini)
        } else if ends("/chat/completions") || ends("/completions") {
            Some(Self::OpenAiChat)
        } else if ends("/responses") || is_stored_response(path) {
            Some(Self::OpenAiResponses)
        } else if ends("/api/chat") || ends("/api/generate") {
            Some(Self::Ollama)
        } else if (ends("/messages") && !path.contains("/threads/"))
            || (path.contains("/anthropic/") && ends("RawPredict"))
        {
            Some(Self::Anthropic)
        } else {
            None
        }
    }

    /// Tells the protocol by the first event of an answer.
    pub(crate) fn of_event(json: &Json<'_>) -> Option<Self> {
        let has = |name: &str| !json.get(name).is_null();
        if let Some(kind) = json.get("type").text() {
            if kind.starts_with("response.") {
                return Some(Self::OpenAiResponses);
            }
            if kind.starts_with("message") || kind.starts_with("content_block") || kind == "ping" {
                return Some(Self::Anthropic);
            }
        }
        if json.get("object").text() == Some("response") {
            Some(Self::OpenAiResponses)
        } else if has("choices") {
            Some(Self::OpenAiChat)
        } else if has("candidates") || has("usageMetadata") || has("promptFeedback") {
            Some(Self::Gemini)
        } else if has("done") && (has("message") || has("response") || has("model")) {
            Some(Self::Ollama)
        } else {
            None
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the events of an answer are set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Server-Sent Events.
    Sse,
    /// One JSON value per line.
    Ndjson,
    /// One JSON object, or an array of them.
    Json,
}

impl Framing {
    /// Tells the framing by a content type; `None` for what carries no events.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        match media_type.as_str() {
            "text/event-stream" => Some(Self::Sse),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/stream+json" => Some(Self::Ndjson),
            "application/json" | "text/json" => Some(Self::Json),
            other if other.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }
}

/// What a request says of itself.
///
/// ```
/// use events_llm::RequestFacts;
///
/// let facts = RequestFacts::of("/v1/chat/completions", br#"{"model":"m","messages":[],"stream":true}"#);
/// assert_eq!(facts.model.as_deref(), Some("m"));
/// assert_eq!(facts.is_stream, Some(true));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RequestFacts {
    /// The model that is asked for.
    pub model: Option<String>,
    /// Whether a stream is asked for; `None` if the request does not say.
    pub is_stream: Option<bool>,
}

impl RequestFacts {
    /// Reads the path and the body of a request. A body that is not as expected says nothing.
    ///
    /// The body is read once and nothing of it is kept but the model's name, of which 256 bytes count.
    #[must_use]
    pub fn of(path: &str, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow, default)]
            model: Option<Cow<'a, str>>,
            #[serde(default)]
            stream: Option<bool>,
        }

        let in_path = model_in_path(path);
        let body = serde_json::from_slice::<Body<'_>>(body).ok();
        let (in_body, is_stream) = body.map_or((None, None), |body| (body.model, body.stream));
        let model = in_body
            .as_deref()
            .or(in_path)
            .filter(|model| !model.is_empty());
        let by_path = in_path.map(|_| path.contains(":stream"));
        Self {
            model: model.map(|model| {
                let end = boundary::floor(model, 256);
                model.get(..end).unwrap_or_default().to_owned()
            }),
            is_stream: is_stream.or(by_path),
        }
    }
}

/// A response that is asked for again, and not what belongs to one.
fn is_stored_response(path: &str) -> bool {
    path.rsplit_once("/responses/")
        .is_some_and(|(_, id)| id.starts_with("resp_") && !id.contains('/'))
}

/// The model of `…/models/NAME:streamGenerateContent`.
fn model_in_path(path: &str) -> Option<&str> {
    let (_, rest) = path.rsplit_once("/models/")?;
    let (model, method) = rest.split_once(':')?;
    let is_call =
        method.starts_with("stream") || method.starts_with("generate") || method.starts_with("raw");
    (is_call && !model.contains('/')).then_some(model)
}
