//! Why a command did not do what was asked.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use events_client::ClosingReason;

use crate::{config::ConfigError, terminal};

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
    /// The hub refuses, or cannot be asked.
    #[error(transparent)]
    Hub(#[from] events_client::Error),
    /// The hub refuses a line, or it is none that could be sent. The lines before it are published.
    #[error("line {line} refused: {reason}")]
    RefusedLine {
        /// The line of the input, counted from 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// The hub ended the stream and does not want the client back.
    #[error("the hub ended the stream: {}", reason_text(*.0))]
    Ended(ClosingReason),
    /// A file, or the standard input or output, cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is no recording.
    #[error("{} line {line} is not of a recording: {reason}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The hub does not do what it is asked.
    #[error("the hub refuses: {0}")]
    Refused(String),
    /// The hub cannot be reached, or not any more.
    #[error("cannot reach the hub at {hub}")]
    Unreachable {
        /// Its host and port.
        hub: String,
        /// What happened at the last attempt.
        #[source]
        source: io::Error,
    },
    /// Readers did not see what they should have seen.
    #[error("{0}")]
    Delivery(String),
}

/// Says why a stream was closed.
pub(crate) const fn reason_text(reason: ClosingReason) -> &'static str {
    match reason {
        ClosingReason::Draining => "draining",
        ClosingReason::TokenExpired => "the token has expired",
        ClosingReason::Revoked => "revoked by an operator",
        ClosingReason::Replaced => "replaced by a newer connection",
        ClosingReason::Slow => "too slow",
        ClosingReason::MaxAge => "it has reached its greatest age",
        _ => "for a reason that this version does not know",
    }
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
            | Self::NoKey
            | Self::Hub(events_client::Error::Invalid(_) | events_client::Error::Address(_)) => 2,
            Self::Listen { .. }
            | Self::Start(_)
            | Self::Hub(_)
            | Self::RefusedLine { .. }
            | Self::Ended(_)
            | Self::File { .. }
            | Self::Recording { .. }
            | Self::Refused(_)
            | Self::Unreachable { .. }
            | Self::Delivery(_) => 1,
        }
    }

    /// Says what to do, where the text and its causes do not.
    const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Listen { .. } => Some("choose another address with --listen"),
            Self::Unreachable { .. } => Some("check that it runs, and --url"),
            Self::LogFilter(_) => Some("use a level such as \"info\", or \"events_axum=debug\""),
            Self::Hub(events_client::Error::Status { status: 401, .. }) => {
                Some("name the user with --user, or set EVENTS_TOKEN to a token")
            }
            Self::Hub(events_client::Error::Address(_)) => {
                Some("use one such as http://127.0.0.1:4000")
            }
            Self::Hub(events_client::Error::Deadline { .. }) => {
                Some("the outcome of the last lines is not known; check the hub and --url")
            }
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
        // Some of it may be a hub's answer.
        terminal::escape(&line.replace('\n', " ")).into_owned()
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
