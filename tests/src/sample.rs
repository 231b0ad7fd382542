//! Runs to publish: as lines of JSON, and as events.

use events_models::AgUiEvent;
use serde_json::json;

/// Makes a run of `n_deltas` and four events around them: RUN_STARTED, a text message in `n_deltas` pieces, RUN_FINISHED.
///
/// Runs of one thread need different names.
#[must_use]
pub fn run(thread: &str, run: &str, n_deltas: usize) -> Vec<String> {
    padded_run(thread, run, n_deltas, 0)
}

/// Makes a run like [`run`], each delta of which has `n_padding` bytes more.
#[must_use]
pub fn padded_run(thread: &str, run: &str, n_deltas: usize, n_padding: usize) -> Vec<String> {
    let message = format!("{run}-message");
    let padding = "x".repeat(n_padding);
    let mut events = vec![
        json!({ "type": "RUN_STARTED", "threadId": thread, "runId": run }),
        json!({ "type": "TEXT_MESSAGE_START", "messageId": message, "role": "assistant" }),
    ];
    events.extend((0..n_deltas).map(|n| {
        let delta = format!("{run} {n} {padding}");
        json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": message, "delta": delta })
    }));
    events.push(json!({ "type": "TEXT_MESSAGE_END", "messageId": message }));
    events.push(json!({ "type": "RUN_FINISHED", "threadId": thread, "runId": run }));
    events.iter().map(ToString::to_string).collect()
}

/// Reads the lines of a sample as events.
///
/// # Panics
///
/// When a line is no AG-UI event.
#[must_use]
pub fn typed(lines: &[String]) -> Vec<AgUiEvent> {
    let read = |line: &String| AgUiEvent::from_json(line.as_bytes());
    let events: Result<Vec<_>, _> = lines.iter().map(read).collect();
    match events {
        Ok(events) => events,
        Err(error) => panic!("a sample is no event: {error}"),
    }
}
