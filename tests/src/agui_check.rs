//! The official AG-UI client as a judge, run by Node.js from `tests/clients/agui-check.mjs`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use crate::deadline::within;
use crate::skip;

/// The two generations of the client that are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgUiVersion {
    /// `@ag-ui/client` 1.0.0.
    V1_0,
    /// `@ag-ui/client` 0.0.59.
    V0_0_59,
}

/// How to put a stream through the client.
#[derive(Debug, Clone)]
pub struct AgUiCheck {
    node: PathBuf,
    packages: PathBuf,
    arguments: Vec<String>,
    reading_time: Duration,
}

/// What the client made of a stream.
#[derive(Debug, Clone)]
pub struct AgUiVerdict {
    /// The checker's exit code: 0 clean, 1 something invalid, 2 transport or framing failed,
    /// 3 too few events.
    pub code: i32,
    /// Events that came out of the client's parser.
    pub n_events: usize,
    /// Events and orders that the client refused.
    pub n_invalid: usize,
    /// Everything the checker reported, in order.
    pub findings: Vec<Finding>,
    /// The checker's standard error: warnings of the client among it.
    pub warnings: String,
}

/// One line of the checker's report.
#[derive(Debug, Clone, Deserialize)]
pub struct Finding {
    /// `response`, `event`, `invalid`, `check`, `agent` or `failure`.
    pub kind: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// The event as the client's parser produced it.
    pub event: Option<Value>,
    /// Why it was refused.
    pub why: Option<String>,
    /// The messages that an agent holds at the end (kind `agent`).
    pub messages: Option<Value>,
    /// The state that an agent holds at the end (kind `agent`).
    pub state: Option<Value>,
}

// === impl AgUiVersion ===

impl AgUiVersion {
    /// Both generations.
    pub const ALL: [Self; 2] = [Self::V1_0, Self::V0_0_59];

    /// Returns the name of the folder with the client's packages.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::V1_0 => "agui-1.0",
            Self::V0_0_59 => "agui-0.0.59",
        }
    }
}

// === impl AgUiCheck ===

impl AgUiCheck {
    /// Finds the client for the test `name`, or says that the test is skipped.
    ///
    /// # Panics
    ///
    /// When it is missing and everything is required.
    #[must_use]
    pub fn find(name: &str, version: AgUiVersion) -> Option<Self> {
        let node = skip::require(name, "Node.js", skip::node())?;
        let what = format!(
            "the official client {} (`cargo xtask setup`)",
            version.folder()
        );
        let packages = skip::require(name, &what, skip::client_packages(version.folder()))?;
        Some(Self {
            node,
            packages,
            arguments: Vec::new(),
            reading_time: Duration::from_secs(15),
        })
    }

    /// Also checks the order of events; the stream has to start at RUN_STARTED.
    #[must_use]
    pub fn order(self) -> Self {
        self.argument("--order")
    }

    /// Also runs every stage of the receive pipeline (client 1.0 only).
    #[must_use]
    pub fn whole(self) -> Self {
        self.argument("--whole")
    }

    /// Stops reading after this many events.
    #[must_use]
    pub fn max(self, n_events: usize) -> Self {
        self.argument("--max").argument(&n_events.to_string())
    }

    /// Takes fewer events than this for a failure; without it, none at all is one.
    #[must_use]
    pub fn min(self, n_events: usize) -> Self {
        self.argument("--min").argument(&n_events.to_string())
    }

    /// Hands a file over in pieces of this many bytes.
    #[must_use]
    pub fn piece(self, n_bytes: usize) -> Self {
        self.argument("--piece").argument(&n_bytes.to_string())
    }

    /// Sends a header with the request.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.argument("--header")
            .argument(&format!("{name}: {value}"))
    }

    /// Stops reading after this time, which is no failure (15 s).
    #[must_use]
    pub fn reading_time(mut self, time: Duration) -> Self {
        self.reading_time = time;
        self
    }

    /// Reads a URL or a file: SSE text, or `.jsonl` with one event a line.
    ///
    /// # Errors
    ///
    /// When the checker cannot be run or prints no verdict. What it finds is in the verdict.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the checker.
    pub async fn read(&self, source: &str) -> io::Result<AgUiVerdict> {
        self.run(source, None).await
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// As [`AgUiCheck::read`].
    ///
    /// # Cancel safety
    ///
    /// As [`AgUiCheck::read`].
    pub async fn read_file(&self, file: &Path) -> io::Result<AgUiVerdict> {
        self.run(&file.display().to_string(), None).await
    }

    /// Reads the answer to a POST of JSON.
    ///
    /// # Errors
    ///
    /// As [`AgUiCheck::read`].
    ///
    /// # Cancel safety
    ///
    /// As [`AgUiCheck::read`].
    pub async fn post(&self, url: &str, body: &Value) -> io::Result<AgUiVerdict> {
        self.run(url, Some(body)).await
    }

    /// Lets an `HttpAgent` with the input's thread, messages and state run once against a URL; the
    /// verdict's finding `agent` has what it then holds.
    ///
    /// # Errors
    ///
    /// As [`AgUiCheck::read`].
    ///
    /// # Cancel safety
    ///
    /// As [`AgUiCheck::read`].
    pub async fn run_agent(&self, url: &str, input: &Value) -> io::Result<AgUiVerdict> {
        self.clone().argument("--agent").run(url, Some(input)).await
    }

    fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    async fn run(&self, source: &str, body: Option<&Value>) -> io::Result<AgUiVerdict> {
        let program = skip::workspace_root().join("tests/clients/agui-check.mjs");
        let mut command = Command::new(&self.node);
        command
            .arg(program)
            .arg("--packages")
            .arg(&self.packages)
            .arg("--json");
        command
            .arg("--seconds")
            .arg(self.reading_time.as_secs_f64().to_string());
        command.args(&self.arguments).arg(source);
        let folder = tempfile::tempdir()?;
        if let Some(body) = body {
            let file = folder.path().join("body.json");
            std::fs::write(&file, body.to_string())?;
            command.arg("--body").arg(file);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        // Node.js needs a while to start on a busy machine.
        let limit = self.reading_time + Duration::from_secs(30);
        let output = within("the official client", limit, command.output()).await?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
        verdict(output.status.code().unwrap_or(-1), &stdout, warnings)
    }
}

fn verdict(code: i32, stdout: &str, warnings: String) -> io::Result<AgUiVerdict> {
    let broken = || io::Error::other(format!("no verdict (code {code}): {stdout} {warnings}"));
    let mut lines: Vec<&str> = stdout.lines().collect();
    let (events, invalid) = lines
        .pop()
        .and_then(|line| line.split_once(", "))
        .ok_or_else(broken)?;
    let number = |text: &str, unit| text.strip_suffix(unit)?.parse::<usize>().ok();
    let n_events = number(events, " events").ok_or_else(broken)?;
    let n_invalid = number(invalid, " invalid").ok_or_else(broken)?;
    let findings = lines
        .iter()
        .map(|line| serde_json::from_str(line))
        .collect::<Result<Vec<Finding>, _>>()?;
    Ok(AgUiVerdict {
        code,
        n_events,
        n_invalid,
        findings,
        warnings,
    })
}

// === impl AgUiVerdict ===

impl AgUiVerdict {
    /// Whether the client accepted everything and lacked nothing.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.code == 0
    }

    /// Returns the types of the events, in order.
    #[must_use]
    pub fn types(&self) -> Vec<&str> {
        self.findings
            .iter()
            .filter(|finding| matches!(finding.kind.as_str(), "event" | "invalid"))
            .map(|finding| finding.event_type.as_deref().unwrap_or("?"))
            .collect()
    }

    /// Returns why the client refused something, one text for each refusal.
    #[must_use]
    pub fn refusals(&self) -> Vec<&str> {
        self.findings
            .iter()
            .filter_map(|finding| finding.why.as_deref())
            .collect()
    }

    /// Returns what an agent holds at the end.
    #[must_use]
    pub fn agent(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.kind == "agent")
    }
}
