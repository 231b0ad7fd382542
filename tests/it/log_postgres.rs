//! The log in PostgreSQL: every promise of a log, and what is particular to this engine.

mod faults;
mod from_sql;
mod opening;
mod publishing;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use events_core::{Channel, EventLog, Record, Tail, Tailed, UserId};
use events_log_postgres::{PostgresConfig, PostgresLog};
use events_tests::{
    conformance::{self, Bounds, Engine, Outage},
    deadline::{PATIENCE, within},
    postgres_server::{self, Pooler, PostgresServer},
    skip,
};
use futures_util::StreamExt as _;

/// Starts a server, or says why a test is skipped.
async fn server(test: &str) -> Option<PostgresServer> {
    let programs = skip::require(test, "PostgreSQL", postgres_server::programs())?;
    Some(PostgresServer::start(&programs, &[]).await.unwrap())
}

fn config(server: &PostgresServer) -> PostgresConfig {
    let mut config = PostgresConfig::new(server.url("postgres"));
    config.poll = Duration::from_millis(500);
    config
}

async fn open(config: PostgresConfig) -> Arc<dyn EventLog> {
    Arc::new(PostgresLog::open(config).await.unwrap())
}

fn record(json: &str) -> Record {
    Record {
        channel: Channel::new(0),
        scope: None,
        name: None,
        json: Bytes::copy_from_slice(json.as_bytes()),
        tag: 0,
        key: None,
        note: Bytes::new(),
    }
}

/// Waits until a tail says that it has started.
async fn started(tail: &mut Tail) -> io::Result<()> {
    until(tail, "Started", |tailed| matches!(tailed, Tailed::Started)).await
}

/// Waits until a tail says that a user has reached a place.
async fn advanced(tail: &mut Tail, user: &UserId, place: u64) -> io::Result<()> {
    let what = format!("place {place} of {user}");
    until(tail, &what, |tailed| match tailed {
        Tailed::Advanced { user: whose, last } => whose == user && *last >= place,
        _ => false,
    })
    .await
}

async fn until(tail: &mut Tail, what: &str, is_so: impl Fn(&Tailed) -> bool) -> io::Result<()> {
    within(what, PATIENCE, async {
        while let Some(tailed) = tail.next().await {
            if is_so(&tailed) {
                return Ok(());
            }
        }
        Err(io::Error::other("the tail has ended"))
    })
    .await
}

/// How a server is away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Killed,
    Paused,
}

struct Postgres {
    server: Server,
    pooler: Option<Pooler>,
    n_schemas: AtomicU64,
}

struct Server {
    /// Taken out for as long as it is worked with.
    server: Mutex<Option<PostgresServer>>,
    away: Away,
}

impl Server {
    fn take(&self) -> PostgresServer {
        self.server.lock().unwrap().take().expect("one at a time")
    }

    fn put(&self, server: PostgresServer) {
        *self.server.lock().unwrap() = Some(server);
    }
}

impl Postgres {
    fn new(server: PostgresServer, away: Away, pooler: Option<Pooler>) -> Self {
        Self {
            server: Server {
                server: Mutex::new(Some(server)),
                away,
            },
            pooler,
            n_schemas: AtomicU64::new(0),
        }
    }

    fn config(&self) -> PostgresConfig {
        let server = self.server.take();
        let mut config = config(&server);
        self.server.put(server);
        if let Some(pooler) = &self.pooler {
            config.pooler = true;
            config.listen_url = Some(std::mem::replace(&mut config.url, pooler.url()));
        }
        config.max_connections = 4;
        config
    }
}

#[async_trait]
impl Engine for Postgres {
    async fn open(&self) -> Arc<dyn EventLog> {
        open(self.config()).await
    }

    async fn reopen(&self) -> Option<Arc<dyn EventLog>> {
        Some(self.open().await)
    }

    async fn recreate(&self) -> Option<Arc<dyn EventLog>> {
        let server = self.server.take();
        let dropped = server.psql("postgres", "drop schema events cascade");
        dropped.await.unwrap();
        self.server.put(server);
        Some(self.open().await)
    }

    async fn bounded(&self, bounds: Bounds) -> Option<Arc<dyn EventLog>> {
        let mut config = self.config();
        let n = self.n_schemas.fetch_add(1, Ordering::Relaxed);
        config.schema = format!("bounded_{n}");
        config.history_events = bounds.events.unwrap_or(config.history_events);
        config.history_bytes = bounds.bytes.unwrap_or(config.history_bytes);
        config.history_age = bounds.age.unwrap_or(config.history_age);
        Some(open(config).await)
    }

    fn outage(&self) -> Option<&dyn Outage> {
        Some(&self.server)
    }
}

#[async_trait]
impl Outage for Server {
    async fn begin(&self) {
        let mut server = self.take();
        match self.away {
            Away::Killed => server.kill().await.unwrap(),
            Away::Paused => server.signal("STOP").await.unwrap(),
        }
        self.put(server);
    }

    async fn end(&self) {
        let mut server = self.take();
        match self.away {
            Away::Killed => server.restart().await.unwrap(),
            Away::Paused => server.signal("CONT").await.unwrap(),
        }
        self.put(server);
    }
}

async fn keeps_every_promise(test: &str, away: Away) {
    let Some(server) = server(test).await else {
        return;
    };
    let report = conformance::report(&Postgres::new(server, away, None), |_| true).await;
    assert!(report.broken.is_empty(), "{report}");
    assert!(report.not_there.is_empty(), "{:?}", report.not_there);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_is_kept_when_the_server_is_killed() {
    keeps_every_promise("every_promise_when_killed", Away::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_is_kept_when_the_server_stands_still() {
    keeps_every_promise("every_promise_when_paused", Away::Paused).await;
}

/// Calls go through PgBouncer in transaction mode, the listening connection past it.
#[tokio::test(flavor = "multi_thread")]
async fn every_promise_but_outages_is_kept_behind_a_pooler() {
    let test = "every_promise_behind_a_pooler";
    let Some(server) = server(test).await else {
        return;
    };
    let Some(program) = skip::require(test, "PgBouncer", postgres_server::pgbouncer()) else {
        return;
    };
    let pooler = Pooler::start(&program, &server).await.unwrap();
    let engine = Postgres::new(server, Away::Killed, Some(pooler));
    let report = conformance::report(&engine, |name| !name.starts_with("outage")).await;
    assert!(report.broken.is_empty(), "{report}");
}
