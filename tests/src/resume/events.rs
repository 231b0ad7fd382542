//! Events of which no two are alike, and what is unlike in each.

use serde_json::{Value, json};

/// Deltas in each run.
const DELTAS: usize = 8;

/// What a user's publishers publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// System events, which only the context stream has; several publishers may mix theirs.
    System,
    /// Runs of one AG-UI thread, one after the other; by one publisher.
    AgUi,
    /// A2A tasks, one after the other; by one publisher.
    A2A,
}

impl Kind {
    /// Returns the name of the stream in the path of a publish.
    #[must_use]
    pub const fn stream(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::AgUi => "agui",
            Self::A2A => "a2a",
        }
    }
}

/// Makes the events of one publisher, one after the other.
#[derive(Debug)]
pub struct Script {
    kind: Kind,
    publisher: String,
    n: usize,
}

impl Script {
    /// Begins the events of a publisher, whose name is like no other's.
    #[must_use]
    pub fn new(kind: Kind, publisher: &str) -> Self {
        let publisher = publisher.to_owned();
        Self {
            kind,
            publisher,
            n: 0,
        }
    }

    /// Returns the next event, with what is unlike in it.
    pub fn next_event(&mut self) -> (String, String) {
        let event = match self.kind {
            Kind::System => json!({
                "type": "CONTEXT_UPDATED", "timestamp": 1, "contextId": "c",
                "name": format!("{} {}", self.publisher, self.n),
            }),
            Kind::AgUi => self.step_of_run(),
            Kind::A2A => self.step_of_task(),
        };
        self.n += 1;
        (mark(&event), event.to_string())
    }

    fn step_of_run(&self) -> Value {
        let (number, step) = (self.n / (DELTAS + 4), self.n % (DELTAS + 4));
        let run = format!("{} run {number}", self.publisher);
        let message = format!("{run} message");
        match step {
            0 => json!({ "type": "RUN_STARTED", "threadId": "t", "runId": run }),
            1 => json!({ "type": "TEXT_MESSAGE_START", "messageId": message, "role": "assistant" }),
            _ if step < DELTAS + 2 => json!({
                "type": "TEXT_MESSAGE_CONTENT", "messageId": message, "delta": format!("{run} delta {step};"),
            }),
            _ if step == DELTAS + 2 => json!({ "type": "TEXT_MESSAGE_END", "messageId": message }),
            _ => json!({ "type": "RUN_FINISHED", "threadId": "t", "runId": run }),
        }
    }

    fn step_of_task(&self) -> Value {
        let (number, step) = (self.n / (DELTAS + 3), self.n % (DELTAS + 3));
        let task = format!("{} task {number}", self.publisher);
        let status = |state: &str| {
            let status = json!({ "state": format!("TASK_STATE_{state}") });
            json!({ "statusUpdate": { "taskId": task, "contextId": "c", "status": status } })
        };
        match step {
            0 => json!({ "task": {
                "id": task, "contextId": "c", "status": { "state": "TASK_STATE_SUBMITTED" },
            } }),
            1 => status("WORKING"),
            _ if step < DELTAS + 2 => json!({ "artifactUpdate": {
                "taskId": task, "contextId": "c", "append": step > 2, "lastChunk": step == DELTAS + 1,
                "artifact": { "artifactId": "a", "parts": [{ "text": format!("{task} chunk {step};") }] },
            } }),
            _ => status("COMPLETED"),
        }
    }
}

/// Returns what is unlike in an event of a [`Script`].
#[must_use]
pub fn mark(event: &Value) -> String {
    let text = |path: &str| text(event, path);
    match text("/type") {
        "TEXT_MESSAGE_CONTENT" => text("/delta").to_owned(),
        "CONTEXT_UPDATED" => text("/name").to_owned(),
        "" => format!(
            "{}{}{} {}{}",
            text("/task/id"),
            text("/statusUpdate/taskId"),
            text("/artifactUpdate/artifact/parts/0/text"),
            text("/task/status/state"),
            text("/statusUpdate/status/state"),
        ),
        kind => format!("{kind} {}{}", text("/messageId"), text("/runId")),
    }
}

pub(super) fn text<'a>(event: &'a Value, path: &str) -> &'a str {
    let value = event.pointer(path);
    value.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_events_are_alike() {
        let mut marks = std::collections::HashSet::new();
        for kind in [Kind::System, Kind::AgUi, Kind::A2A] {
            for name in ["ada", "eve"] {
                let mut script = Script::new(kind, &format!("{name} {kind:?}"));
                for _ in 0..100 {
                    assert!(marks.insert(script.next_event().0));
                }
            }
        }
    }
}
