//! A headless browser that is driven from the test, for pages that cannot report by themselves.
//!
//! The DevTools protocol goes over a pair of pipes, as JSON with a zero byte behind each message.

use std::io;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::browser::{FLAGS, end_group};
use crate::deadline::{PATIENCE, within};
use crate::skip;

/// The browser reads commands on descriptor 3 and answers on 4; what it prints itself is not wanted there.
const WITH_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#;

/// A page in a browser of its own; dropping it ends the browser with all its processes.
#[derive(Debug)]
pub struct DrivenPage {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    n_commands: u64,
    /// The tabs, by their sessions.
    sessions: Vec<String>,
    /// What the browser calls the tabs.
    targets: Vec<Value>,
    /// Which of them is driven; none before the first is open.
    current: usize,
    _profile: TempDir,
}

impl DrivenPage {
    /// Finds a browser for the test `name` and opens a page, or says that the test is skipped.
    ///
    /// # Errors
    ///
    /// When the browser cannot be started, or does not answer in time.
    ///
    /// # Panics
    ///
    /// When there is none and everything is required; outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the browser.
    pub async fn open(name: &str, url: &str) -> io::Result<Option<Self>> {
        let Some(program) = skip::require(name, "Chromium", skip::chromium()) else {
            return Ok(None);
        };
        let mut page = Self::start(&program)?;
        page.open_tab(url).await?;
        Ok(Some(page))
    }

    /// Opens another page in the same browser, and drives it from now on; returns its number, counted from 0 in the
    /// order of opening.
    ///
    /// # Errors
    ///
    /// When the browser does not answer in time.
    ///
    /// # Cancel safety
    ///
    /// The page may be open or not; the handle must not be used further.
    pub async fn open_tab(&mut self, url: &str) -> io::Result<usize> {
        let blank = json!({ "url": "about:blank" });
        let target = self.command_to(None, "Target.createTarget", blank).await?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self
            .command_to(None, "Target.attachToTarget", attach)
            .await?;
        let session = attached["sessionId"].as_str().map(str::to_owned);
        self.sessions
            .push(session.ok_or_else(|| io::Error::other("no session"))?);
        self.targets.push(target["targetId"].clone());
        self.current = self.sessions.len() - 1;
        self.command("Page.navigate", json!({ "url": url })).await?;
        Ok(self.current)
    }

    /// Drives another of the open pages from now on.
    ///
    /// # Panics
    ///
    /// When so many are not open.
    pub fn turn_to(&mut self, tab: usize) {
        assert!(tab < self.sessions.len(), "no tab {tab}");
        self.current = tab;
    }

    /// Closes one of the open pages, as a person does. It must not be driven further.
    ///
    /// # Errors
    ///
    /// When the browser does not answer in time.
    ///
    /// # Panics
    ///
    /// When so many are not open.
    ///
    /// # Cancel safety
    ///
    /// It may be closed or not; the handle must not be used further.
    pub async fn close_tab(&mut self, tab: usize) -> io::Result<()> {
        let target = json!({ "targetId": self.targets[tab] });
        self.command_to(None, "Target.closeTarget", target)
            .await
            .map(drop)
    }

    /// Has the process of one of the open pages crash. It must not be driven further.
    ///
    /// # Errors
    ///
    /// When the browser has ended.
    ///
    /// # Panics
    ///
    /// When so many are not open.
    ///
    /// # Cancel safety
    ///
    /// It may have crashed or not; the handle must not be used further.
    pub async fn crash_tab(&mut self, tab: usize) -> io::Result<()> {
        let session = self.sessions[tab].clone();
        // What crashes does not answer.
        self.send(Some(session), "Page.crash", json!({})).await?;
        Ok(())
    }

    fn start(program: &Path) -> io::Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut child = Command::new("sh")
            .args(["-c", WITH_PIPES])
            .arg(program)
            .args(FLAGS)
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (commands, answers) = pipes.ok_or_else(|| io::Error::other("no pipes"))?;
        Ok(Self {
            child,
            commands,
            answers: BufReader::new(answers),
            n_commands: 0,
            sessions: Vec::new(),
            targets: Vec::new(),
            current: 0,
            _profile: profile,
        })
    }

    /// Waits until an expression is true in the page; it is tried again with every 20 ms.
    ///
    /// # Errors
    ///
    /// When it is not true in time: with the page's text.
    ///
    /// # Cancel safety
    ///
    /// The page goes on trying; the handle must not be used further.
    pub async fn wait_until(&mut self, expression: &str) -> io::Result<()> {
        let limit = PATIENCE.as_millis() / 2;
        let waiting = format!(
            "new Promise((done) => {{ const end = Date.now() + {limit}; const look = () => {{ \
             let is_true = false; try {{ is_true = Boolean({expression}); }} catch {{}} \
             if (is_true || Date.now() > end) done(is_true); else setTimeout(look, 20); }}; look(); }})"
        );
        if self.evaluate(&waiting).await? == Value::Bool(true) {
            return Ok(());
        }
        let text = self
            .evaluate("location.href + '\\n' + document.body?.innerText")
            .await?;
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("never true: {expression}\n{}", text.as_str().unwrap_or("")),
        ))
    }

    /// Evaluates an expression in the page, waits for it if it is a promise, and returns its value.
    ///
    /// # Errors
    ///
    /// When it throws, or the browser does not answer in time.
    ///
    /// # Cancel safety
    ///
    /// It may have been evaluated; the handle must not be used further.
    pub async fn evaluate(&mut self, expression: &str) -> io::Result<Value> {
        let parameters =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.command("Runtime.evaluate", parameters).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            return Err(io::Error::other(format!("{expression}: {thrown}")));
        }
        Ok(answer["result"]["value"].take())
    }

    /// Sends a command of the protocol and returns its result.
    ///
    /// # Errors
    ///
    /// When the browser refuses it, or does not answer in time.
    ///
    /// # Cancel safety
    ///
    /// It may have been sent in part; the handle must not be used further.
    pub async fn command(&mut self, method: &str, parameters: Value) -> io::Result<Value> {
        let session = self.sessions.get(self.current).cloned();
        self.command_to(session, method, parameters).await
    }

    async fn command_to(
        &mut self,
        session: Option<String>,
        method: &str,
        parameters: Value,
    ) -> io::Result<Value> {
        within(method, PATIENCE, async {
            let id = self.send(session, method, parameters).await?;
            loop {
                let mut bytes = Vec::new();
                self.answers.read_until(0, &mut bytes).await?;
                if bytes.pop() != Some(0) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let mut message: Value = serde_json::from_slice(&bytes)?;
                if message["id"] != id {
                    continue;
                }
                if let Some(error) = message.get("error") {
                    return Err(io::Error::other(error.to_string()));
                }
                return Ok(message["result"].take());
            }
        })
        .await
    }
}

impl DrivenPage {
    /// Sends a command and returns its number.
    async fn send(
        &mut self,
        session: Option<String>,
        method: &str,
        parameters: Value,
    ) -> io::Result<u64> {
        self.n_commands += 1;
        let id = self.n_commands;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).await?;
        Ok(id)
    }
}

impl Drop for DrivenPage {
    fn drop(&mut self) {
        end_group(&self.child);
    }
}
