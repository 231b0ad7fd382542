//! The lines that most of a stream consists of, read in one pass.
//!
//! A delta that is written as [`AgUiEvent::write_json`] does it, without escapes, is taken apart where it stands: two
//! allocations, one for its id and one for its text. Anything else is left to the reader of all events, which says the
//! same of these lines.

use events_core::{MessageId, ToolCallId};
use memchr::memchr2;

use super::{AgUiEvent, ReasoningMessageContent, TextMessageContent, ToolCallArgs};

/// The longest number that is a legal time whatever its digits are: 2^53 has 16.
const MAX_DIGITS: usize = 15;

/// Reads a delta in its plain form; none for whatever else it is.
pub(super) fn read(json: &[u8]) -> Option<AgUiEvent> {
    let text = std::str::from_utf8(json).ok()?;
    let rest = text.strip_prefix("{\"type\":\"")?;
    let plain = |rest: &'static str| (rest, rest.len());
    let kinds = [
        plain("TEXT_MESSAGE_CONTENT\",\"messageId\":\""),
        plain("TOOL_CALL_ARGS\",\"toolCallId\":\""),
        plain("REASONING_MESSAGE_CONTENT\",\"messageId\":\""),
    ];
    let kind = kinds.iter().position(|(kind, _)| rest.starts_with(kind))?;
    let (id, rest) = take_string(&rest[kinds[kind].1..])?;
    let (delta, rest) = take_string(rest.strip_prefix(",\"delta\":\"")?)?;
    let timestamp = read_end(rest)?;
    Some(match kind {
        0 => TextMessageContent {
            timestamp,
            ..TextMessageContent::new(MessageId::from(id), delta)
        }
        .into(),
        1 => ToolCallArgs {
            timestamp,
            ..ToolCallArgs::new(ToolCallId::from(id), delta)
        }
        .into(),
        _ => ReasoningMessageContent {
            timestamp,
            ..ReasoningMessageContent::new(MessageId::from(id), delta)
        }
        .into(),
    })
}

/// Takes a string without escapes whose quote has been read, and its other quote.
fn take_string(text: &str) -> Option<(&str, &str)> {
    let end = memchr2(b'"', b'\\', text.as_bytes())?;
    let (string, rest) = text.split_at(end);
    // Without an early end, so that many bytes are looked at in one step.
    let has_control = string
        .bytes()
        .fold(false, |found, byte| found | (byte < 0x20));
    if has_control {
        return None;
    }
    Some((string, rest.strip_prefix('"')?))
}

/// Reads what follows the text: nothing, or a time.
fn read_end(rest: &str) -> Option<Option<i64>> {
    if rest == "}" {
        return Some(None);
    }
    let digits = rest.strip_prefix(",\"timestamp\":")?.strip_suffix('}')?;
    let is_plain = (1..=MAX_DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if !is_plain {
        return None;
    }
    digits.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{AgUiEventBuilder, wire};

    fn json_of(event: &AgUiEvent) -> Vec<u8> {
        let mut json = Vec::new();
        event.write_json(&mut json).expect("an event is JSON");
        json
    }

    fn delta(kind: usize, id: &str, text: &str, timestamp: Option<i64>) -> AgUiEvent {
        let mut event = match kind {
            0 => AgUiEventBuilder::text_message_content(id, text),
            1 => ToolCallArgs::new(ToolCallId::from(id), text).into(),
            _ => ReasoningMessageContent::new(MessageId::from(id), text).into(),
        };
        event.set_timestamp(timestamp);
        event
    }

    #[test]
    fn the_plain_form_is_read_here() {
        for kind in 0..3 {
            for timestamp in [None, Some(0), Some(1_700_000_000_000)] {
                let event = delta(kind, "m-1", "Grüße, 世界", timestamp);
                assert_eq!(read(&json_of(&event)), Some(event));
            }
        }
    }

    proptest! {
        #[test]
        fn both_readers_say_the_same(
            kind in 0_usize..3,
            id in ".{0,6}",
            text in "[ -~\u{0}-\u{1f}é\"\\\\]{0,12}",
            timestamp in proptest::option::of(any::<i64>()),
            at in any::<prop::sample::Index>(),
            change in proptest::option::of(prop_oneof![any::<u8>(), Just(b'"'), Just(b' '), Just(b'0')]),
            inserts: bool,
        ) {
            let mut json = json_of(&delta(kind, &id, &text, timestamp));
            if let Some(byte) = change {
                let at = at.index(json.len());
                if inserts {
                    json.insert(at, byte);
                } else {
                    json[at] = byte;
                }
            }
            if let Some(event) = read(&json) {
                prop_assert_eq!(json_of(&event), &json[..]);
                prop_assert_eq!(wire::from_json::<AgUiEvent>(&json).unwrap(), event);
            }
        }
    }
}
