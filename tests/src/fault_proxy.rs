//! A TCP proxy that breaks connections on purpose.
//!
//! It stands between a client and a server and does to their bytes what networks do: it delays,
//! slows down, stalls, slices, cuts and resets them, or lets a connection go dead without a word.
//! `up` is from the client to the server, `down` from the server to the client.
//!
//! Times are real: do not use it in a test whose clock is paused.

mod connection;
mod faults;
mod pump;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::deadline::within;
use connection::State;
pub use connection::{ConnectionHandle, Counters};
pub use faults::Faults;

/// A listening proxy; dropping it ends all its connections.
#[derive(Debug)]
pub struct FaultProxy {
    handle: ProxyHandle,
    /// Holds the accept loop, which holds the connections.
    _tasks: JoinSet<()>,
}

/// The switches of a [`FaultProxy`]: cheap to clone, usable from any task.
#[derive(Debug, Clone)]
pub struct ProxyHandle {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Mutex<Settings>,
    counters: watch::Sender<Counters>,
}

#[derive(Debug)]
struct Settings {
    target: SocketAddr,
    faults: Faults,
    /// Every connection ever accepted, by its number.
    connections: Vec<ConnectionHandle>,
}

impl Shared {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl FaultProxy ===

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `target`.
    ///
    /// # Errors
    ///
    /// When no socket can be opened.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let settings = Settings {
            target,
            faults: Faults::default(),
            connections: Vec::new(),
        };
        let shared = Arc::new(Shared {
            settings: Mutex::new(settings),
            counters: watch::Sender::new(Counters::default()),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            handle: ProxyHandle { address, shared },
            _tasks: tasks,
        })
    }

    /// Returns the switches, for use elsewhere than where the proxy is owned.
    #[must_use]
    pub fn handle(&self) -> ProxyHandle {
        self.handle.clone()
    }
}

impl std::ops::Deref for FaultProxy {
    type Target = ProxyHandle;

    fn deref(&self) -> &ProxyHandle {
        &self.handle
    }
}

// === impl ProxyHandle ===

impl ProxyHandle {
    /// Returns where the proxy listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of `path` (with its slash) behind the proxy.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends future connections to another server; existing ones stay where they are.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.settings().target = target;
    }

    /// Sets the faults of all connections, present and future.
    pub fn set_faults(&self, faults: Faults) {
        let mut settings = self.shared.settings();
        for connection in &settings.connections {
            connection.set_faults(faults.clone());
        }
        settings.faults = faults;
    }

    /// Sets the faults of future connections only.
    pub fn set_faults_of_new(&self, faults: Faults) {
        self.shared.settings().faults = faults;
    }

    /// Returns the switches of the `n`-th accepted connection, counted from 0.
    #[must_use]
    pub fn connection(&self, n: usize) -> Option<ConnectionHandle> {
        self.shared.settings().connections.get(n).cloned()
    }

    /// Returns the switches of the connection that was accepted last.
    #[must_use]
    pub fn last_connection(&self) -> Option<ConnectionHandle> {
        self.shared.settings().connections.last().cloned()
    }

    /// Ends all open connections with a FIN, wherever they are in their bytes.
    pub fn cut_all(&self) {
        self.shared
            .settings()
            .connections
            .iter()
            .for_each(ConnectionHandle::cut);
    }

    /// Ends all open connections with an RST.
    pub fn reset_all(&self) {
        self.shared
            .settings()
            .connections
            .iter()
            .for_each(ConnectionHandle::reset);
    }

    /// Returns what the proxy has counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        *self.shared.counters.borrow()
    }

    /// Waits until the counters satisfy `is_reached`.
    ///
    /// # Errors
    ///
    /// `TimedOut` after `limit`.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait_for(
        &self,
        limit: Duration,
        mut is_reached: impl FnMut(&Counters) -> bool,
    ) -> io::Result<Counters> {
        let mut counters = self.shared.counters.subscribe();
        within("the proxy's counters", limit, async {
            let reached = counters.wait_for(|counters| is_reached(counters)).await;
            reached.map(|counters| *counters).map_err(io::Error::other)
        })
        .await
    }
}

/// Accepts for ever. The connections' tasks are in its own set, and end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                let state;
                let target;
                {
                    let mut settings = shared.settings();
                    state = watch::Sender::new(State::new(settings.faults.clone()));
                    target = settings.target;
                    settings.connections.push(ConnectionHandle::new(state.clone()));
                }
                shared.counters.send_modify(|counters| {
                    counters.n_accepted += 1;
                    counters.n_open += 1;
                });
                connections.spawn(serve(client, target, state, Arc::clone(&shared)));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn serve(
    client: TcpStream,
    target: SocketAddr,
    state: watch::Sender<State>,
    shared: Arc<Shared>,
) {
    let (end, sockets) = connection::run(client, target, &state, &shared.counters).await;
    state.send_modify(|state| state.ended = Some(end));
    shared
        .counters
        .send_modify(|counters| counters.count_end(end));
    connection::close(end, sockets).await;
}
