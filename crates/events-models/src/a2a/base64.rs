//! Bytes as text, never decoded.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{InvalidEvent, wire::text_of};

/// Reads base64 text, and makes it the standard one.
pub(super) fn read(raw: &RawValue) -> Result<String, InvalidEvent> {
    let text = text_of(raw)?;
    match standard(&text) {
        Some(standard) => Ok(standard.into_owned()),
        None => Err(InvalidEvent::new("the string is not base64")),
    }
}

/// Finds the standard form of base64 text, which may be in the alphabet for URLs or without padding.
pub(super) fn standard(text: &str) -> Option<Cow<'_, str>> {
    let body = text.trim_end_matches('=');
    let n_missing = body.len().wrapping_neg() % 4;
    let is_base64 = body
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_'));
    if !is_base64 || n_missing == 3 || text.len() - body.len() > n_missing {
        return None;
    }
    if text.len().is_multiple_of(4) && !body.contains(['-', '_']) {
        return Some(Cow::Borrowed(text));
    }
    let mut standard = body.replace('-', "+").replace('_', "/");
    standard.extend(std::iter::repeat_n('=', n_missing));
    Some(Cow::Owned(standard))
}
