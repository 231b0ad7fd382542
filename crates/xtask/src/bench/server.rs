//! Servers as processes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::nchan;

/// A server that a load is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Floor,
    FloorBatch,
    Plain,
    PlainTwo,
    Broadcaster,
    Hub,
    HubBody,
    HubAxum,
    HubTwo,
    Nchan,
}

impl Server {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::FloorBatch => "floor, one write a request",
            Self::Plain => "plain axum",
            Self::PlainTwo => "plain axum, two threads",
            Self::Broadcaster => "events, its broadcaster alone",
            Self::Hub => "events",
            Self::HubBody => "events, through hyper",
            Self::HubAxum => "events, under axum::serve",
            Self::HubTwo => "events, two threads",
            Self::Nchan => "nchan",
        }
    }

    /// Its command line of the servers in `tests/benches/servers`.
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Floor => &["floor"],
            Self::FloorBatch => &["floor", "--batch"],
            Self::Plain => &["plain"],
            Self::PlainTwo => &["plain", "--workers", "2"],
            Self::Broadcaster => &["broadcaster"],
            Self::Hub => &["hub"],
            Self::HubBody => &["hub", "--take-over", "false"],
            Self::HubAxum => &["hub", "--serve", "axum"],
            Self::HubTwo => &["hub", "--workers", "2"],
            Self::Nchan => &[],
        }
    }
}

/// The first processor is the server's, the second the load generator's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pins;

/// What is run.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) events: PathBuf,
    pub(super) servers: PathBuf,
    /// The module of nginx.
    pub(super) nchan: Option<PathBuf>,
    /// Where logs and configurations are written.
    pub(super) folder: PathBuf,
}

/// A server that accepts connections; it is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pub(super) url: String,
}

/// How long a server may take to start, and to end.
const START: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);

/// Descriptors of a process, where the system allows so many.
const OPEN_FILES: u32 = 20_000;

/// Starts a server and waits until it accepts connections.
///
/// # Errors
///
/// One line that names the server, and what it said.
pub(super) fn start(
    programs: &Programs,
    server: Server,
    pins: Option<Pins>,
) -> Result<Running, String> {
    if let (Server::Nchan, Some(module)) = (server, &programs.nchan) {
        let (folder, port) = nchan::configure(&programs.folder, module)?;
        let words = [
            "nginx".to_owned(),
            "-p".to_owned(),
            folder.display().to_string(),
            "-c".to_owned(),
            folder.join("nginx.conf").display().to_string(),
        ];
        let mut running = spawn(programs, server, pins, &words)?;
        running.url = format!("http://127.0.0.1:{port}");
        wait_for(&mut running, |_| nchan::is_listening(port))
            .map_err(|why| failed(programs, server, &why))?;
        return Ok(running);
    }
    let mut words = vec![programs.servers.display().to_string()];
    words.extend(server.arguments().iter().map(|word| (*word).to_owned()));
    words.extend(["--listen".to_owned(), "127.0.0.1:0".to_owned()]);
    start_words(programs, server, pins, &words)
}

/// Starts a program that prints a ready line.
pub(super) fn start_words(
    programs: &Programs,
    server: Server,
    pins: Option<Pins>,
    words: &[String],
) -> Result<Running, String> {
    let mut running = spawn(programs, server, pins, words)?;
    let (sender, lines) = mpsc::channel();
    if let Some(output) = running.child.stdout.take() {
        // It ends with the server's output.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Only the first line is waited for.
                let _waited_for = sender.send(line);
            }
        });
    }
    let ready = wait_for(&mut running, |running| {
        let line = lines.try_recv().unwrap_or_default();
        if let Some((_, address)) = line.split_once("listening on ") {
            running.url = address.trim().to_owned();
        }
        !running.url.is_empty()
    });
    ready.map_err(|why| failed(programs, server, &why))?;
    Ok(running)
}

/// Makes the command of a program with enough descriptors, on its processor.
pub(super) fn command(words: &[String], processor: Option<u8>) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {OPEN_FILES} 2>/dev/null; exec \"$@\"");
    command.args(["-c", &script, "sh"]);
    if let Some(processor) = processor {
        command.args(["taskset", "-c", &processor.to_string()]);
    }
    command.args(words);
    command
}

fn spawn(
    programs: &Programs,
    server: Server,
    pins: Option<Pins>,
    words: &[String],
) -> Result<Running, String> {
    let log = log_path(programs, server);
    let errors = File::create(&log).map_err(|error| super::cannot("write", &log, &error))?;
    let child = command(words, pins.map(|_| 0))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("{}: cannot be started: {error}", server.name()))?;
    Ok(Running {
        child,
        url: String::new(),
    })
}

fn log_path(programs: &Programs, server: Server) -> PathBuf {
    let name: String = server
        .name()
        .chars()
        .map(|sign| if sign.is_alphanumeric() { sign } else { '-' })
        .collect();
    programs.folder.join(format!("{name}.log"))
}

fn failed(programs: &Programs, server: Server, why: &str) -> String {
    let said = fs::read_to_string(log_path(programs, server)).unwrap_or_default();
    let said = said.lines().find(|line| !line.trim().is_empty());
    let said = said.map_or_else(String::new, |line| format!(": {line}"));
    format!("the server '{}' {why}{said}", server.name())
}

fn wait_for(
    running: &mut Running,
    mut is_ready: impl FnMut(&mut Running) -> bool,
) -> Result<(), String> {
    let begin = Instant::now();
    loop {
        if is_ready(running) {
            return Ok(());
        }
        if let Ok(Some(status)) = running.child.try_wait() {
            return Err(format!("ended with {status}"));
        }
        if begin.elapsed() > START {
            return Err(format!("did not start within {} s", START.as_secs()));
        }
        thread::sleep(TICK);
    }
}

impl Running {
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    /// Asks the process to end, by its id, since nginx takes its workers with it only then; and ends it if it does not.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        let begin = Instant::now();
        while asked.is_ok() && begin.elapsed() < END {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            thread::sleep(TICK);
        }
        // It may have ended meanwhile.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
