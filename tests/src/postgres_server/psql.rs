//! SQL by `psql` and `pgbench`: clients that share no code with ours.

use std::{
    fs, io,
    os::unix::fs::chown,
    process::{Command, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{ChildStdin, ChildStdout},
};

use super::{PostgresServer, processes::run};
use crate::deadline::{PATIENCE, within};

impl PostgresServer {
    /// Runs SQL with `psql` and returns what it prints: unaligned rows.
    ///
    /// # Errors
    ///
    /// When it fails; the text is what `psql` says.
    ///
    /// # Cancel safety
    ///
    /// The statements may or may not be carried out.
    pub async fn psql(&self, role: &str, sql: &str) -> io::Result<String> {
        let mut psql = self.psql_command(role);
        run(psql.args(["-c", sql])).await
    }

    /// Runs a script with `pgbench` and returns what it prints, and its log of transactions.
    ///
    /// # Errors
    ///
    /// When it fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the run.
    pub async fn pgbench(&self, words: &[&str], script: &str) -> io::Result<(String, String)> {
        self.write("script.sql", script)?;
        let logs = tempfile::tempdir_in(self.folder.path())?;
        if let Some(user) = self.user {
            chown(logs.path(), Some(user.uid), Some(user.gid))?;
        }
        let mut pgbench = self.command("pgbench");
        pgbench
            .current_dir(logs.path())
            .args(words)
            .arg("-f")
            .arg(self.path("script.sql"));
        let output = run(pgbench.arg(self.url("postgres"))).await?;
        let mut log = String::new();
        for file in fs::read_dir(logs.path())? {
            log.push_str(&fs::read_to_string(file?.path())?);
        }
        Ok((output, log))
    }

    fn psql_command(&self, role: &str) -> Command {
        let mut command = self.command("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            "VERBOSITY=verbose",
        ]);
        command.arg(self.url(role));
        command
    }

    /// Begins a session of `psql`, for transactions that stay open.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn session(&self, role: &str) -> io::Result<PsqlSession> {
        let mut command: tokio::process::Command = self.psql_command(role).into();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("psql has no input or output"));
        };
        Ok(PsqlSession {
            input,
            lines: BufReader::new(output).lines(),
            _child: child,
        })
    }
}

/// A session of `psql`. Dropping it ends it, and rolls an open transaction back.
#[derive(Debug)]
pub struct PsqlSession {
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: tokio::process::Child,
}

impl PsqlSession {
    /// Sends statements without waiting for them.
    ///
    /// # Errors
    ///
    /// When the session has ended.
    ///
    /// # Cancel safety
    ///
    /// They may have been sent in part.
    pub async fn send(&mut self, sql: &str) -> io::Result<()> {
        let text = format!("{sql}\n\\echo --done--\n");
        self.input.write_all(text.as_bytes()).await?;
        self.input.flush().await
    }

    /// Waits for the end of what was sent and returns its rows.
    ///
    /// # Errors
    ///
    /// When the session has ended, as it does at an error, or after twenty seconds.
    ///
    /// # Cancel safety
    ///
    /// Lines that were read are lost.
    pub async fn rows(&mut self) -> io::Result<Vec<String>> {
        within("psql", PATIENCE, async {
            let mut rows = Vec::new();
            while let Some(line) = self.lines.next_line().await? {
                if line == "--done--" {
                    return Ok(rows);
                }
                rows.push(line);
            }
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))
        })
        .await
    }

    /// Sends statements and returns their rows.
    ///
    /// # Errors
    ///
    /// As [`PsqlSession::rows`].
    ///
    /// # Cancel safety
    ///
    /// The statements may or may not be carried out.
    pub async fn run(&mut self, sql: &str) -> io::Result<Vec<String>> {
        self.send(sql).await?;
        self.rows().await
    }
}
