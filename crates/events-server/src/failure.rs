//! Why a command did not do what was asked.

use std::{error::Error, io, net::SocketAddr, path::PathBuf};

use events_client::{Cause, ClosingReason, Error as HubError};

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
    /// Spans cannot be sent.
    #[error("telemetry.otlp is of no use")]
    Telemetry(#[source] Box<dyn Error + Send + Sync>),
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
        "no key configured: tokens cannot be checked; set auth.secret to 32 random bytes or more (EVENTS_AUTH__SECRET, \
         such as \"openssl rand -hex 32\" prints), or auth.keys to a file or address of public keys, or use \"events \
         serve --insecure\" on a loopback address"
    )]
    NoKey,
    /// There is no secret to sign a token with.
    #[error(
        "no secret configured: tokens are signed with auth.secret; set it as the hub has it (EVENTS_AUTH__SECRET), or \
         have your issuer sign the token"
    )]
    NoSecret,
    /// The keys that tokens are checked with cannot be used.
    #[error("auth.keys cannot be used")]
    Keys(#[source] events_axum::auth::KeyError),
    /// The address is taken, or is not of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The log cannot be reached, or is not fit.
    #[error("cannot open the log {log}")]
    Log {
        /// The log, without a password.
        log: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The log is another one than at the start, such as one that was restored or made anew.
    #[error("the log is another one than at the start; start again, and clients are told of a gap")]
    LogReplaced,
    /// The runtime or its signals cannot be set up.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The hub refuses, or cannot be asked.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// No hub has answered yet.
    #[error("no hub answers at {url}: {}", cause_text(cause))]
    Unreached {
        /// The address, without a password.
        url: String,
        /// Why the attempt failed.
        cause: Box<Cause>,
    },
    /// The hub wants to know who asks, and nothing says it.
    #[error("the hub wants to know whose stream it is (status 401)")]
    Nobody,
    /// The hub was lost while lines were published.
    #[error("{} {}: {}", lines_text(*first, *last), if *is_unknown { "may be published or not" } else { "are not published" }, cause_text(cause))]
    Unpublished {
        /// The first of the lines, counted from 1. Those before it are published.
        first: u64,
        /// The last of them. Those after it are not published.
        last: u64,
        /// Whether the hub may have taken them.
        is_unknown: bool,
        /// Why the last attempt failed.
        cause: Box<Cause>,
    },
    /// A signal ended a command that had more to do.
    #[error("stopped by a signal: {}", rest_text(*before, *unknown))]
    Stopped {
        /// The first line that is not known to be published, counted from 1.
        before: u64,
        /// The last line that the hub may have taken.
        unknown: Option<u64>,
    },
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
    /// The file would be lost.
    #[error("{} has something in it", .0.display())]
    Exists(PathBuf),
    /// The file is no recording.
    #[error("{} is no recording: {reason}", path.display())]
    NoRecording {
        /// The file.
        path: PathBuf,
        /// What is wrong with its first line.
        reason: String,
    },
    /// A line of a recording is damaged. What stands before it is published.
    #[error("{} line {line} is damaged: {reason}", path.display())]
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
    /// There is nothing to draw on.
    #[error("standard output is no terminal that a screen could be drawn on")]
    NoTerminal,
    /// The terminal does not do what it is asked.
    #[error("the terminal failed")]
    Terminal(#[source] io::Error),
    /// Readers did not see what they should have seen.
    #[error("{0}")]
    Delivery(String),
}

/// Says why an attempt failed: what the system says where there is no answer.
pub(crate) fn cause_text(cause: &Cause) -> String {
    let root = std::iter::successors(Error::source(cause), |error| (*error).source()).last();
    match root {
        Some(root) => format!("{cause} ({root})"),
        None => cause.to_string(),
    }
}

fn lines_text(first: u64, last: u64) -> String {
    if first == last {
        format!("line {first}")
    } else {
        format!("lines {first} to {last}")
    }
}

fn rest_text(before: u64, unknown: Option<u64>) -> String {
    match unknown {
        Some(last) => {
            let lines = lines_text(before, last);
            format!("{lines} may be published or not, what stands behind is not")
        }
        None => format!("line {before} and what stands behind it are not published"),
    }
}

/// Says why a stream was closed.
pub(crate) const fn reason_text(reason: ClosingReason) -> &'static str {
    match reason {
        ClosingReason::Draining => "draining",
        ClosingReason::TokenExpired => "the token has expired",
        ClosingReason::Revoked => "revoked by an operator",
        ClosingReason::Replaced => "replaced by a newer connection",
        ClosingReason::Slow => "too slow",
        ClosingReason::MaxAge => "it has lived for as long as it may, or an operator has closed it",
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
            | Self::Telemetry(_)
            | Self::NotLoopback { .. }
            | Self::NoKey
            | Self::NoSecret
            | Self::Keys(_)
            | Self::Hub(HubError::Invalid(_) | HubError::Address(_)) => 2,
            Self::Listen { .. }
            | Self::Log { .. }
            | Self::LogReplaced
            | Self::Start(_)
            | Self::Hub(_)
            | Self::Unreached { .. }
            | Self::Nobody
            | Self::Unpublished { .. }
            | Self::Stopped { .. }
            | Self::RefusedLine { .. }
            | Self::Ended(_)
            | Self::File { .. }
            | Self::Exists(_)
            | Self::NoRecording { .. }
            | Self::Recording { .. }
            | Self::Refused(_)
            | Self::Unreachable { .. }
            | Self::NoTerminal
            | Self::Terminal(_)
            | Self::Delivery(_) => 1,
        }
    }

    /// Says what to do, where the text and its causes do not.
    fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Listen { .. } => "choose another address with --listen",
            Self::Unreachable { .. } => "check that it runs, and --url",
            Self::NoTerminal => "use 'events tail --stream llm', with --json for a program",
            Self::Telemetry(_) => {
                "give the address of a collector's OTLP receiver for HTTP, such as http://127.0.0.1:4318"
            }
            Self::LogFilter(_) => "use a level such as \"info\", or \"events_axum=debug\"",
            Self::Nobody => "name the user with --user, or set EVENTS_TOKEN to a token",
            Self::Hub(HubError::Status { status, .. }) => match status {
                300..=399 => "give the new address with --url",
                401 => "set EVENTS_TOKEN to a token of this hub, or check --url",
                404 | 405 => {
                    "either --url is not the address of a hub, or that hub does not have this stream"
                }
                _ => return None,
            },
            Self::Hub(HubError::NotAStream(_) | HubError::Answer(_)) => {
                "check --url: what answers there is no hub"
            }
            Self::Hub(HubError::Address(_)) => "use one such as http://127.0.0.1:4000",
            Self::Hub(HubError::Tls(_)) => {
                "install the certificates of the system, or name an authority with --ca"
            }
            Self::Unreached { cause, .. } => advice_without_hub(cause),
            Self::Unpublished { .. } => "check the hub, and publish them again when it is back",
            Self::RefusedLine { reason, .. } if reason.contains("not JSON") => {
                "each line must be one whole event"
            }
            Self::File {
                action: "read",
                source,
                ..
            } if source.kind() == io::ErrorKind::NotFound => "check the path",
            Self::File {
                action: "write", ..
            } => "name another file",
            Self::Exists(_) => "name another file, or replace it with --force",
            Self::NoRecording { .. } => {
                "'events record' makes one, and 'events publish' takes events, one a line"
            }
            Self::Recording { .. } => {
                "the lines before it are published; remove it to play the others"
            }
            _ => return None,
        })
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

fn advice_without_hub(cause: &Cause) -> &'static str {
    let text = cause_text(cause);
    match cause {
        Cause::Transport(_) if text.contains("certificate") => {
            "name the authority that signed it with --ca FILE, or check --url"
        }
        Cause::Transport(_) if text.contains("corrupt message") => {
            "check --url: what answers there does not speak TLS, so perhaps it is an http:// address"
        }
        Cause::Transport(_) if cause.is_not_connected() => {
            "start one with 'events dev', check --url, or wait for it with --wait"
        }
        _ => "check --url: what answers there is no hub",
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
