//! Cases for the official clients, and what their agents hold in the end.

use std::{collections::HashMap, fmt::Write as _, fs, process::Stdio, time::Duration};

use events_models::{AgUiEvent, Message, agui::legacy};
use events_tests::{agui_check::AgUiVersion, deadline::within, skip};
use serde_json::{Value, json};
use tokio::process::Command;

/// Many cases are judged by one process, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(300);

/// What an agent holds in the end.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Held {
    pub(super) messages: Vec<Value>,
    pub(super) state: Value,
    /// Why the client has refused something.
    pub(super) why: Option<String>,
}

/// A file of cases for one generation.
pub(super) struct Cases {
    version: AgUiVersion,
    lines: String,
    n_cases: usize,
}

/// A part of what a connection brings.
pub(super) enum Part {
    Log(String, usize, usize),
    Events(Vec<AgUiEvent>),
}

impl Cases {
    pub(super) fn new(version: AgUiVersion) -> Self {
        let lines = String::new();
        Self {
            version,
            lines,
            n_cases: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.n_cases
    }

    fn line(&mut self, value: &Value) {
        writeln!(self.lines, "{value}").expect("a string can be written to");
    }

    fn form(&self, event: &AgUiEvent) -> Value {
        let event = match self.version {
            AgUiVersion::V1_0 => event.clone(),
            AgUiVersion::V0_0_59 => legacy::to_v0_0_59(event.clone()).expect("a form"),
        };
        serde_json::to_value(event).expect("JSON")
    }

    pub(super) fn log(&mut self, name: &str, log: &[AgUiEvent]) {
        let events: Vec<_> = log.iter().map(|event| self.form(event)).collect();
        self.line(&json!({ "log": name, "events": events }));
    }

    /// Adds a case: an agent that holds something, and its connections one after the other.
    pub(super) fn case(
        &mut self,
        name: &str,
        messages: &[Message],
        state: &Value,
        connections: Vec<Vec<Part>>,
    ) {
        let part = |part: Part| match part {
            Part::Log(name, from, to) => json!({ "log": name, "from": from, "to": to }),
            // Preludes are made for the client's generation already.
            Part::Events(events) => json!({ "events": events }),
        };
        let connections: Vec<Vec<Value>> = connections
            .into_iter()
            .map(|parts| parts.into_iter().map(part).collect())
            .collect();
        let case = json!({
            "case": name, "messages": messages, "state": state, "connections": connections,
        });
        self.line(&case);
        self.n_cases += 1;
    }

    /// Lets the client judge all cases; none if it is not there.
    pub(super) async fn judge(self, test: &str) -> Option<HashMap<String, Held>> {
        let folder = self.version.folder();
        let node = skip::require(test, "Node.js", skip::node())?;
        let what = format!("the official client {folder} (`cargo xtask setup`)");
        let packages = skip::require(test, &what, skip::client_packages(folder))?;
        let own = tempfile::tempdir().expect("a folder");
        let file = own.path().join("cases.jsonl");
        fs::write(&file, &self.lines).expect("the cases are written");
        let mut command = Command::new(node);
        command
            .arg(skip::workspace_root().join("tests/clients/agui-rejoin.mjs"))
            .arg("--packages")
            .arg(packages)
            .arg(file)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = within("the official client", LIMIT, command.output())
            .await
            .expect("it answers in time");
        let text = String::from_utf8(output.stdout).expect("text");
        let held: HashMap<_, _> = text.lines().map(held).collect();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            held.len(),
            self.n_cases,
            "each case has a name of its own: {complaint}"
        );
        Some(held)
    }
}

fn held(line: &str) -> (String, Held) {
    let mut value: Value = serde_json::from_str(line).expect("JSON");
    let name = value["case"].as_str().expect("a name").to_owned();
    let held = Held {
        messages: match value["messages"].take() {
            Value::Array(messages) => messages,
            other => panic!("messages are an array: {other}"),
        },
        state: value["state"].take(),
        why: value["why"].as_str().map(str::to_owned),
    };
    (name, held)
}
