//! NATS servers with JetStream, as processes of their own on free ports of the loopback interface: one, or a cluster.

mod state;

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval};

use crate::deadline::{PATIENCE, within};
use crate::{skip, standstill};

/// Servers that know each other. Dropping them kills them and takes their data away.
#[derive(Debug)]
pub struct NatsServers {
    program: PathBuf,
    folder: TempDir,
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    address: SocketAddr,
    child: Mutex<Option<Child>>,
}

impl NatsServers {
    /// Starts so many servers, or none if the program is not there; then it says so for this test.
    ///
    /// # Panics
    ///
    /// If they cannot be started, or if the program is missing and everything is required.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills what was started.
    pub async fn start(test: &str, n_servers: usize) -> Option<Self> {
        Self::start_with(test, n_servers, "").await
    }

    /// Starts servers with more lines in their configuration.
    ///
    /// # Panics
    ///
    /// As [`NatsServers::start`].
    ///
    /// # Cancel safety
    ///
    /// As [`NatsServers::start`].
    pub async fn start_with(test: &str, n_servers: usize, settings: &str) -> Option<Self> {
        let program = skip::require(test, "nats-server", skip::nats_server())?;
        let servers = Self::try_start(program, n_servers, settings).await;
        Some(servers.unwrap_or_else(|error| panic!("no NATS server: {error}")))
    }

    async fn try_start(program: PathBuf, n_servers: usize, settings: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let addresses = free_addresses(n_servers * 2).await?;
        let (clients, routes) = addresses.split_at(n_servers);
        for at in 0..n_servers {
            let mut text = format!(
                "server_name: n{at}\nlisten: {}\njetstream {{ store_dir: {:?} }}\n{settings}\n",
                clients[at],
                folder.path().join(format!("data{at}")),
            );
            if n_servers > 1 {
                let routes_of: Vec<String> = routes
                    .iter()
                    .map(|route| format!("nats-route://{route}"))
                    .collect();
                let _ = writeln!(
                    text,
                    "cluster {{ name: c, listen: {}, routes: [{}] }}",
                    routes[at],
                    routes_of.join(", ")
                );
            }
            std::fs::write(config_file(folder.path(), at), text)?;
        }
        let servers = Self {
            program,
            folder,
            nodes: clients
                .iter()
                .map(|address| Node {
                    address: *address,
                    child: Mutex::default(),
                })
                .collect(),
        };
        for at in 0..n_servers {
            servers.spawn(at)?;
        }
        for at in 0..n_servers {
            servers.is_ready(at).await?;
        }
        Ok(servers)
    }

    /// Returns the address of the whole cluster, for a log's configuration.
    #[must_use]
    pub fn url(&self) -> String {
        let servers: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("nats://{}", node.address))
            .collect();
        servers.join(",")
    }

    /// Returns the address of one server.
    #[must_use]
    pub fn address(&self, at: usize) -> SocketAddr {
        self.nodes[at].address
    }

    /// Returns the process id of a server that runs.
    #[must_use]
    pub fn id(&self, at: usize) -> Option<u32> {
        self.nodes[at].child().as_ref().and_then(Child::id)
    }

    /// Counts the servers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Tells whether there is no server, which never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the name of the server in the cluster.
    #[must_use]
    pub fn name(at: usize) -> String {
        format!("n{at}")
    }

    /// Kills a server as a crash does, and waits until it is gone.
    ///
    /// # Panics
    ///
    /// If it does not end.
    ///
    /// # Cancel safety
    ///
    /// The server may have been killed.
    pub async fn kill(&self, at: usize) {
        let child = self.nodes[at].child().take();
        if let Some(mut child) = child {
            let killed = within("the end of a killed server", PATIENCE, child.kill()).await;
            killed.expect("a killed server ends");
        }
    }

    /// Starts a server again that was killed, on its data and its port.
    ///
    /// # Panics
    ///
    /// If it does not start.
    ///
    /// # Cancel safety
    ///
    /// The server may have been started.
    pub async fn restart(&self, at: usize) {
        self.spawn(at).expect("the server starts");
        self.is_ready(at).await.expect("the server is ready");
    }

    /// Sends a server a signal by its short name, such as `STOP` and `CONT`.
    ///
    /// # Panics
    ///
    /// If it does not run.
    ///
    /// # Cancel safety
    ///
    /// The signal may have been sent.
    pub async fn signal(&self, at: usize, name: &str) {
        let id = self.nodes[at].child().as_ref().and_then(Child::id);
        let id = id.expect("the server runs");
        let sent = Command::new("kill")
            .args(["-s", name, &id.to_string()])
            .status();
        let sent = within("a signal", PATIENCE, sent).await;
        assert!(sent.expect("`kill` runs").success(), "kill -s {name} {id}");
        let heeded = standstill::after_signal(name, id).await;
        heeded.expect("a server that is stopped stands still");
    }

    /// Asks a server one question, as any client may, and returns the answer's body.
    ///
    /// # Errors
    ///
    /// When there is no answer in time.
    ///
    /// # Cancel safety
    ///
    /// The question may have been sent.
    pub async fn ask(&self, at: usize, subject: &str, body: &str) -> io::Result<String> {
        let address = self.nodes[at].address;
        within(
            "an answer of a NATS server",
            Duration::from_secs(5),
            ask(address, subject, body),
        )
        .await
    }

    fn spawn(&self, at: usize) -> io::Result<()> {
        let log = self.folder.path().join(format!("server{at}.log"));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)?;
        let child = Command::new(&self.program)
            .arg("--config")
            .arg(config_file(self.folder.path(), at))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        *self.nodes[at].child() = Some(child);
        Ok(())
    }

    async fn is_ready(&self, at: usize) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if greeting(self.nodes[at].address).await.is_ok() {
                return Ok(());
            }
            let ended = self.nodes[at]
                .child()
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten();
            if ended.is_some() || Instant::now() > deadline {
                let log = self.folder.path().join(format!("server{at}.log"));
                return Err(io::Error::other(
                    std::fs::read_to_string(log).unwrap_or_default(),
                ));
            }
        }
    }
}

impl Node {
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn config_file(folder: &Path, at: usize) -> PathBuf {
    folder.join(format!("server{at}.conf"))
}

async fn free_addresses(n: usize) -> io::Result<Vec<SocketAddr>> {
    // Held together until all are known, so that they differ.
    let mut listeners = Vec::new();
    for _ in 0..n {
        listeners.push(TcpListener::bind("127.0.0.1:0").await?);
    }
    listeners.iter().map(TcpListener::local_addr).collect()
}

/// Connects and reads what a server says first.
async fn greeting(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if line.starts_with("INFO ") {
        return Ok(stream);
    }
    Err(io::Error::other(format!("no NATS server: {line:?}")))
}

/// One request by hand, so that this crate needs no client that the log has too.
async fn ask(address: SocketAddr, subject: &str, body: &str) -> io::Result<String> {
    let mut stream = greeting(address).await?;
    let text = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}}\r\n\
         SUB answer 1\r\nPUB {subject} answer {}\r\n{body}\r\n",
        body.len()
    );
    stream.write_all(text.as_bytes()).await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::Error::other("the server has gone"));
        }
        if line.starts_with("PING") {
            stream.write_all(b"PONG\r\n").await?;
        } else if line.starts_with("-ERR") || line.starts_with("HMSG") {
            return Err(io::Error::other(line));
        } else if line.starts_with("MSG ") {
            let len = line
                .trim_end()
                .rsplit(' ')
                .next()
                .and_then(|len| len.parse().ok());
            let mut body = vec![0; len.unwrap_or(0)];
            stream.read_exact(&mut body).await?;
            return String::from_utf8(body).map_err(io::Error::other);
        }
    }
}
