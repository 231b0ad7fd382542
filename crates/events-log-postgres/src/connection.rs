//! One connection, and how it is made.

use std::{future, sync::Arc};

use tokio::task::JoinSet;
use tokio_postgres::{
    Client, Row, Statement,
    types::{ToSql, Type},
};

use crate::{
    address::Address,
    error::chain,
    life::{Identity, Life},
    statement::{Call, Statements},
    value::Uuid,
};

/// What is set on each session that is ours alone. An append that waits for the lock of a user longer than this is
/// known not to be made; one that runs into our own deadline is not.
const SETTINGS: &str = "set statement_timeout = '3500ms'; set lock_timeout = '1500ms'; set jit = off; \
     set default_transaction_isolation = 'read committed'; set idle_in_transaction_session_timeout = '10s'";

/// A session with the database.
pub(crate) struct Connection {
    client: Client,
    /// Statements that the session knows by name; none of them behind a pooler, where the next one may go to another.
    prepared: Option<[Option<Statement>; Call::COUNT]>,
    /// Moves the bytes; it ends with the connection.
    _driver: JoinSet<()>,
}

/// Makes connections to one log.
pub(crate) struct Connector {
    pub(crate) address: Address,
    pub(crate) statements: Arc<Statements>,
    pub(crate) pooler: bool,
}

impl Connector {
    /// Connects without a look at which log is there.
    pub(crate) async fn connect_any(&self) -> Result<Connection, tokio_postgres::Error> {
        let tls = self.address.tls.clone();
        let (client, mut connection) = self.address.config.connect(tls).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            while let Some(message) = future::poll_fn(|cx| connection.poll_message(cx)).await {
                if let Err(error) = message {
                    tracing::debug!(error = chain(&error), "a connection to PostgreSQL ended");
                    return;
                }
            }
        });
        let prepared = (!self.pooler).then(Default::default);
        if !self.pooler {
            client.batch_execute(SETTINGS).await?;
        }
        Ok(Connection {
            client,
            prepared,
            _driver: driver,
        })
    }

    /// Connects to the log of this life. The text says why it cannot.
    pub(crate) async fn connect(&self, life: &Life) -> Result<Connection, String> {
        let place = &self.address.place;
        let failed = |error: &tokio_postgres::Error| {
            format!("cannot connect to PostgreSQL at {place}: {}", chain(error))
        };
        let mut connection = self.connect_any().await.map_err(|error| failed(&error))?;
        let identity = connection
            .identity(&self.statements)
            .await
            .map_err(|error| failed(&error))?;
        if life.meet(&identity) {
            return Ok(connection);
        }
        Err(another_log(place))
    }
}

impl Connection {
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a statement and waits for the end of its answer, which is after the commit.
    pub(crate) async fn query(
        &mut self,
        statements: &Statements,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let types = call.types();
        let text = statements.text(call);
        let Some(prepared) = &mut self.prepared else {
            let typed: Vec<(&(dyn ToSql + Sync), Type)> = parameters
                .iter()
                .copied()
                .zip(types.iter().cloned())
                .collect();
            return self.client.query_typed(text, &typed).await;
        };
        let known = &mut prepared[call as usize];
        let statement = match known {
            Some(statement) => statement,
            None => known.insert(self.client.prepare_typed(text, types).await?),
        };
        self.client.query(&*statement, parameters).await
    }

    /// Asks which log this is.
    pub(crate) async fn identity(
        &mut self,
        statements: &Statements,
    ) -> Result<Identity, tokio_postgres::Error> {
        let rows = self.query(statements, Call::Identity, &[]).await?;
        read_identity(&rows)
    }
}

/// What is said from when another log was met on.
pub(crate) fn another_log(place: &str) -> String {
    format!("PostgreSQL at {place} has another log than at the start; restart this process")
}

/// Reads the answer to [`Call::Identity`], which always has one row.
pub(crate) fn read_identity(rows: &[Row]) -> Result<Identity, tokio_postgres::Error> {
    let Some(row) = rows.first() else {
        return Ok(Identity {
            log_id: 0,
            timeline: String::new(),
            cluster: String::new(),
        });
    };
    let log_id: Uuid = row.try_get(0)?;
    Ok(Identity {
        log_id: log_id.0,
        timeline: row.try_get::<_, Option<String>>(1)?.unwrap_or_default(),
        cluster: row.try_get::<_, Option<String>>(2)?.unwrap_or_default(),
    })
}
