//! What an operator may set, and what is wrong with it.

use std::{fmt, time::Duration};

use events_core::Channel;

use crate::error::OpenError;

/// The longest user id that this log keeps, in bytes: an index entry must fit into a third of a page.
pub(crate) const MAX_USER_BYTES: usize = 1_024;
/// The longest scope, in bytes.
pub(crate) const MAX_SCOPE_BYTES: usize = 512;
/// The most bytes of one append.
pub(crate) const MAX_APPEND_BYTES: usize = 64 << 20;
/// Records are in use for this many spans; three more buckets are filled, empty, or about to be emptied.
const SPANS_PER_AGE: u32 = 5;

/// How a [`PostgresLog`](crate::PostgresLog) is opened. Its `Debug` form hides the addresses, which have passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresConfig {
    /// Where the database is: `postgres://user:password@host:port/database?sslmode=verify-full`, with several hosts
    /// `host1,host2:5433`. `sslmode` (`disable`, `prefer`, `require`, `verify-ca`, `verify-full`) and `sslrootcert`
    /// mean what they mean to libpq, and `prefer` is the default.
    pub url: String,
    /// Where to listen, if `url` leads to a pooler in transaction mode, which cannot carry LISTEN. Without it and with
    /// [`pooler`](Self::pooler) news of other replicas come with the next poll.
    pub listen_url: Option<String>,
    /// Whether `url` leads to a pooler in transaction mode, such as PgBouncer: no session settings and no prepared
    /// statements.
    pub pooler: bool,
    /// The schema that has the tables: a lower-case letter, then up to 39 lower-case letters, digits and `_`. It is
    /// made when it is not there.
    pub schema: String,
    /// The most connections for calls, 1 to 256. Polls, the bell and each tail have one more.
    pub max_connections: usize,
    /// How many records are kept of each user, at least 1. Up to an eighth more, at most 256, are there for a while.
    pub history_events: u64,
    /// How many bytes of JSON are kept of each user, at least 1 KiB. Up to an eighth more are there for a while.
    pub history_bytes: u64,
    /// How long a record is kept, 1 s to 366 days. It is gone after eight fifths of that time.
    pub history_age: Duration,
    /// The most bytes of JSON of one record, 1 KiB to 32 MiB.
    pub max_record_bytes: usize,
    /// How often the last places of users who are followed are looked at, 50 ms to 10 s; 500 ms by default. This is how
    /// late news are when a notification is lost, or nobody rang, and how soon an outage is noticed that breaks no
    /// connection. Where a look takes long it is taken more seldom, at least every two seconds.
    pub poll: Duration,
    /// Whether the log goes on in the same life after a standby was promoted. Right only if the standby has every
    /// acknowledged commit (`synchronous_commit` with `synchronous_standby_names`).
    pub keep_epoch: bool,
    /// The words by which applications name the kinds of their events in `events_publish`, with their channels.
    pub kinds: Vec<(String, Channel)>,
}

impl PostgresConfig {
    /// Makes the configuration of a database with every other setting at its default.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            listen_url: None,
            pooler: false,
            schema: "events".to_owned(),
            max_connections: 8,
            history_events: 10_000,
            history_bytes: 64 << 20,
            history_age: Duration::from_secs(24 * 60 * 60),
            max_record_bytes: 1 << 20,
            poll: Duration::from_millis(500),
            keep_epoch: false,
            kinds: ["agui", "a2a", "system"]
                .into_iter()
                .zip(0..)
                .map(|(name, number)| (name.to_owned(), Channel::new(number)))
                .collect(),
        }
    }

    /// Says what is out of its bounds.
    pub(crate) fn validate(&self) -> Result<(), OpenError> {
        let mut characters = self.schema.chars();
        let is_name = characters
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
            && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && self.schema.len() <= 40
            && !self.schema.starts_with("pg_");
        let wrong = [
            (
                !is_name,
                "schema: a lower-case letter, then up to 39 lower-case letters, digits and _; not pg_…",
            ),
            (
                !(1..=256).contains(&self.max_connections),
                "max_connections is 1 to 256",
            ),
            (
                !(1..=i64::MAX.unsigned_abs() / 2).contains(&self.history_events),
                "history_events is at least 1",
            ),
            (
                !(1 << 10..=i64::MAX.unsigned_abs() / 2).contains(&self.history_bytes),
                "history_bytes is at least 1 KiB",
            ),
            (
                !(Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3_600))
                    .contains(&self.history_age),
                "history_age is 1 s to 366 days",
            ),
            (
                !(1 << 10..=32 << 20).contains(&self.max_record_bytes),
                "max_record_bytes is 1 KiB to 32 MiB",
            ),
            (
                !(Duration::from_millis(50)..=Duration::from_secs(10)).contains(&self.poll),
                "poll is 50 ms to 10 s",
            ),
        ];
        match wrong.iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, rule)) => Err(OpenError::Config((*rule).to_owned())),
            None => Ok(()),
        }
    }

    /// How long one bucket is written to, in milliseconds.
    pub(crate) fn span_ms(&self) -> i64 {
        let span = self.history_age / SPANS_PER_AGE;
        i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    /// The name of the channel of notifications. It is at most 63 bytes long, as names are.
    pub(crate) fn channel(&self) -> String {
        format!("events_bell_{}", self.schema)
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("pooler", &self.pooler)
            .field("schema", &self.schema)
            .field("max_connections", &self.max_connections)
            .field("history_events", &self.history_events)
            .field("history_bytes", &self.history_bytes)
            .field("history_age", &self.history_age)
            .field("max_record_bytes", &self.max_record_bytes)
            .field("poll", &self.poll)
            .field("keep_epoch", &self.keep_epoch)
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let check = |change: fn(&mut PostgresConfig), word: &str| {
            let mut config = PostgresConfig::new("postgres://localhost/a");
            assert!(config.validate().is_ok());
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        check(|config| config.schema = "Events".to_owned(), "schema");
        check(|config| config.schema = "a\"; drop".to_owned(), "schema");
        check(|config| config.schema = "pg_a".to_owned(), "schema");
        check(|config| config.max_connections = 0, "max_connections");
        check(|config| config.history_events = 0, "history_events");
        check(|config| config.history_bytes = 1, "history_bytes");
        check(|config| config.history_age = Duration::ZERO, "history_age");
        check(
            |config| config.max_record_bytes = 1 << 30,
            "max_record_bytes",
        );
        check(|config| config.poll = Duration::ZERO, "poll");
    }

    #[test]
    fn the_debug_form_has_no_password() {
        let mut config = PostgresConfig::new("postgres://me:secret@localhost/a");
        config.listen_url = Some("postgres://me:secret@localhost/b".to_owned());
        assert!(!format!("{config:?}").contains("secret"));
    }
}
