//! A streamed Chat Completion that is made to report its tokens.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The member, as it is put in.
const INCLUDE: &str = "\"include_usage\":true";

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(default)]
    stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream_options: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Options<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    include_usage: Option<&'a RawValue>,
}

/// A member that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Asks for usage in a body that asks for a stream and does not say whether it wants usage. All other bytes of the
/// body stay; `None` if there is nothing to change.
pub(crate) fn inject(body: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let request: Request<'_> = serde_json::from_str(text).ok()?;
    if request.stream != Some(true) {
        return None;
    }
    let (start, end, new) = match request.stream_options {
        Some(options) if options.get() != "null" => {
            let options_text = options.get();
            let known: Options<'_> = serde_json::from_str(options_text).ok()?;
            if known.include_usage.is_some() {
                return None;
            }
            let start = offset_in(text, options_text)? + 1;
            let is_empty = options_text.trim_start_matches('{').trim_start() == "}";
            let comma = if is_empty { "" } else { "," };
            (start, start, format!("{INCLUDE}{comma}"))
        }
        _ => member(text, request.stream_options)?,
    };
    let mut injected = String::with_capacity(text.len() + new.len());
    injected.push_str(text.get(..start)?);
    injected.push_str(&new);
    injected.push_str(text.get(end..)?);
    Some(Bytes::from(injected))
}

/// The whole member, in the place of `null` or before the last brace.
fn member(text: &str, null: Option<&RawValue>) -> Option<(usize, usize, String)> {
    if let Some(null) = null {
        let start = offset_in(text, null.get())?;
        let end = start + null.get().len();
        return Some((start, end, format!("{{{INCLUDE}}}")));
    }
    // The object has a member before the brace: `stream`.
    let end = text.trim_end().len().checked_sub(1)?;
    Some((end, end, format!(",\"stream_options\":{{{INCLUDE}}}")))
}

/// Where a part of a text begins in it.
fn offset_in(text: &str, part: &str) -> Option<usize> {
    let offset = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    text.get(offset..)?.starts_with(part).then_some(offset)
}
