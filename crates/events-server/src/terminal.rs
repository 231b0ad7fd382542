//! What may be written to a terminal.

use std::{borrow::Cow, fmt::Write as _, io::IsTerminal};

/// Whether a character can move the cursor, change what a terminal does, or turn the order of what is read.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Writes control characters, and those that nobody sees, as they would stand in a string of Rust: `\n`, `\u{1b}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Writes the same characters as JSON does, so that the value of a JSON text stays what it is.
pub(crate) fn escape_json(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _infallible = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Whether colours are wanted: on a terminal that knows them, unless `NO_COLOR` is set.
pub(crate) fn is_colourful(
    output: &impl IsTerminal,
    variable: impl Fn(&str) -> Option<String>,
) -> bool {
    let is_refused = variable("NO_COLOR").is_some_and(|text| !text.is_empty());
    let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
    output.is_terminal() && !is_refused && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_is_left() {
        let text = "a\u{1b}[2J\r\n\u{9b}31m\u{7f}\u{202e}b\u{200b} \u{e9}\u{1f980}\\";
        assert_eq!(
            escape(text),
            "a\\u{1b}[2J\\r\\n\\u{9b}31m\\u{7f}\\u{202e}b\\u{200b} \u{e9}\u{1f980}\\"
        );
        assert!(matches!(escape("plain \u{e9}"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let json = "{\"a\":\"\u{9b}31m\u{7f}\u{e0041}\"}";
        let escaped = escape_json(json);
        assert!(escaped.is_ascii(), "{escaped}");
        let values = [json, &*escaped].map(|text| {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            value
        });
        assert_eq!(values[0], values[1]);
    }
}
