//! The tables: made when they are not there, and never by two replicas at once.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, error::SqlState, types::Type};

use crate::{
    config::PostgresConfig,
    connection::{Connection, Connector},
    error::{OpenError, chain},
    value::to_i64,
};

/// The version of the tables that this program makes and knows.
const VERSION: i32 = 1;
/// What brings the tables from one version to the next, the first from nothing.
const STEPS: [&str; VERSION as usize] = [include_str!("schema.sql")];
/// The oldest server on which all of it runs.
const MIN_SERVER: i32 = 130_000;
/// How long opening may take, other replicas that make the tables included.
const LIMIT: Duration = Duration::from_secs(30);

/// Connects, and leaves the tables as this version wants them.
pub(crate) async fn prepare(
    connector: &Connector,
    config: &PostgresConfig,
) -> Result<Connection, OpenError> {
    let place = &connector.address.place;
    let late = || OpenError::Connect {
        place: place.clone(),
        reason: format!("no answer within {} s", LIMIT.as_secs()),
    };
    timeout(LIMIT, async {
        let connection = connector
            .connect_any()
            .await
            .map_err(|error| OpenError::Connect {
                place: place.clone(),
                reason: chain(&error),
            })?;
        let preparation = Preparation {
            client: connection.client(),
            config,
            place,
        };
        preparation.run().await?;
        Ok(connection)
    })
    .await
    .map_err(|_elapsed| late())?
}

struct Preparation<'a> {
    client: &'a Client,
    config: &'a PostgresConfig,
    place: &'a str,
}

impl Preparation<'_> {
    async fn run(&self) -> Result<(), OpenError> {
        self.check_server().await?;
        if self.version().await? != VERSION {
            self.migrate().await?;
        }
        self.set().await
    }

    fn failed(&self, error: &tokio_postgres::Error) -> OpenError {
        let (place, reason) = (self.place.to_owned(), chain(error));
        match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => OpenError::NotPermitted {
                place,
                schema: self.config.schema.clone(),
                reason,
            },
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => OpenError::ReadOnly { place },
            _ => OpenError::Failed { place, reason },
        }
    }

    async fn check_server(&self) -> Result<(), OpenError> {
        let row = self
            .client
            .query_typed_one(
                "select current_setting('server_version_num')::integer, current_setting('server_encoding'), \
                 pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on'",
                &[],
            )
            .await
            .map_err(|error| self.failed(&error))?;
        let place = self.place.to_owned();
        let (version, encoding): (i32, String) = (row.get(0), row.get(1));
        if version < MIN_SERVER {
            let reason = format!(
                "the server has version {}, at least 13 is needed",
                version / 10_000
            );
            return Err(OpenError::Unsuitable { place, reason });
        }
        if encoding != "UTF8" {
            let reason = format!(
                "the database is encoded in {encoding}; make one with ENCODING 'UTF8' TEMPLATE template0"
            );
            return Err(OpenError::Unsuitable { place, reason });
        }
        if row.get(2) {
            return Err(OpenError::Standby { place });
        }
        if row.get(3) {
            return Err(OpenError::ReadOnly { place });
        }
        Ok(())
    }

    /// Returns the version of the tables, 0 if there are none.
    async fn version(&self) -> Result<i32, OpenError> {
        let schema = &self.config.schema;
        let is_there = self
            .client
            .query_typed_one(
                &format!(
                    "select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n \
                     on n.oid = c.relnamespace where n.nspname = '{schema}' and c.relname = 'settings')"
                ),
                &[],
            )
            .await
            .map_err(|error| self.failed(&error))?;
        if !is_there.get::<_, bool>(0) {
            return Ok(0);
        }
        let row = self
            .client
            .query_typed_opt(&format!("select version from \"{schema}\".settings"), &[])
            .await
            .map_err(|error| self.failed(&error))?;
        let found = row.map_or(0, |row| row.get(0));
        if found > VERSION {
            return Err(OpenError::Newer {
                place: self.place.to_owned(),
                schema: schema.clone(),
                found,
                known: VERSION,
            });
        }
        Ok(found)
    }

    /// Makes the tables in one transaction, while others who want the same wait.
    async fn migrate(&self) -> Result<(), OpenError> {
        let begin = "begin; set local lock_timeout = 0; set local statement_timeout = 0; \
             select pg_advisory_xact_lock(hashtextextended('events make tables', 0))";
        let outcome = match self.client.batch_execute(begin).await {
            Ok(()) => self.make_tables().await,
            Err(error) => Err(self.failed(&error)),
        };
        let end = if outcome.is_ok() {
            "commit"
        } else {
            "rollback"
        };
        let ended = self.client.batch_execute(end).await;
        outcome?;
        ended.map_err(|error| self.failed(&error))
    }

    async fn make_tables(&self) -> Result<(), OpenError> {
        let found = self.version().await?;
        let schema = &self.config.schema;
        let quoted = format!("\"{schema}\"");
        let has_schema = self
            .client
            .query_typed_one(
                &format!(
                    "select exists (select from pg_catalog.pg_namespace where nspname = '{schema}')"
                ),
                &[],
            )
            .await
            .map_err(|error| self.failed(&error))?;
        if !has_schema.get::<_, bool>(0) {
            let text = format!("create schema {quoted}");
            let made = self.client.batch_execute(&text).await;
            made.map_err(|error| self.failed(&error))?;
        }
        for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            let text = step
                .replace("{schema}", &quoted)
                .replace("{channel}", &self.config.channel());
            let made = self.client.batch_execute(&text).await;
            made.map_err(|error| self.failed(&error))?;
        }
        if found < VERSION {
            tracing::info!(schema, version = VERSION, "made the tables of the log");
        }
        let text = format!(
            "insert into {quoted}.settings (version, max_events, max_bytes, max_record_bytes, span_ms) \
             values ({VERSION}, 1, 1, 1, 1) on conflict (only_one) do update set version = excluded.version"
        );
        let made = self.client.batch_execute(&text).await;
        made.map_err(|error| self.failed(&error))
    }

    /// Writes the settings that the functions read, if they are others than those that are there.
    async fn set(&self) -> Result<(), OpenError> {
        let config = self.config;
        let quoted = format!("\"{}\"", config.schema);
        let (events, bytes) = (to_i64(config.history_events), to_i64(config.history_bytes));
        let record = i64::try_from(config.max_record_bytes).unwrap_or(i64::MAX);
        let span = config.span_ms();
        // Where the length of a span changes, buckets are left alone until all that they have is older than both say.
        let settings = format!(
            "update {quoted}.settings set max_events = {events}, max_bytes = {bytes}, max_record_bytes = {record}, \
             span_ms = {span}, \
             span_since = case when span_ms in (1, {span}) then span_since else clock_timestamp() end, \
             span_wait_ms = case when span_ms in (1, {span}) then span_wait_ms else greatest(span_ms, {span}) * 8 end \
             where (max_events, max_bytes, max_record_bytes, span_ms) is distinct from ({events}, {bytes}, {record}, {span})"
        );
        self.client
            .batch_execute(&settings)
            .await
            .map_err(|error| self.failed(&error))?;
        for (name, channel) in &config.kinds {
            let text = format!(
                "insert into {quoted}.kind as known (name, channel) values ($1, $2) on conflict (name) \
                 do update set channel = excluded.channel where known.channel <> excluded.channel"
            );
            let channel = i16::from(channel.number());
            // With its types, so that nothing is prepared: behind a pooler, what is prepared on one connection of the
            // server is unknown on the next.
            self.client
                .query_typed(&text, &[(name, Type::TEXT), (&channel, Type::INT2)])
                .await
                .map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }
}
