//! A terminal with a program in it, by tmux: what a person would see, and keys as a person would press them.

use std::io;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::deadline::{PATIENCE, within};

/// A terminal of its own tmux server; dropping it ends both.
#[derive(Debug)]
pub struct Terminal {
    server: String,
    _control: Child,
    commands: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
}

impl Terminal {
    /// Runs a command of the shell in a terminal of this size.
    ///
    /// # Errors
    ///
    /// When tmux cannot be started or does not answer.
    ///
    /// # Cancel safety
    ///
    /// The server may be left behind.
    pub async fn start(command: &str, (columns, lines): (u16, u16)) -> io::Result<Self> {
        let server = format!("events-{:016x}", fastrand::u64(..));
        let size = [columns, lines].map(|size| size.to_string());
        let new = ["new-session", "-d", "-x", &size[0], "-y", &size[1], command];
        let status = within("tmux", PATIENCE, tmux(&server).args(new).status()).await?;
        if !status.success() {
            return Err(io::Error::other(format!("tmux: {status}")));
        }
        let mut control = tmux(&server)
            .args(["-C", "attach"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("no pipe");
        let commands = control.stdin.take().ok_or_else(missing)?;
        let replies = BufReader::new(control.stdout.take().ok_or_else(missing)?).lines();
        let mut terminal = Self {
            server,
            _control: control,
            commands,
            replies,
        };
        // The answer to the attaching.
        within("tmux to attach", PATIENCE, terminal.reply()).await?;
        Ok(terminal)
    }

    /// Reads up to the end of the next answer, and returns its lines.
    async fn reply(&mut self) -> io::Result<Vec<String>> {
        let mut lines = None;
        loop {
            let line = self.line().await?;
            if line.starts_with("%begin ") {
                lines = Some(Vec::new());
            } else if line.starts_with("%end ") {
                return Ok(lines.unwrap_or_default());
            } else if line.starts_with("%error ") {
                let text = lines.unwrap_or_default().join(" ");
                return Err(io::Error::other(format!("tmux: {text}")));
            } else if let Some(lines) = &mut lines {
                lines.push(line);
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let line = self.replies.next_line().await?;
        line.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the terminal is gone"))
    }

    async fn command(&mut self, command: &str) -> io::Result<Vec<String>> {
        let line = format!("{command}\n");
        within("tmux", PATIENCE, async {
            self.commands.write_all(line.as_bytes()).await?;
            self.reply().await
        })
        .await
    }

    /// Presses keys, by their names in tmux: `q`, `Escape`, `Enter`, `C-c`.
    ///
    /// # Errors
    ///
    /// When tmux does not know a key or does not answer.
    ///
    /// # Cancel safety
    ///
    /// The keys may or may not have been pressed.
    pub async fn press(&mut self, keys: &str) -> io::Result<()> {
        self.command(&format!("send-keys {keys}")).await.map(drop)
    }

    /// Gives the terminal another size.
    ///
    /// # Errors
    ///
    /// When tmux does not answer.
    ///
    /// # Cancel safety
    ///
    /// The size may or may not have changed.
    pub async fn resize(&mut self, (columns, lines): (u16, u16)) -> io::Result<()> {
        let command = format!("resize-window -x {columns} -y {lines}");
        self.command(&command).await.map(drop)
    }

    /// Returns what is on the screen; with `has_styles` also the sequences for colours.
    ///
    /// # Errors
    ///
    /// When tmux does not answer.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn screen(&mut self, has_styles: bool) -> io::Result<String> {
        let styles = if has_styles { "-e " } else { "" };
        let lines = self.command(&format!("capture-pane {styles}-p")).await?;
        Ok(lines.join("\n"))
    }

    /// Waits until the screen is as wanted, and returns it.
    ///
    /// # Errors
    ///
    /// `TimedOut` with the last screen.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_for(
        &mut self,
        what: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<String> {
        let mut last = String::new();
        let waiting = within(what, PATIENCE, async {
            loop {
                last = self.screen(false).await?;
                if is_wanted(&last) {
                    return Ok(());
                }
                // Until the program has drawn something.
                while !self.line().await?.starts_with("%output ") {}
            }
        });
        match waiting.await {
            Ok(()) => Ok(last),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("{error}; the screen is\n{last}"),
            )),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = std::process::Command::new("tmux")
            .args(["-L", &self.server, "kill-server"])
            .stderr(Stdio::null())
            .status();
    }
}

/// A call of tmux, with a server of its own and nobody's configuration.
fn tmux(server: &str) -> Command {
    let mut command = Command::new("tmux");
    command
        .args(["-u", "-L", server, "-f", "/dev/null"])
        .env("LC_ALL", "C.UTF-8")
        .env_remove("TMUX");
    command
}
