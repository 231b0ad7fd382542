//! Why a command did not do what was asked.

use std::{error::Error, io, net::SocketAddr};

use crate::config::ConfigError;

/// Why a command ends without success; its text and [`Failure::line`] say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The command line is wrong; the text is a whole sentence.
    #[error("{0}")]
    Usage(String),
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The filter of the logs is wrong.
    #[error("RUST_LOG is not a filter of logs")]
    LogFilter(#[source] Box<dyn Error + Send + Sync>),
    /// Without tokens, everybody who reaches the address may publish.
    #[error(
        "cannot listen on {address}: \"{command}\" asks for no tokens, so it is for this machine only; use a loopback \
         address such as 127.0.0.1:{}",
        address.port()
    )]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
        /// The command that refuses it.
        command: &'static str,
    },
    /// There is no key to check tokens with.
    #[error(
        "no key configured: this version has no tokens yet, so only \"events serve --insecure\" on a loopback address \
         is available"
    )]
    NoKey,
    /// The address is taken, or is not of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The runtime or its signals cannot be set up.
    #[error("cannot start")]
    Start(#[source] io::Error),
}

impl Failure {
    /// Tells the exit code: 2 if the call or the configuration has to be changed, 1 if it failed in the doing.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Config(_)
            | Self::LogFilter(_)
            | Self::NotLoopback { .. }
            | Self::NoKey => 2,
            Self::Listen { .. } | Self::Start(_) => 1,
        }
    }

    /// Says what to do, where the text and its causes do not.
    const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Listen { .. } => Some("choose another address with --listen"),
            Self::LogFilter(_) => Some("use a level such as \"info\", or \"events_axum=debug\""),
            _ => None,
        }
    }

    /// Writes the failure, its causes and what to do as one line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("error: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some foreign errors repeat their source.
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        if let Some(advice) = self.advice() {
            line.push_str("; ");
            line.push_str(advice);
        }
        line.replace('\n', " ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_its_cause() {
        let address = SocketAddr::from(([127, 0, 0, 1], 4_000));
        let source = io::Error::other("in\nuse");
        let failure = Failure::Listen { address, source };
        assert_eq!(
            failure.line(),
            "error: cannot listen on 127.0.0.1:4000: in use; choose another address with --listen"
        );
        assert_eq!(failure.exit_code(), 1);
        assert!(
            Failure::NoKey
                .line()
                .starts_with("error: no key configured: ")
        );
        assert_eq!(Failure::NoKey.exit_code(), 2);
    }
}
