//! How a log in NATS is opened, stopped and made anew.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use events_core::EventLog;
use events_log_nats::{NatsLog, NatsLogConfig};
use events_tests::conformance::{Bounds, Engine, Outage};
use events_tests::nats_server::NatsServers;

/// How servers are away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Away {
    /// They are killed, and started again.
    Killed,
    /// They stand still, with their connections open.
    Stopped,
}

/// Servers, and the name of the stream that is the log now.
pub(super) struct Nats {
    pub(super) servers: NatsServers,
    away: Away,
    n_streams: Mutex<usize>,
    stream: Mutex<String>,
}

impl Nats {
    pub(super) async fn start(test: &str, n_servers: usize, away: Away) -> Option<Self> {
        Some(Self {
            servers: NatsServers::start(test, n_servers).await?,
            away,
            n_streams: Mutex::new(0),
            stream: Mutex::new("EVENTS".to_owned()),
        })
    }

    /// The configuration of the log as it is now.
    pub(super) fn config(&self) -> NatsLogConfig {
        let stream = self.stream.lock().unwrap().clone();
        let mut config = NatsLogConfig::new(self.servers.url());
        config.prefix = stream.to_lowercase();
        config.stream = stream;
        config.replicas = self.servers.len();
        config.max_appends_per_user = 100_000;
        config
    }

    pub(super) fn next_stream(&self) -> String {
        let mut n_streams = self.n_streams.lock().unwrap();
        *n_streams += 1;
        format!("EVENTS{n_streams}")
    }
}

pub(super) async fn open(config: NatsLogConfig) -> NatsLog {
    NatsLog::open(config)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

#[async_trait]
impl Engine for Nats {
    async fn open(&self) -> Arc<dyn EventLog> {
        Arc::new(open(self.config()).await)
    }

    async fn reopen(&self) -> Option<Arc<dyn EventLog>> {
        Some(self.open().await)
    }

    async fn recreate(&self) -> Option<Arc<dyn EventLog>> {
        for stream in [
            self.config().stream.clone(),
            format!("{}_CP", self.config().stream),
        ] {
            let subject = format!("$JS.API.STREAM.DELETE.{stream}");
            let answer = self.servers.ask(0, &subject, "").await.unwrap();
            assert!(answer.contains("\"success\":true"), "{answer}");
        }
        Some(self.open().await)
    }

    async fn bounded(&self, bounds: Bounds) -> Option<Arc<dyn EventLog>> {
        if bounds.bytes.is_some() {
            return None;
        }
        let mut config = self.config();
        config.stream = self.next_stream();
        config.prefix = config.stream.to_lowercase();
        if let Some(events) = bounds.events {
            config.max_appends_per_user = events.try_into().unwrap();
        }
        if let Some(age) = bounds.age {
            config.age = age;
        }
        Some(Arc::new(open(config).await))
    }

    fn outage(&self) -> Option<&dyn Outage> {
        Some(self)
    }
}

#[async_trait]
impl Outage for Nats {
    async fn begin(&self) {
        for at in 0..self.servers.len() {
            match self.away {
                Away::Killed => self.servers.kill(at).await,
                Away::Stopped => self.servers.signal(at, "STOP").await,
            }
        }
    }

    async fn end(&self) {
        for at in 0..self.servers.len() {
            match self.away {
                Away::Killed => self.servers.restart(at).await,
                Away::Stopped => self.servers.signal(at, "CONT").await,
            }
        }
    }
}
