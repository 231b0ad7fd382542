//! A reader with a hub, a shell, and the languages of the documents.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use events_tests::cargo::cargo;
use events_tests::deadline::within;
use events_tests::devtools::DrivenPage;
use events_tests::server_process::{ServerProcess, events_binary};
use events_tests::skip::{client_packages, client_python, node, program, require, workspace_root};
use events_tests::terminal::Terminal;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::interval;

use super::blocks::{Block, commands};

/// What the documents have as the address of the hub.
const WRITTEN: &str = "127.0.0.1:4000";

/// How long a reader waits to see what is promised. The demo begins a run every few seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// The import of the client that the hub itself serves: a program that has it runs in a page of the hub.
const OWN_CLIENT: &str = "import { connect } from \"/events.js\";";

const TOP_SIZE: (u16, u16) = (80, 24);

/// What stands in for cargo: the program is built already.
const CARGO: &str =
    "#!/bin/sh\n[ \"$1 $2 $3\" = 'run --release --' ] || exit 2\nshift 3\nexec events \"$@\"\n";

/// A reader, and the hub of the first command.
pub(super) struct Reader {
    name: &'static str,
    hub: ServerProcess,
    folder: TempDir,
    path: OsString,
}

impl Reader {
    pub(super) async fn start(name: &'static str) -> io::Result<Self> {
        let hub = ServerProcess::events(&["dev", "--listen", "127.0.0.1:0"], &[]).await?;
        let folder = tempfile::tempdir()?;
        let programs = folder.path().join("programs");
        fs::create_dir(&programs)?;
        symlink(events_binary().await?, programs.join("events"))?;
        let cargo = programs.join("cargo");
        fs::write(&cargo, CARGO)?;
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755))?;
        let usual = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(programs).chain(std::env::split_paths(&usual));
        let path = std::env::join_paths(path).map_err(io::Error::other)?;
        Ok(Self {
            name,
            hub,
            folder,
            path,
        })
    }

    /// The command of a block that draws on a terminal, if it has one.
    pub(super) fn top_of(block: &Block<'_>) -> Option<String> {
        let mut commands = commands(block.text).into_iter();
        commands.find(|command| command.ends_with("-- top"))
    }

    /// Runs a block until what it has printed is enough, and ends all that it has started.
    pub(super) async fn run(
        &self,
        place: &str,
        block: &Block<'_>,
        is_enough: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        if block.text.contains(OWN_CLIENT) {
            return self.in_browser(place, block.text, is_enough).await;
        }
        let command = match block.language {
            "rust" => {
                let mut command = Command::new(example("events-client", "hello").await?);
                command.arg(self.hub.url(""));
                Some(command)
            }
            _ => self.command(block)?,
        };
        let Some(mut command) = command else {
            return Ok(());
        };
        let mut child = command
            .current_dir(self.folder.path())
            .env("PATH", &self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A group of its own: what runs in its background is ended with it.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut output = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no pipe"))?;
        let mut printed = String::new();
        let read = within(place, LIMIT, async {
            let mut piece = [0; 4096];
            while !is_enough(&printed) {
                let n = output.read(&mut piece).await?;
                if n == 0 {
                    return Err(io::Error::other(format!("{place} ended too early")));
                }
                printed += &String::from_utf8_lossy(&piece[..n]);
            }
            Ok(())
        })
        .await;
        if let Some(id) = child.id() {
            let group = format!("-{id}");
            // It may have ended by itself.
            let _gone = std::process::Command::new("kill")
                .args(["-KILL", "--", &group])
                .stderr(Stdio::null())
                .status();
        }
        read.map_err(|error| io::Error::other(format!("{error}; it printed\n{printed}")))
    }

    /// Runs a program in a page of the hub until what it has logged is enough.
    async fn in_browser(
        &self,
        place: &str,
        text: &str,
        is_enough: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let Some(mut page) = DrivenPage::open(self.name, &self.hub.url("/")).await? else {
            return Ok(());
        };
        page.wait_until("location.protocol === 'http:' && document.readyState === 'complete'")
            .await?;
        let text = text.replace(
            OWN_CLIENT,
            "const { connect } = await import('/events.js');",
        );
        let program = format!(
            "window.logged = []; console.log = (...words) => {{ logged.push(words.join(' ')); }}; \
             (async () => {{ {text} }})(); true"
        );
        page.evaluate(&program).await?;
        let mut ticks = interval(Duration::from_millis(50));
        within(place, LIMIT, async {
            loop {
                let logged = page.evaluate("logged.join('\\n')").await?;
                if logged.as_str().is_some_and(&is_enough) {
                    return Ok(());
                }
                ticks.tick().await;
            }
        })
        .await
    }

    /// Runs a command in a terminal until the screen is as shown.
    pub(super) async fn screen(
        &self,
        place: &str,
        command: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        if require(self.name, "tmux", program("tmux")).is_none() {
            return Ok(());
        }
        let path = self.path.to_string_lossy();
        let url = self.hub.url("");
        let command = format!("PATH='{path}' {command} --url {url}; read stay");
        let mut terminal = Terminal::start(&command, TOP_SIZE).await?;
        terminal.wait_for(place, is_wanted).await.map(drop)
    }

    /// The command that runs a block; `None` when what it needs is not there, and not required.
    fn command(&self, block: &Block<'_>) -> io::Result<Option<Command>> {
        let text = block.text.replace(WRITTEN, &self.hub.address().to_string());
        let file = self.folder.path().join("block");
        let with_file = |program: &Path, extension: &str| {
            let file = file.with_extension(extension);
            fs::write(&file, &text)?;
            let mut command = Command::new(program);
            command.arg(&file);
            Ok(Some(command))
        };
        match block.language {
            "sh" => {
                let mut command = Command::new("sh");
                command.arg("-c").arg(self.script(&text));
                Ok(Some(command))
            }
            "python" => {
                let is_plain = !text.contains("a2a.client");
                let python = if is_plain {
                    program("python3")
                } else {
                    client_python("a2a-py")
                };
                let Some(python) = require(self.name, "Python", python) else {
                    return Ok(None);
                };
                with_file(&python, "py")
            }
            "js" => {
                let Some(node) = require(self.name, "Node.js", node()) else {
                    return Ok(None);
                };
                if text.contains("@ag-ui/client") {
                    let Some(packages) =
                        require(self.name, "agui-1.0", client_packages("agui-1.0"))
                    else {
                        return Ok(None);
                    };
                    let here = self.folder.path().join("node_modules");
                    if !here.exists() {
                        symlink(packages.join("node_modules"), here)?;
                    }
                }
                with_file(&node, "mjs")
            }
            other => Err(io::Error::other(format!("nothing runs '{other}'"))),
        }
    }

    /// The commands of a block, in one shell: what does not end by itself in the background, what is run otherwise not.
    fn script(&self, text: &str) -> String {
        let address = self.hub.address().to_string();
        let mut script = String::new();
        for command in commands(text) {
            // The hub of the documents is there, and the screen is drawn apart.
            if command == "cargo run --release" || command.ends_with("-- top") {
                continue;
            }
            let is_hub = command.starts_with("events dev") || command == "events serve";
            let stays = command.starts_with("curl -N") || is_hub;
            let is_behind = command.ends_with('&');
            let command = match command.as_str() {
                hub if is_hub => format!("{hub} --listen 127.0.0.1:0"),
                other if other.starts_with("events bench") => {
                    format!("{other} --url http://{address}")
                }
                other => other.to_owned(),
            };
            script += &command;
            script += if stays && !is_behind { " &\n" } else { "\n" };
        }
        script + "wait\n"
    }
}

/// Returns the program of an example, built as this test was: `cargo test --workspace` has made it already.
async fn example(package: &str, name: &str) -> io::Result<PathBuf> {
    // The test is TARGET/PROFILE/deps/NAME.
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2).map(Path::to_owned);
    let profile = profile.ok_or_else(|| io::Error::other("no profile folder"))?;
    let built = profile.join("examples").join(name);
    let source = workspace_root().join(format!("crates/{package}/examples/{name}.rs"));
    let written = fs::metadata(source)?.modified()?;
    let is_new = fs::metadata(&built).and_then(|built| built.modified());
    if is_new.is_ok_and(|built| built > written) {
        return Ok(built);
    }
    let mut cargo = cargo();
    cargo
        .args(["build", "--quiet", "-p", package, "--example", name])
        .args(profile.ends_with("release").then_some("--release"))
        .arg("--target-dir")
        .arg(profile.parent().unwrap_or(&profile))
        .current_dir(workspace_root())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let status = within("the example", Duration::from_secs(900), cargo.status()).await?;
    if !status.success() {
        return Err(io::Error::other(format!("cargo build of {name}: {status}")));
    }
    Ok(built)
}
