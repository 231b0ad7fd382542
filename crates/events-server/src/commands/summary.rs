//! One event in one line that can be read.

mod llm;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::terminal;

/// The longest text of an event, in characters.
const MAX_TEXT: usize = 100;
/// The longest name or id in a line, in characters.
const MAX_NAME: usize = 40;

/// Members that say what an event is about, the most telling first.
const TEXTS: [&str; 16] = [
    "delta",
    "text",
    "content",
    "message",
    "toolCallName",
    "stepName",
    "subagentName",
    "name",
    "activityType",
    "outcome",
    "patch",
    "snapshot",
    "messages",
    "pageUrl",
    "model",
    "value",
];
/// Members that at least tell it from others.
const IDS: [&str; 6] = [
    "toolCallId",
    "messageId",
    "runId",
    "request_id",
    "sessionId",
    "contextId",
];
/// Members that say where it belongs.
const PLACES: [&str; 4] = ["threadId", "taskId", "contextId", "request_id"];

/// What is shown of an event; nothing in it is escaped yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Milliseconds since 1970, if the event says them.
    timestamp: Option<u64>,
    kind: String,
    place: Option<String>,
    text: String,
}

impl Summary {
    /// Looks into an event. `place` is the thread or task that the whole stream is of.
    pub(super) fn of(event_name: &str, data: &str, place: Option<&str>) -> Self {
        let place = place.map(str::to_owned);
        let Ok(mut value) = serde_json::from_str::<Value>(data) else {
            return Self {
                timestamp: None,
                kind: event_name.to_owned(),
                place,
                text: data.to_owned(),
            };
        };
        let mut place = place;
        if value.get("protocol").is_some() && value.get("event").is_some() {
            place = value.get("thread").and_then(text_of).or(place);
            value = value["event"].take();
        }
        // An A2A object is named by its one member.
        let named = match value.as_object_mut() {
            Some(object) if object.len() == 1 && !object.contains_key("type") => object
                .iter_mut()
                .next()
                .map(|(name, inner)| (name.clone(), inner.take())),
            _ => None,
        };
        match named {
            Some((kind, object)) => Self::of_a2a(kind, &object, place),
            None => Self::of_typed(event_name, &value, place),
        }
    }

    fn of_typed(event_name: &str, event: &Value, place: Option<String>) -> Self {
        let member = |names: &[&str]| names.iter().find_map(|name| text_of(event.get(name)?));
        Self {
            timestamp: event.get("timestamp").and_then(Value::as_u64),
            kind: member(&["type"]).unwrap_or_else(|| event_name.to_owned()),
            place: place.or_else(|| member(&PLACES)),
            text: member(&TEXTS).or_else(|| member(&IDS)).unwrap_or_default(),
        }
    }

    fn of_a2a(kind: String, object: &Value, place: Option<String>) -> Self {
        let id = ["taskId", "id", "contextId"]
            .iter()
            .find_map(|name| text_of(object.get(name)?));
        let state = object.pointer("/status/state").and_then(Value::as_str);
        let parts = [
            "/status/message/parts",
            "/artifact/parts",
            "/parts",
            "/artifacts/0/parts",
        ]
        .iter()
        .find_map(|pointer| object.pointer(pointer)?.as_array());
        let mut words: Vec<String> = state.map(str::to_owned).into_iter().collect();
        for part in parts.into_iter().flatten() {
            words.extend(part.get("text").and_then(text_of));
        }
        Self {
            timestamp: None,
            kind,
            place: place.or(id),
            text: words.join(" "),
        }
    }

    /// Writes the line: time (UTC; the event's own, else `now`), type, thread, text.
    pub(super) fn line(&self, now: SystemTime, is_colourful: bool) -> String {
        let (dim, bold, red, end) = if is_colourful {
            ("\u{1b}[2m", "\u{1b}[1;36m", "\u{1b}[1;31m", "\u{1b}[0m")
        } else {
            ("", "", "", "")
        };
        let kind_colour = if self.kind.to_ascii_uppercase().contains("ERROR") {
            red
        } else {
            bold
        };
        let time = self.time(now);
        let kind = short(&self.kind, MAX_NAME);
        let place = short(self.place.as_deref().unwrap_or("-"), MAX_NAME);
        let text = short(&self.text, MAX_TEXT);
        let line =
            format!("{dim}{time}{end} {kind_colour}{kind:<20}{end} {dim}{place:<12}{end} {text}");
        line.trim_end().to_owned()
    }

    fn time(&self, now: SystemTime) -> String {
        /// The end of the year 9999, behind which there is no form.
        const LAST: u64 = 253_402_300_799_999;
        let at = match self.timestamp {
            Some(millis) if millis <= LAST => UNIX_EPOCH + Duration::from_millis(millis),
            _ => now,
        };
        let text = humantime::format_rfc3339_millis(at).to_string();
        text.split_once('T').map_or_else(
            || text.clone(),
            |(_, time)| time.trim_end_matches('Z').to_owned(),
        )
    }
}

/// A text as it is, anything else as JSON; `None` for null.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Escapes, and cuts what is longer than `max` characters.
fn short(text: &str, max: usize) -> String {
    let is_long = text.chars().nth(max).is_some();
    let kept = if is_long {
        text.chars().take(max - 1).collect::<String>() + "…"
    } else {
        text.to_owned()
    };
    terminal::escape(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10:00:00.123 UTC.
    const TEN: u64 = 1_795_255_200_123;

    fn line(data: &str) -> String {
        let now = UNIX_EPOCH + Duration::from_millis(TEN);
        Summary::of("message", data, None).line(now, false)
    }

    #[test]
    fn a_line_has_time_type_thread_and_text() {
        for (data, expected) in [
            (
                r#"{"type":"RUN_STARTED","threadId":"t","runId":"r","timestamp":0}"#,
                "00:00:00.000 RUN_STARTED          t            r",
            ),
            (
                r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"Hi"}"#,
                "10:00:00.123 TEXT_MESSAGE_CONTENT -            Hi",
            ),
            (
                r#"{"protocol":"agui","thread":"t","event":{"type":"STEP_STARTED","stepName":"plan"}}"#,
                "10:00:00.123 STEP_STARTED         t            plan",
            ),
            (
                r#"{"statusUpdate":{"taskId":"k","status":{"state":"TASK_STATE_WORKING","message":{"parts":[{"text":"on it"}]}}}}"#,
                "10:00:00.123 statusUpdate         k            TASK_STATE_WORKING on it",
            ),
            (
                r#"{"type":"STATE_DELTA","delta":[{"op":"remove","path":"/a"}],"timestamp":99999999999999999}"#,
                r#"10:00:00.123 STATE_DELTA          -            [{"op":"remove","path":"/a"}]"#,
            ),
            (
                r#"{"type":"HEARTBEAT"}"#,
                "10:00:00.123 HEARTBEAT            -",
            ),
            (
                "no json",
                "10:00:00.123 message              -            no json",
            ),
            ("7", "10:00:00.123 message              -"),
        ] {
            assert_eq!(line(data), expected, "{data}");
        }
    }

    #[test]
    fn nothing_of_an_event_drives_the_terminal() {
        let data = r#"{"type":"A\u001b[31m","threadId":"t\r","delta":"\u001b]0;x\u0007\nb"}"#;
        assert_eq!(
            line(data),
            "10:00:00.123 A\\u{1b}[31m          t\\r          \\u{1b}]0;x\\u{7}\\nb"
        );
        let not_json = Summary::of("e\u{1b}", "\u{1b}c", Some("\u{9b}"));
        let shown = not_json.line(UNIX_EPOCH, false);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let data = format!(r#"{{"type":"X","delta":"{}"}}"#, "é".repeat(500));
        let shown = line(&data);
        assert!(shown.ends_with("éé…"), "{shown}");
        assert_eq!(shown.chars().filter(|c| *c == 'é').count(), MAX_TEXT - 1);
    }

    #[test]
    fn colours_are_around_the_names_only() {
        let data = r#"{"type":"RUN_ERROR","message":"m"}"#;
        let shown = Summary::of("message", data, Some("t")).line(UNIX_EPOCH, true);
        assert!(
            shown.contains("\u{1b}[1;31mRUN_ERROR           \u{1b}[0m"),
            "{shown:?}"
        );
        assert!(shown.ends_with("\u{1b}[0m m"), "{shown:?}");
    }
}
