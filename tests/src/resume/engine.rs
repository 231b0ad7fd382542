//! The log behind the hubs of a trial, and what may happen to it.

use std::io;
use std::net::SocketAddr;

use tempfile::TempDir;

use crate::fault_proxy::FaultProxy;
use crate::nats_server::NatsServers;
use crate::postgres_server::{self, PostgresServer};
use crate::skip;

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// A folder, for one hub.
    Disk,
    /// So many NATS servers, each with every event.
    Nats {
        /// How many.
        n_servers: usize,
    },
    /// A PostgreSQL.
    Postgres,
}

/// A running log. Dropping it ends it.
#[derive(Debug)]
pub struct Engine {
    kind: EngineKind,
    inner: Inner,
    /// The way of each hub to it, if that can be disturbed.
    links: Vec<FaultProxy>,
}

#[derive(Debug)]
enum Inner {
    Disk(TempDir),
    Nats(NatsServers),
    Postgres(PostgresServer),
}

impl EngineKind {
    /// Tells whether hubs reach it by a socket that a trial stands between.
    #[must_use]
    pub const fn has_links(self) -> bool {
        // Servers of a cluster tell clients of each other, past any proxy.
        matches!(self, Self::Nats { n_servers: 1 } | Self::Postgres)
    }

    /// Tells whether it is a process of its own.
    #[must_use]
    pub const fn has_process(self) -> bool {
        !matches!(self, Self::Disk)
    }
}

impl Engine {
    /// Starts it for so many hubs, or says that the test lacks it.
    ///
    /// # Errors
    ///
    /// When it does not start.
    ///
    /// # Panics
    ///
    /// When it is missing and everything is required.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what was started.
    pub async fn start(test: &str, kind: EngineKind, n_hubs: usize) -> io::Result<Option<Self>> {
        let inner = match kind {
            EngineKind::Disk => Inner::Disk(tempfile::tempdir()?),
            EngineKind::Nats { n_servers } => match NatsServers::start(test, n_servers).await {
                Some(servers) => Inner::Nats(servers),
                None => return Ok(None),
            },
            EngineKind::Postgres => {
                let found = skip::require(test, "PostgreSQL", postgres_server::programs());
                let Some(programs) = found else {
                    return Ok(None);
                };
                Inner::Postgres(PostgresServer::start(&programs, &[]).await?)
            }
        };
        let mut engine = Self {
            kind,
            inner,
            links: Vec::new(),
        };
        if kind.has_links() {
            for _ in 0..n_hubs {
                let link = FaultProxy::start(engine.address()).await?;
                engine.links.push(link);
            }
        }
        Ok(Some(engine))
    }

    /// Returns which log it is.
    #[must_use]
    pub const fn kind(&self) -> EngineKind {
        self.kind
    }

    fn address(&self) -> SocketAddr {
        match &self.inner {
            Inner::Disk(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
            Inner::Nats(servers) => servers.address(0),
            Inner::Postgres(server) => SocketAddr::from(([127, 0, 0, 1], server.port())),
        }
    }

    /// Returns the arguments by which a hub finds it.
    #[must_use]
    pub fn arguments(&self, hub: usize) -> Vec<String> {
        let link = self.links.get(hub).map(|link| link.address());
        let spec = match &self.inner {
            Inner::Disk(folder) => format!("disk:{}", folder.path().join("log").display()),
            Inner::Nats(servers) => link.map_or_else(|| servers.url(), |to| format!("nats://{to}")),
            Inner::Postgres(server) => link.map_or_else(
                || server.url("postgres"),
                |to| format!("postgres://postgres@{to}/postgres"),
            ),
        };
        let mut arguments = vec!["--log".to_owned(), spec];
        if let EngineKind::Nats { n_servers } = self.kind
            && n_servers > 1
        {
            arguments.extend(["--nats.replicas".to_owned(), n_servers.to_string()]);
        }
        arguments
    }

    /// Returns a hub's way to it.
    #[must_use]
    pub fn link(&self, hub: usize) -> Option<&FaultProxy> {
        self.links.get(hub)
    }

    /// Counts its processes.
    #[must_use]
    pub fn n_servers(&self) -> usize {
        match &self.inner {
            Inner::Disk(_) => 0,
            Inner::Nats(servers) => servers.len(),
            Inner::Postgres(_) => 1,
        }
    }

    /// Kills a server of it as a crash does.
    ///
    /// # Errors
    ///
    /// When it does not end.
    ///
    /// # Cancel safety
    ///
    /// It may have been killed.
    pub async fn kill(&mut self, at: usize) -> io::Result<()> {
        match &mut self.inner {
            Inner::Disk(_) => Ok(()),
            Inner::Nats(servers) => {
                servers.kill(at).await;
                Ok(())
            }
            Inner::Postgres(server) => server.kill().await,
        }
    }

    /// Starts a server again that was killed.
    ///
    /// # Errors
    ///
    /// When it does not start.
    ///
    /// # Cancel safety
    ///
    /// It may have been started.
    pub async fn restart(&mut self, at: usize) -> io::Result<()> {
        match &mut self.inner {
            Inner::Disk(_) => Ok(()),
            Inner::Nats(servers) => {
                servers.restart(at).await;
                Ok(())
            }
            Inner::Postgres(server) => server.restart().await,
        }
    }

    /// Sends a server of it a signal by its short name.
    ///
    /// # Errors
    ///
    /// When it does not run.
    ///
    /// # Cancel safety
    ///
    /// The signal may have been sent.
    pub async fn signal(&self, at: usize, name: &str) -> io::Result<()> {
        match &self.inner {
            Inner::Disk(_) => Ok(()),
            Inner::Nats(servers) => {
                servers.signal(at, name).await;
                Ok(())
            }
            Inner::Postgres(server) => server.signal(name).await,
        }
    }

    /// Ends the sessions by which hubs hear of news, if it is a PostgreSQL.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    ///
    /// # Cancel safety
    ///
    /// They may have been ended.
    pub async fn cut_listeners(&self) -> io::Result<()> {
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                   where application_name = 'events tail'";
        match &self.inner {
            Inner::Postgres(server) => server.psql("postgres", cut).await.map(drop),
            Inner::Disk(_) | Inner::Nats(_) => Ok(()),
        }
    }

    /// Returns the ids of its processes; those that they have started are not among them.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        match &self.inner {
            Inner::Disk(_) => Vec::new(),
            Inner::Nats(servers) => (0..servers.len()).filter_map(|at| servers.id(at)).collect(),
            Inner::Postgres(server) => server.id().into_iter().collect(),
        }
    }

    /// Returns the servers, if they are of NATS.
    #[must_use]
    pub const fn nats(&self) -> Option<&NatsServers> {
        match &self.inner {
            Inner::Nats(servers) => Some(servers),
            Inner::Disk(_) | Inner::Postgres(_) => None,
        }
    }

    /// Returns the server, if it is a PostgreSQL.
    #[must_use]
    pub const fn postgres(&self) -> Option<&PostgresServer> {
        match &self.inner {
            Inner::Postgres(server) => Some(server),
            Inner::Disk(_) | Inner::Nats(_) => None,
        }
    }
}
