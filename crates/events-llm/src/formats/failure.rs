//! Errors as providers write them.

use crate::{StreamFailure, boundary, json::Json};

/// Reads an error object, or what stands in its place: text, or an array of errors of which the first counts.
///
/// - Anthropic: `{"type","message"}`; OpenAI: `{"message","type","code"}`; Gemini: `{"code","message","status"}`;
///   Ollama and some proxies: text.
pub(crate) fn failure_of(error: &Json<'_>) -> StreamFailure {
    match error {
        Json::Array(errors) => errors.first().map_or_else(unknown, failure_of),
        Json::Object(_) => {
            let message = ["message", "detail", "error", "metadata"]
                .iter()
                .find_map(|name| error.get(name).some_text())
                .map_or_else(|| error.to_string(), str::to_owned);
            StreamFailure {
                kind: error
                    .get("type")
                    .some_text()
                    .or_else(|| error.get("status").some_text())
                    .map(str::to_owned),
                code: error.get("code").label(),
                message: cut(&message),
            }
        }
        Json::Null => unknown(),
        other => StreamFailure {
            message: other
                .label()
                .map_or_else(|| other.to_string(), |label| cut(&label)),
            ..StreamFailure::default()
        },
    }
}

fn unknown() -> StreamFailure {
    StreamFailure {
        message: "the provider reported an error without a message".to_owned(),
        ..StreamFailure::default()
    }
}

/// A message is for people: four kilobytes of it are enough.
fn cut(message: &str) -> String {
    let end = boundary::floor(message, 4_096);
    message.get(..end).unwrap_or_default().to_owned()
}
