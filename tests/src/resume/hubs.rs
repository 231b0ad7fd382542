//! The replicas of a trial, as processes.

use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::PATIENCE;
use crate::server_process::ServerProcess;

/// Where the hubs are: what clients and publishers share. A hub that is away keeps its last address.
#[derive(Debug, Default)]
pub struct Board(Mutex<Vec<SocketAddr>>);

/// Hubs on one log. Dropping them kills them.
#[derive(Debug)]
pub struct Hubs {
    arguments: Vec<Vec<String>>,
    processes: Vec<Option<ServerProcess>>,
    board: Arc<Board>,
}

impl Board {
    /// Says where they are, for those that are not hubs of a trial.
    #[must_use]
    pub const fn new(addresses: Vec<SocketAddr>) -> Self {
        Self(Mutex::new(addresses))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Chooses a hub.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn any(&self, random: &mut fastrand::Rng) -> SocketAddr {
        let addresses = self.lock();
        addresses[random.usize(..addresses.len())]
    }

    /// Returns where a hub is, or was last.
    ///
    /// # Panics
    ///
    /// When there is no such hub.
    #[must_use]
    pub fn address(&self, at: usize) -> SocketAddr {
        self.lock()[at]
    }
}

impl Hubs {
    /// Starts one hub for each list of arguments, such as `--log` and its value.
    ///
    /// # Errors
    ///
    /// When one does not start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends those that were started.
    pub async fn start(arguments: Vec<Vec<String>>) -> io::Result<Self> {
        let mut hubs = Self {
            processes: Vec::new(),
            board: Arc::default(),
            arguments,
        };
        for at in 0..hubs.arguments.len() {
            let process = hubs.spawn(at).await?;
            hubs.board.lock().push(process.address());
            hubs.processes.push(Some(process));
        }
        Ok(hubs)
    }

    async fn spawn(&self, at: usize) -> io::Result<ServerProcess> {
        let mut words = vec!["dev", "--no-demo", "--listen", "127.0.0.1:0"];
        words.extend(self.arguments[at].iter().map(String::as_str));
        // What goes wrong with the log is the trial's doing.
        ServerProcess::events(&words, &[("RUST_LOG", "error")]).await
    }

    /// Returns where the hubs are.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Returns the process id of a hub that runs.
    #[must_use]
    pub fn id(&self, at: usize) -> Option<u32> {
        self.processes[at].as_ref().and_then(ServerProcess::id)
    }

    /// Counts the hubs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.processes.len()
    }

    /// Tells whether there is no hub.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty()
    }

    /// Kills a hub as a crash does, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it does not end.
    ///
    /// # Cancel safety
    ///
    /// It is killed all the same.
    pub async fn kill(&mut self, at: usize) -> io::Result<()> {
        if let Some(mut process) = self.processes[at].take() {
            process.signal("KILL").await?;
            process.wait(PATIENCE).await?;
        }
        Ok(())
    }

    /// Asks a hub to end, and waits until it has; returns how it ended and how long that took.
    ///
    /// # Errors
    ///
    /// When it does not run, or not end in time.
    ///
    /// # Cancel safety
    ///
    /// It ends all the same.
    pub async fn terminate(
        &mut self,
        at: usize,
        limit: Duration,
    ) -> io::Result<(ExitStatus, Duration)> {
        let gone = || io::Error::other("the hub was killed");
        let mut process = self.processes[at].take().ok_or_else(gone)?;
        let asked_at = Instant::now();
        process.signal("TERM").await?;
        let status = process.wait(limit).await?;
        Ok((status, asked_at.elapsed()))
    }

    /// Starts a hub again that was killed, on another port.
    ///
    /// # Errors
    ///
    /// When it does not start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it.
    pub async fn restart(&mut self, at: usize) -> io::Result<()> {
        let process = self.spawn(at).await?;
        self.board.lock()[at] = process.address();
        self.processes[at] = Some(process);
        Ok(())
    }

    /// Sends a hub a signal by its short name.
    ///
    /// # Errors
    ///
    /// When it does not run.
    ///
    /// # Cancel safety
    ///
    /// The signal may have been sent.
    pub async fn signal(&self, at: usize, name: &str) -> io::Result<()> {
        match &self.processes[at] {
            Some(process) => process.signal(name).await,
            None => Err(io::Error::other("the hub was killed")),
        }
    }
}
