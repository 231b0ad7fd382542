//! What a command prints, line by line.

use serde::{Deserialize, Serialize};

/// A piece of the output of a command. This form carries no time.
///
/// `{"type":"stdout","data":"hello\n"}`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CliOutputEvent {
    /// The command runs.
    ///
    /// `{"type":"started","pid":4711}`
    Started {
        /// The process.
        pid: u32,
    },
    /// It printed to its standard output.
    ///
    /// `{"type":"stdout","data":"hello\n"}`
    Stdout {
        /// What it printed.
        data: String,
    },
    /// It printed to its standard error.
    ///
    /// `{"type":"stderr","data":"oops\n"}`
    Stderr {
        /// What it printed.
        data: String,
    },
    /// It ended.
    ///
    /// `{"type":"exit_code","code":0}`
    ExitCode {
        /// Its exit code.
        code: i32,
    },
    /// It could not be run, or not be watched.
    ///
    /// `{"type":"error","message":"no such file"}`
    Error {
        /// What went wrong.
        message: String,
    },
}

impl CliOutputEvent {
    /// Returns the event's type as it is on the wire.
    #[must_use]
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Stdout { .. } => "stdout",
            Self::Stderr { .. } => "stderr",
            Self::ExitCode { .. } => "exit_code",
            Self::Error { .. } => "error",
        }
    }

    /// Returns `None`: the command line's form carries no time.
    #[must_use]
    pub const fn timestamp(&self) -> Option<i64> {
        None
    }
}

/// Makes events of a command's output.
///
/// ```
/// use events_models::{CliOutputEvent, CliOutputEventBuilder};
///
/// assert_eq!(CliOutputEventBuilder::started(1), CliOutputEvent::Started { pid: 1 });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CliOutputEventBuilder;

impl CliOutputEventBuilder {
    /// Makes `started`.
    #[must_use]
    pub const fn started(pid: u32) -> CliOutputEvent {
        CliOutputEvent::Started { pid }
    }

    /// Makes `stdout`.
    pub fn stdout(data: impl Into<String>) -> CliOutputEvent {
        CliOutputEvent::Stdout { data: data.into() }
    }

    /// Makes `stderr`.
    pub fn stderr(data: impl Into<String>) -> CliOutputEvent {
        CliOutputEvent::Stderr { data: data.into() }
    }

    /// Makes `exit_code`.
    #[must_use]
    pub const fn exit_code(code: i32) -> CliOutputEvent {
        CliOutputEvent::ExitCode { code }
    }

    /// Makes `error`.
    pub fn error(message: impl Into<String>) -> CliOutputEvent {
        CliOutputEvent::Error {
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_output_event_has_its_own_json_and_reads_it_back() {
        for (event, expected_json) in [
            (
                CliOutputEventBuilder::started(7),
                json!({"type": "started", "pid": 7}),
            ),
            (
                CliOutputEventBuilder::stdout("x"),
                json!({"type": "stdout", "data": "x"}),
            ),
            (
                CliOutputEventBuilder::stderr("y"),
                json!({"type": "stderr", "data": "y"}),
            ),
            (
                CliOutputEventBuilder::exit_code(-1),
                json!({"type": "exit_code", "code": -1}),
            ),
            (
                CliOutputEventBuilder::error("no"),
                json!({"type": "error", "message": "no"}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&event).unwrap(), expected_json);
            assert_eq!(event.event_type(), expected_json["type"]);
            assert_eq!(event.timestamp(), None);
            assert_eq!(
                serde_json::from_value::<CliOutputEvent>(expected_json).unwrap(),
                event
            );
        }
    }
}
