//! A server as a process of its own, up when it has printed its ready line.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::cargo::cargo;
use crate::deadline::{PATIENCE, within};
use crate::hub::ids_of;
use crate::raw_client::post;
use crate::{skip, standstill};

/// What the ready line begins with; the address follows.
const READY: &str = "listening on http://";

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
    lines: Lines<BufReader<ChildStdout>>,
}

impl ServerProcess {
    /// Starts a program and waits for its ready line on standard output. Its standard error is
    /// the test's.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends early, or is not ready in time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the process.
    pub async fn start(
        program: impl AsRef<OsStr>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no standard output"))?;
        let mut lines = BufReader::new(output).lines();
        let address = within("the ready line", PATIENCE, async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix(READY) {
                    return address
                        .trim_end_matches('/')
                        .parse()
                        .map_err(io::Error::other);
                }
            }
            Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "ended before it was ready",
            ))
        })
        .await?;
        Ok(Self {
            child,
            address,
            lines,
        })
    }

    /// Starts `events` from this workspace, built as this test was.
    ///
    /// # Errors
    ///
    /// As [`ServerProcess::start`], and when it cannot be built.
    ///
    /// # Cancel safety
    ///
    /// As [`ServerProcess::start`].
    pub async fn events(arguments: &[&str], environment: &[(&str, &str)]) -> io::Result<Self> {
        Self::start(events_binary().await?, arguments, environment).await
    }

    /// Starts `events dev` on a free port and without a demo; `further` are its other options.
    ///
    /// # Errors
    ///
    /// As [`ServerProcess::events`].
    ///
    /// # Cancel safety
    ///
    /// As [`ServerProcess::start`].
    pub async fn dev(further: &[&str]) -> io::Result<Self> {
        let arguments = ["dev", "--no-demo", "--listen", "127.0.0.1:0"];
        Self::events(&[&arguments, further].concat(), &[]).await
    }

    /// Publishes events, one a line, to a stream of a user, and returns their ids.
    ///
    /// # Errors
    ///
    /// When the hub does not take them all.
    ///
    /// # Cancel safety
    ///
    /// They may be published or not.
    pub async fn publish(
        &self,
        stream: &str,
        user: &str,
        lines: &[String],
    ) -> io::Result<Vec<String>> {
        let path = format!("/publish/{stream}/{user}");
        let body = lines.join("\n");
        let answer = post(self.address, &path, "application/x-ndjson", body).await?;
        if answer.status() != 200 {
            return Err(io::Error::other(answer.text()));
        }
        Ok(ids_of(&answer.json()?))
    }

    /// Returns where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of a path (with its slash).
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Reads the next line of standard output; `None` at its end.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_line(&mut self, limit: Duration) -> io::Result<Option<String>> {
        within("a line of the server", limit, self.lines.next_line()).await
    }

    /// Sends a signal by its short name: `TERM`, `INT`, `STOP`, `CONT`, `KILL`.
    ///
    /// # Errors
    ///
    /// When the process has ended, or the signal has no such name.
    ///
    /// # Cancel safety
    ///
    /// The signal may or may not have been sent.
    pub async fn signal(&self, name: &str) -> io::Result<()> {
        let id = self
            .id()
            .ok_or_else(|| io::Error::other("the server has ended"))?;
        let kill = Command::new("kill")
            .args(["-s", name, &id.to_string()])
            .status();
        let status = within("the signal", PATIENCE, kill).await?;
        if !status.success() {
            return Err(io::Error::other(format!("kill: {status}")));
        }
        standstill::after_signal(name, id).await
    }

    /// Waits for the process to end.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        within("the server's end", limit, self.child.wait()).await
    }
}

/// Returns the path of the `events` program: `EVENTS_BIN`, or built now with the profile and in
/// the target folder of the running test (a moment when nothing has changed).
///
/// # Errors
///
/// When it cannot be built.
///
/// # Cancel safety
///
/// Dropping the future ends the build.
pub async fn events_binary() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os("EVENTS_BIN") {
        return Ok(PathBuf::from(path));
    }
    build(&["--package", "events-server", "--bin", "events"], "events").await
}

/// Builds a program of this workspace with the profile and in the target folder of the running test, and returns the
/// path of it, `name` in the profile's folder.
///
/// # Errors
///
/// When it cannot be built.
///
/// # Cancel safety
///
/// Dropping the future ends the build.
pub async fn build(what: &[&str], name: &str) -> io::Result<PathBuf> {
    // The test is TARGET/PROFILE/deps/NAME.
    let test = std::env::current_exe()?;
    let profile = test
        .ancestors()
        .nth(2)
        .ok_or_else(|| io::Error::other("no profile folder"))?;
    let target = profile
        .parent()
        .ok_or_else(|| io::Error::other("no target folder"))?;
    let is_release = profile.file_name() == Some(OsStr::new("release"));
    let mut command = cargo();
    command.args(["build", "--quiet"]).args(what);
    command
        .args(is_release.then_some("--release"))
        .arg("--target-dir")
        .arg(target);
    command
        .current_dir(skip::workspace_root())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let limit = Duration::from_secs(900);
    let status = within("a build", limit, command.status()).await?;
    if !status.success() {
        return Err(io::Error::other(format!(
            "cargo build of `{name}`: {status}"
        )));
    }
    Ok(profile.join(name))
}
