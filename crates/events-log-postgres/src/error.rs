//! What can go wrong, when a log is opened and when it is called.

use events_core::EventError;
use tokio_postgres::error::{Severity, SqlState};

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting is wrong; the text names it and its bounds.
    #[error("PostgreSQL log: {0}")]
    Config(String),
    /// The address is not one of a database. It is not shown, because it may have a password.
    #[error("PostgreSQL address: {0}; expected postgres://user:password@host:port/database")]
    Address(String),
    /// The database cannot be reached, or refuses the login.
    #[error(
        "cannot connect to PostgreSQL at {place}: {reason}; check the address, the password and that the server runs"
    )]
    Connect {
        /// Host, port and database.
        place: String,
        /// What the server or the system says.
        reason: String,
    },
    /// The server is a standby that is not promoted.
    #[error(
        "PostgreSQL at {place} is a read-only standby; give the address of the primary, or all hosts of the cluster"
    )]
    Standby {
        /// Host, port and database.
        place: String,
    },
    /// Transactions of this role or database are read-only by default.
    #[error(
        "PostgreSQL at {place} is read-only (default_transaction_read_only is on); use a role or database that may write"
    )]
    ReadOnly {
        /// Host, port and database.
        place: String,
    },
    /// The role lacks a right.
    #[error(
        "PostgreSQL at {place}: {reason}; the role must own schema {schema}, or be granted CREATE on the database to make it"
    )]
    NotPermitted {
        /// Host, port and database.
        place: String,
        /// The schema.
        schema: String,
        /// What the server says.
        reason: String,
    },
    /// A newer version of this program has changed the tables.
    #[error(
        "schema {schema} in PostgreSQL at {place} has version {found}, this program knows up to {known}; use the newer program"
    )]
    Newer {
        /// Host, port and database.
        place: String,
        /// The schema.
        schema: String,
        /// The version of the tables.
        found: i32,
        /// The newest version that is known.
        known: i32,
    },
    /// The server is too old, or the database is not in UTF-8.
    #[error("PostgreSQL at {place}: {reason}")]
    Unsuitable {
        /// Host, port and database.
        place: String,
        /// What it should be.
        reason: String,
    },
    /// A statement failed that should not.
    #[error("PostgreSQL at {place}: {reason}")]
    Failed {
        /// Host, port and database.
        place: String,
        /// What the server says.
        reason: String,
    },
}

/// Why a call failed, and so whether it has changed anything.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The statement was not sent, or was rolled back.
    NotDone(String),
    /// The same, and another try at once may succeed: a lock was lost to somebody else.
    Again(String),
    /// The connection or the time ended after the statement was sent.
    Unknown(String),
}

/// The text of an [`EventError::Unavailable`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// What cannot be kept as it is.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(pub(crate) &'static str);

impl CallError {
    /// Judges what a statement that was sent came to.
    pub(crate) fn of(error: &tokio_postgres::Error, place: &str) -> Self {
        let Some(db) = error.as_db_error() else {
            // Conversions fail before anything is sent, and after an answer was read: both are mistakes of ours.
            return Self::Unknown(format!("PostgreSQL at {place}: {}", chain(error)));
        };
        let text = format!(
            "PostgreSQL at {place}: {} ({}){}",
            db.message(),
            db.code().code(),
            advice(db.code())
        );
        match db.code() {
            // The session ends, and the commit may have been made before it did.
            _ if db.parsed_severity() != Some(Severity::Error) => Self::Unknown(text),
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => {
                Self::Again(text)
            }
            // The commit is in the log of the server, but nobody can say whether a standby has it.
            &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
            | &SqlState::TRANSACTION_RESOLUTION_UNKNOWN => Self::Unknown(text),
            _ => Self::NotDone(text),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::NotDone(text) | Self::Again(text) | Self::Unknown(text) => text,
        }
    }
}

impl From<CallError> for EventError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotDone(text) | CallError::Again(text) => {
                Self::Unavailable(Box::new(Unavailable(text)))
            }
            CallError::Unknown(text) => {
                tracing::debug!(error = text, "the outcome of a statement is unknown");
                Self::Timeout
            }
        }
    }
}

/// Says what an operator can do about the more frequent errors.
fn advice(code: &SqlState) -> &'static str {
    match *code {
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            "; it is a read-only standby or database: give the address of the primary"
        }
        SqlState::DISK_FULL => "; free space on the server's disk",
        SqlState::TOO_MANY_CONNECTIONS => "; raise the server's max_connections or lower ours",
        SqlState::INSUFFICIENT_PRIVILEGE => "; the role must own the schema of the log",
        SqlState::UNDEFINED_FUNCTION
        | SqlState::UNDEFINED_TABLE
        | SqlState::INVALID_SCHEMA_NAME
        | SqlState::NO_DATA_FOUND => "; the schema of the log is gone: start anew to make it",
        _ => "",
    }
}

/// Puts an error and its causes into one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        // Some errors repeat their cause.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = deeper.source();
    }
    text
}
