//! A bounded number of connections, and calls with a deadline on them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tokio_postgres::{Row, types::ToSql};

use crate::{
    connection::{Connection, Connector, another_log},
    counts::Counts,
    error::CallError,
    life::Life,
    statement::Call,
};

/// How often a statement is sent that lost a lock to others.
const TRIES: usize = 3;

/// Connections for calls.
pub(crate) struct Pool {
    connector: Connector,
    life: Arc<Life>,
    counts: Arc<Counts>,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(crate) fn new(
        connector: Connector,
        max_connections: usize,
        life: Arc<Life>,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            connector,
            life,
            counts,
            permits: Semaphore::new(max_connections),
            idle: Mutex::default(),
        }
    }

    pub(crate) fn place(&self) -> &str {
        &self.connector.address.place
    }

    /// Runs a statement within a time, which includes waiting for a connection and making one.
    ///
    /// When the future is dropped, the connection is too, as its answer would be somebody else's.
    pub(crate) async fn call(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
        limit: Duration,
    ) -> Result<Vec<Row>, CallError> {
        let deadline = Instant::now() + limit;
        let mut tries = 1;
        loop {
            match self.try_call(call, parameters, deadline).await {
                Err(CallError::Again(_)) if tries < TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_call(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
        deadline: Instant,
    ) -> Result<Vec<Row>, CallError> {
        let _permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                self.counts.pool_waits.add(1);
                timeout_at(deadline, self.permits.acquire())
                    .await
                    .ok()
                    .and_then(Result::ok)
                    .ok_or_else(|| {
                        CallError::NotDone(format!(
                            "all connections to PostgreSQL at {} are busy; raise max_connections or look for what blocks them",
                            self.place()
                        ))
                    })?
            }
        };
        // After the wait, so that nothing is sent to another log.
        if self.life.is_over() {
            return Err(CallError::NotDone(another_log(self.place())));
        }
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => {
                self.counts.connects.add(1);
                timeout_at(deadline, self.connector.connect(&self.life))
                    .await
                    .unwrap_or_else(|_| {
                        Err(format!(
                            "cannot connect to PostgreSQL at {} in time",
                            self.place()
                        ))
                    })
                    .map_err(CallError::NotDone)?
            }
        };
        let statements = &self.connector.statements;
        match timeout_at(deadline, connection.query(statements, call, parameters)).await {
            Ok(Ok(rows)) => {
                self.idle().push(connection);
                Ok(rows)
            }
            // The connection goes: what it has prepared may be what failed.
            Ok(Err(error)) => Err(CallError::of(&error, self.place())),
            Err(_) => Err(CallError::Unknown(format!(
                "PostgreSQL at {} did not answer in time",
                self.place()
            ))),
        }
    }

    /// Closes the connections that nobody uses now.
    pub(crate) fn forget_idle(&self) {
        let forgotten = std::mem::take(&mut *self.idle());
        drop(forgotten);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }
}
