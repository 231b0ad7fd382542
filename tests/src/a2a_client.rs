//! The official A2A clients, run from `tests/clients/a2a-follow.py` and `.mjs`: each follows many tasks at once.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::deadline::within;
use crate::skip;

/// How long a client may take for all its tasks.
const LIMIT: Duration = Duration::from_secs(120);

/// An official client.
#[derive(Debug, Clone)]
pub struct A2AClient {
    /// Its name in reports.
    pub name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
}

/// A task to follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Followed {
    /// The address of the agent, to which the path of the card is joined.
    pub base: String,
    /// The task.
    pub task: String,
    /// The binding: `JSONRPC` or `HTTP+JSON`.
    pub binding: &'static str,
    /// The version: `1.0` or `0.3`.
    pub version: &'static str,
}

/// What a client made of a task.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Outcome {
    /// The kinds of the events, in their order, in the client's own words.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The state at the end, such as `TASK_STATE_COMPLETED`.
    pub state: Option<String>,
    /// Whether what the events lead to is the task that the server returns after them.
    #[serde(default)]
    pub same: bool,
    /// The name of the error that the client raised.
    pub error: Option<String>,
    /// What the error says, or what is not the same.
    #[serde(default)]
    pub detail: Value,
}

#[derive(Debug, Deserialize)]
struct Line {
    job: usize,
    at: String,
    #[serde(flatten)]
    outcome: Outcome,
}

impl A2AClient {
    /// Finds the Python client for the test `name`, or says that the test is skipped.
    ///
    /// # Panics
    ///
    /// When it is missing and everything is required.
    #[must_use]
    pub fn python(name: &str) -> Option<Self> {
        let what = "the official A2A client for Python (`cargo xtask setup`)";
        let program = skip::require(name, what, skip::client_python("a2a-py"))?;
        Some(Self {
            name: "python",
            program,
            arguments: vec![script("a2a-follow.py")],
        })
    }

    /// Finds the JavaScript client for the test `name`, or says that the test is skipped.
    ///
    /// # Panics
    ///
    /// As [`A2AClient::python`].
    #[must_use]
    pub fn javascript(name: &str) -> Option<Self> {
        let program = skip::require(name, "Node.js", skip::node())?;
        let what = "the official A2A client for JavaScript (`cargo xtask setup`)";
        let packages = skip::require(name, what, skip::client_packages("a2a-js"))?;
        Some(Self {
            name: "javascript",
            program,
            arguments: vec![
                script("a2a-follow.mjs"),
                "--packages".to_owned(),
                packages.display().to_string(),
            ],
        })
    }

    /// Finds both.
    ///
    /// # Panics
    ///
    /// As [`A2AClient::python`].
    #[must_use]
    pub fn all(name: &str) -> Vec<Self> {
        [Self::python(name), Self::javascript(name)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Follows all tasks at once; `attached` is called with the place of each whose first event has come.
    ///
    /// # Errors
    ///
    /// The client cannot be run, takes too long, or does not say what became of a task; and what `attached` fails with.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the client.
    pub async fn follow(
        &self,
        tasks: &[Followed],
        mut attached: impl AsyncFnMut(usize) -> io::Result<()>,
    ) -> io::Result<Vec<Outcome>> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines: Vec<String> = tasks
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(lines.join("\n").as_bytes()).await?;
        }
        let broken = || io::Error::other(format!("{}: no output", self.name));
        let mut output = BufReader::new(child.stdout.take().ok_or_else(broken)?).lines();
        let mut outcomes = vec![None; tasks.len()];
        within("the official A2A client", LIMIT, async {
            while let Some(text) = output.next_line().await? {
                let line: Line = serde_json::from_str(&text)?;
                match line.at.as_str() {
                    "first" => attached(line.job).await?,
                    _ => outcomes[line.job] = Some(line.outcome),
                }
            }
            Ok(())
        })
        .await?;
        let silent = || io::Error::other(format!("{}: a task without an outcome", self.name));
        outcomes
            .into_iter()
            .map(|outcome| outcome.ok_or_else(silent))
            .collect()
    }
}

fn script(name: &str) -> String {
    let path = skip::workspace_root().join("tests/clients").join(name);
    path.display().to_string()
}
