//! What can go wrong, in words.

use std::path::PathBuf;

use events_core::EventError;

/// Why the log could not be opened. No text holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsLogOpenError {
    /// The configuration cannot be; the text says what to change.
    #[error("log nats: {0}")]
    Config(String),
    /// A file cannot be read or used.
    #[error("log nats: cannot use {}: {why}; check the path and its permissions", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No server was reached, or none let us in.
    #[error("log nats: cannot connect to {servers}: {why}")]
    Connect {
        /// The addresses, without secrets.
        servers: String,
        /// What happened, and what to do.
        why: String,
    },
    /// The server does not serve JetStream as it has to.
    #[error("log nats: {0}")]
    JetStream(String),
    /// A stream is there, and keeps less than is configured.
    #[error(
        "log nats: stream {stream} differs from the configuration: {}; change it with `nats stream edit {stream}`, or \
         change the configuration",
        differences.join(", ")
    )]
    Differs {
        /// The stream.
        stream: String,
        /// What differs, one text for each setting.
        differences: Vec<String>,
    },
}

/// What happened on the way to the server, for [`EventError::Unavailable`].
#[derive(Debug, thiserror::Error)]
#[error("nats: {0}")]
pub(crate) struct Fault(pub(crate) String);

/// Nothing was done, for this reason.
pub(crate) fn unavailable(why: impl Into<String>) -> EventError {
    EventError::Unavailable(Box::new(Fault(why.into())))
}
