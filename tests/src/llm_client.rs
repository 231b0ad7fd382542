//! The official clients of providers of language models, run from `tests/clients/llm-ask.py` and `.mjs`.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::deadline::within;
use crate::skip;

/// How long a client may take for all its questions.
const LIMIT: Duration = Duration::from_secs(120);

/// An official client.
#[derive(Debug, Clone)]
pub struct LlmClient {
    /// Its name in reports.
    pub name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The address of the provider, or of the gateway before it.
    pub base: String,
    /// `anthropic`, `chat` or `responses`.
    pub api: &'static str,
    /// The model, which says what is played.
    pub model: String,
    /// Whether a stream is asked for.
    pub stream: bool,
}

impl LlmClient {
    /// Finds the clients for the test `name`; says which are missing.
    ///
    /// # Panics
    ///
    /// When one is missing and everything is required.
    #[must_use]
    pub fn all(name: &str) -> Vec<Self> {
        [Self::python(name), Self::javascript(name)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn python(name: &str) -> Option<Self> {
        let what = "the official clients of Anthropic and OpenAI for Python (`cargo xtask setup`)";
        let program = skip::require(name, what, skip::client_python("llm-py"))?;
        Some(Self {
            name: "python",
            program,
            arguments: vec![script("llm-ask.py")],
        })
    }

    fn javascript(name: &str) -> Option<Self> {
        let program = skip::require(name, "Node.js", skip::node())?;
        let what =
            "the official clients of Anthropic and OpenAI for JavaScript (`cargo xtask setup`)";
        let packages = skip::require(name, what, skip::client_packages("llm-js"))?;
        Some(Self {
            name: "javascript",
            program,
            arguments: vec![
                script("llm-ask.mjs"),
                "--packages".to_owned(),
                packages.display().to_string(),
            ],
        })
    }

    /// Asks all questions, one after the other, and returns what the client made of each.
    ///
    /// # Errors
    ///
    /// The client cannot be run, takes too long, or does not say what became of a question.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the client.
    pub async fn ask(&self, questions: &[Question]) -> io::Result<Vec<Value>> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines: Vec<String> = questions
            .iter()
            .map(serde_json::to_string)
            .collect::<Result<_, _>>()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(lines.join("\n").as_bytes()).await?;
        }
        let output = within("the official client", LIMIT, child.wait_with_output()).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let outcomes: Vec<Value> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        if outcomes.len() == questions.len() {
            Ok(outcomes)
        } else {
            Err(io::Error::other(format!(
                "{}: not all is answered: {text}",
                self.name
            )))
        }
    }
}

fn script(name: &str) -> String {
    let path = skip::workspace_root().join("tests/clients").join(name);
    path.display().to_string()
}
