//! How the log is opened.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use events_core::Epoch;
use tokio::sync::Semaphore;

use crate::{
    NatsLog, NatsLogConfig, NatsLogOpenError,
    api::Api,
    config::{Addresses, IN_FLIGHT_UNIT, Login},
    counters::Counters,
    link::LinkListener,
    log::Inner,
    streams,
    subject::Names,
    tls,
};

/// How long the whole opening may take: in a new cluster a leader has to be chosen for each stream.
const OPEN_DEADLINE: Duration = Duration::from_secs(20);
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Messages that wait for the tail. More bytes than the server's window of flow control do not come.
const SUBSCRIPTION_CAPACITY: usize = 8_192;
/// A server that is gone is noticed after two of them at most, when nothing else tells.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Between attempts to connect again: at once, and then not faster than this.
const RECONNECT_DELAY: Duration = Duration::from_millis(250);

/// Opens the log; see [`NatsLog::open`].
pub(crate) async fn open(config: NatsLogConfig) -> Result<NatsLog, NatsLogOpenError> {
    let addresses = config.check()?;
    let servers: Vec<String> = addresses
        .servers
        .iter()
        .map(|server| server.as_url_str().to_owned())
        .collect();
    let counters = Arc::new(Counters::default());
    let listener = Arc::new(LinkListener::new(Arc::clone(&counters)));
    let opening = async {
        let client = connect(&config, addresses, Arc::clone(&listener)).await?;
        let api = Api { client };
        let names = Names::new(&config.stream, &config.prefix, &config.salt);
        let info = streams::ensure(&api, &names, &config).await?;
        Ok((api, names, info))
    };
    let opened = tokio::time::timeout(OPEN_DEADLINE, opening)
        .await
        .unwrap_or_else(|_elapsed| {
            Err(NatsLogOpenError::Connect {
                servers: servers.join(","),
                why: format!(
                    "no answer in {} s; look whether the servers are well",
                    OPEN_DEADLINE.as_secs()
                ),
            })
        });
    let (api, names, info) = opened.map_err(|error| match (error, listener.take_complaint()) {
        (NatsLogOpenError::JetStream(text), Some(complaint)) => {
            NatsLogOpenError::JetStream(format!("{text}; the server says: {complaint}"))
        }
        (error, _) => error,
    })?;
    let has_batches = info.config["allow_atomic"] == true;
    let epoch = streams::epoch_bits(&config.stream, &info.created, config.restore_counter);
    let n_permits = config.in_flight_bytes / IN_FLIGHT_UNIT;
    let inner = Inner {
        api,
        names,
        listener,
        counters,
        epoch: Epoch::from_bits(epoch),
        created: info.created,
        has_batches,
        permits: Semaphore::new(n_permits),
        n_permits,
        handed: AtomicU64::new(0),
        tail_turn: AtomicU64::new(0),
        is_replaced: AtomicBool::new(false),
        ages: Mutex::default(),
        origin: fastrand::u128(..),
        config,
    };
    Ok(NatsLog {
        inner: Arc::new(inner),
    })
}

async fn connect(
    config: &NatsLogConfig,
    addresses: Addresses,
    listener: Arc<LinkListener>,
) -> Result<Client, NatsLogOpenError> {
    let Addresses {
        servers,
        login,
        demands_tls,
    } = addresses;
    let names: Vec<&str> = servers.iter().map(ServerAddr::as_url_str).collect();
    let names = names.join(",");
    let mut options = ConnectOptions::new()
        .name("events")
        .connection_timeout(CONNECT_DEADLINE)
        .ping_interval(PING_INTERVAL)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .tls_client_config(tls::config(config.ca_file.as_deref(), demands_tls)?)
        .require_tls(demands_tls)
        .reconnect_delay_callback(|attempt| match attempt {
            0 | 1 => Duration::ZERO,
            _ => RECONNECT_DELAY,
        })
        .event_callback(move |event| {
            let listener = Arc::clone(&listener);
            async move { listener.hear(&event) }
        });
    options = match login {
        Some(Login::User(user, password)) => options.user_and_password(user, password),
        Some(Login::Token(token)) => options.token(token),
        None => options,
    };
    if let Some(path) = &config.credentials_file {
        let unusable = |error: std::io::Error| NatsLogOpenError::File {
            path: path.clone(),
            why: error.to_string(),
        };
        options = options.credentials_file(path).await.map_err(unusable)?;
    }
    options.connect(servers).await.map_err(|error| {
        let advice = match error.kind() {
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                "check the user, token or credentials file"
            }
            ConnectErrorKind::Tls => "check `ca_file`, and whether the address should be tls://",
            _ => "check the address, whether the server runs, and, with TLS, `ca_file`",
        };
        NatsLogOpenError::Connect {
            servers: names,
            why: format!("{error}; {advice}"),
        }
    })
}
