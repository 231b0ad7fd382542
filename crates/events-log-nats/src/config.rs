//! What can be set, with bounds.

use std::{fmt, path::PathBuf, time::Duration};

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;

use crate::NatsLogOpenError;

/// How to reach the servers, and what they keep. [`NatsLogConfig::new`] has the defaults.
///
/// Its `Debug` shows no secret.
#[derive(Clone)]
pub struct NatsLogConfig {
    /// The servers: `nats://HOST:PORT`, several divided by commas; `tls://` demands TLS. A user and password
    /// (`nats://USER:PASSWORD@HOST`) or a token (`nats://TOKEN@HOST`) may stand in the first address and is used for
    /// all.
    pub servers: String,
    /// A credentials file (JWT and seed), in place of a user in the address.
    pub credentials_file: Option<PathBuf>,
    /// A file of authorities in PEM whose certificates are trusted, besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// The name of the stream of records: letters, digits, `_` and `-`. That of checkpoints is this one and `_CP`.
    pub stream: String,
    /// The first token of all subjects: letters, digits, `_` and `-`. Records are under `PREFIX.*`, checkpoints under
    /// `PREFIX-cp.>`, live events under `PREFIX-live.*`.
    pub prefix: String,
    /// Is hashed with users' ids into subjects, so that who sees a subject cannot try out ids. It must never change.
    pub salt: String,
    /// How many servers keep each record: 1, or 3 or 5 of a cluster.
    pub replicas: usize,
    /// Whether streams that are not there are made.
    pub create: bool,
    /// How many appends of one user are kept, 1 to 1,000,000: the oldest go beyond that. Each has one record or more.
    pub max_appends_per_user: u32,
    /// How long a record can be read, one second or more, unless a bound of number or bytes is reached before. The
    /// server lets go of it later: when a replica that appended to this user sweeps.
    pub age: Duration,
    /// How long the last records and the checkpoints of a user who gets nothing new are kept; not below `age`.
    pub idle_age: Duration,
    /// How many bytes the stream of records takes in the server; the oldest records of all go beyond that. 0 = as many
    /// as the server allows.
    pub max_bytes: u64,
    /// An operator's counter: it is raised when the streams were restored from a backup, so that numbers that were
    /// given since the backup are not taken for new ones.
    pub restore_counter: u64,
    /// How long an append may take, 100 ms to 30 s.
    pub append_timeout: Duration,
    /// How many bytes of appends may be under way at once, at least 2 MiB. An append counts for 32 KiB or more.
    pub in_flight_bytes: usize,
}

/// What an append counts at least in `in_flight_bytes`.
pub(crate) const IN_FLIGHT_UNIT: usize = 32 * 1024;

impl NatsLogConfig {
    /// Makes a configuration with defaults: stream `EVENTS`, one replica, 2,000 appends of a user, one hour, 30 days
    /// for idle users, 2 s for an append, 64 MiB under way.
    #[must_use]
    pub fn new(servers: impl Into<String>) -> Self {
        Self {
            servers: servers.into(),
            credentials_file: None,
            ca_file: None,
            stream: "EVENTS".to_owned(),
            prefix: "events".to_owned(),
            salt: String::new(),
            replicas: 1,
            create: true,
            max_appends_per_user: 2_000,
            age: Duration::from_secs(3_600),
            idle_age: Duration::from_secs(30 * 24 * 3_600),
            max_bytes: 0,
            restore_counter: 0,
            append_timeout: Duration::from_secs(2),
            in_flight_bytes: 64 << 20,
        }
    }

    /// Checks the bounds, and takes the addresses apart.
    pub(crate) fn check(&self) -> Result<Addresses, NatsLogOpenError> {
        let is_token = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            (1..=64).contains(&name.len()) && name.bytes().all(is_plain)
        };
        let second = Duration::from_secs(1);
        let hundred_years = Duration::from_secs(100 * 366 * 24 * 3_600);
        let checks = [
            (
                is_token(&self.stream),
                "stream must be 1 to 64 letters, digits, _ and -",
            ),
            (
                is_token(&self.prefix),
                "prefix must be 1 to 64 letters, digits, _ and -",
            ),
            (
                matches!(self.replicas, 1 | 3 | 5),
                "replicas must be 1, 3 or 5",
            ),
            (
                (1..=1_000_000).contains(&self.max_appends_per_user),
                "max_appends_per_user must be 1 to 1,000,000",
            ),
            (self.age >= second, "age must be a second or more"),
            (
                (self.age..=hundred_years).contains(&self.idle_age),
                "idle_age must not be below age, and at most 100 years",
            ),
            (
                i64::try_from(self.max_bytes).is_ok(),
                "max_bytes is too large",
            ),
            (
                (Duration::from_millis(100)..=Duration::from_secs(30))
                    .contains(&self.append_timeout),
                "append_timeout must be 100 ms to 30 s",
            ),
            (
                (2 << 20..=1 << 40).contains(&self.in_flight_bytes),
                "in_flight_bytes must be 2 MiB to 1 TiB",
            ),
        ];
        match checks.iter().find(|(is_right, _)| !is_right) {
            Some((_, what)) => Err(NatsLogOpenError::Config((*what).to_owned())),
            None => self.addresses(),
        }
    }

    fn addresses(&self) -> Result<Addresses, NatsLogOpenError> {
        let mut addresses = Addresses::default();
        for (at, text) in self.servers.split(',').enumerate() {
            // The text itself may hold a password, so it is not quoted.
            let wrong = |why: &str| {
                NatsLogOpenError::Config(format!("server {} of the list {why}", at + 1))
            };
            let text = text.trim();
            let address: ServerAddr = text
                .parse()
                .map_err(|_hidden| wrong("is not an address such as nats://host:4222"))?;
            if address.host().is_empty() || !matches!(address.scheme(), "nats" | "tls") {
                return Err(wrong("is not an address such as nats://host:4222"));
            }
            let decoded = |text: Option<&str>| {
                text.map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned())
            };
            let (user, password) = (decoded(address.username()), decoded(address.password()));
            if user.is_some() && at > 0 {
                return Err(wrong(
                    "has a user; only the first may have one, it is used for all",
                ));
            }
            addresses.login = match (user, password) {
                (Some(user), Some(password)) => Some(Login::User(user, password)),
                (Some(token), None) => Some(Login::Token(token)),
                (None, Some(_)) => return Err(wrong("has a password and no user")),
                (None, None) => addresses.login,
            };
            addresses.demands_tls |= address.tls_required();
            let mut url = address.into_inner();
            let is_cleared = url.set_username("").and_then(|()| url.set_password(None));
            is_cleared.map_err(|()| wrong("cannot have a user"))?;
            let bare = ServerAddr::from_url(url).map_err(|_hidden| wrong("is no address"))?;
            addresses.servers.push(bare);
        }
        if addresses.login.is_some() && self.credentials_file.is_some() {
            let both = "there is a credentials file and a user in the address; keep one of them";
            return Err(NatsLogOpenError::Config(both.to_owned()));
        }
        Ok(addresses)
    }
}

/// The addresses, without secrets, and the secrets.
#[derive(Default)]
pub(crate) struct Addresses {
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) login: Option<Login>,
    pub(crate) demands_tls: bool,
}

pub(crate) enum Login {
    User(String, String),
    Token(String),
}

impl fmt::Debug for NatsLogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<&str> = self
            .servers
            .split(',')
            .map(|server| server.rsplit('@').next().unwrap_or_default().trim())
            .collect();
        f.debug_struct("NatsLogConfig")
            .field("servers", &servers)
            .field("stream", &self.stream)
            .field("prefix", &self.prefix)
            .field("has_salt", &!self.salt.is_empty())
            .field("replicas", &self.replicas)
            .field("max_appends_per_user", &self.max_appends_per_user)
            .field("age", &self.age)
            .field("idle_age", &self.idle_age)
            .field("max_bytes", &self.max_bytes)
            .field("restore_counter", &self.restore_counter)
            .finish_non_exhaustive()
    }
}
