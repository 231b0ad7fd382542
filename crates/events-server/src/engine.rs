//! Opening the log that the settings name.

use std::{path::PathBuf, sync::Arc, time::Duration};

use events_core::EventLog;
use events_log_disk::{DiskConfig, DiskLog};
use events_log_nats::{NatsLog, NatsLogConfig};
use events_log_postgres::{PostgresConfig, PostgresLog};

use crate::{Failure, LogSpec, Settings};

/// What only one kind of log has.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The stream in NATS.
    pub nats_stream: String,
    /// How many servers of NATS keep each event.
    pub nats_replicas: usize,
    /// The file of a user's credentials for NATS.
    pub nats_credentials: Option<PathBuf>,
    /// Authorities that are trusted for NATS besides the system's.
    pub nats_ca: Option<PathBuf>,
    /// The schema in PostgreSQL.
    pub postgres_schema: String,
    /// Connections to PostgreSQL.
    pub postgres_connections: usize,
    /// Where to listen in PostgreSQL, if the log's address leads to a pooler.
    pub postgres_listen: Option<LogSpec>,
    /// Whether the log's address leads to a pooler in transaction mode.
    pub postgres_pooler: bool,
    /// Whether the log goes on in the same life after a standby was promoted.
    pub postgres_keep_epoch: bool,
    /// How often PostgreSQL is looked at.
    pub postgres_poll: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        let (nats, postgres) = (NatsLogConfig::new(""), PostgresConfig::new(""));
        Self {
            nats_stream: nats.stream,
            nats_replicas: nats.replicas,
            nats_credentials: None,
            nats_ca: None,
            postgres_schema: postgres.schema,
            postgres_connections: postgres.max_connections,
            postgres_listen: None,
            postgres_pooler: postgres.pooler,
            postgres_keep_epoch: postgres.keep_epoch,
            postgres_poll: postgres.poll,
        }
    }
}

/// The least events that a log behind the hub keeps of each user. A user's state is saved every 500 events, and what
/// comes after is read from the log.
const LEAST_EVENTS: usize = 2_000;

/// Opens the log behind the hub; none if the hub keeps its events itself.
///
/// # Errors
///
/// [`Failure::Log`]: the log cannot be reached, or is not fit.
pub(crate) async fn open(settings: &Settings) -> Result<Option<Arc<dyn EventLog>>, Failure> {
    let (limits, engine) = (&settings.limits, &settings.engine);
    let events = limits.events.max(LEAST_EVENTS);
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Failure::Log {
        log: settings.log.to_string(),
        source,
    };
    Ok(Some(match &settings.log {
        LogSpec::Memory => return Ok(None),
        LogSpec::Disk(path) => {
            let mut config = DiskConfig::new(path);
            config.max_events = events as u64;
            config.max_bytes = limits.bytes as u64;
            config.max_age = limits.age;
            config.max_record_bytes = limits.event_bytes;
            config.clock = Arc::clone(&settings.router.clock);
            Arc::new(DiskLog::open(config).map_err(|error| failed(error.into()))?)
        }
        LogSpec::Nats(servers) => {
            let mut config = NatsLogConfig::new(servers);
            config.stream.clone_from(&engine.nats_stream);
            config.prefix = engine.nats_stream.to_lowercase();
            config.replicas = engine.nats_replicas;
            config.credentials_file.clone_from(&engine.nats_credentials);
            config.ca_file.clone_from(&engine.nats_ca);
            // An append has one event or more.
            config.max_appends_per_user = u32::try_from(events).unwrap_or(u32::MAX).min(1_000_000);
            config.age = limits.age;
            config.idle_age = config.idle_age.max(limits.age);
            let opened = NatsLog::open(config).await;
            Arc::new(opened.map_err(|error| failed(error.into()))?)
        }
        LogSpec::Postgres(url) => {
            let mut config = PostgresConfig::new(url);
            config.schema.clone_from(&engine.postgres_schema);
            config.max_connections = engine.postgres_connections;
            if let Some(LogSpec::Postgres(url)) = &engine.postgres_listen {
                config.listen_url = Some(url.clone());
            }
            config.pooler = engine.postgres_pooler;
            config.keep_epoch = engine.postgres_keep_epoch;
            config.poll = engine.postgres_poll;
            config.history_events = events as u64;
            config.history_bytes = limits.bytes as u64;
            config.history_age = limits.age;
            config.max_record_bytes = limits.event_bytes;
            let opened = PostgresLog::open(config).await;
            Arc::new(opened.map_err(|error| failed(error.into()))?)
        }
    }))
}
