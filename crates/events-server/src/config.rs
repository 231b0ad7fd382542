//! Settings: their table, where they come from, and what they mean.

mod agents;
mod auth;
mod field;
mod file;
mod keys;
mod llm;
mod nearest;
mod providers;
mod rate;
mod settings;
mod size;
mod sources;

#[cfg(test)]
mod tests;

pub use agents::{AGENT_KEYS, AgentKey, AgentSetting, AgentSettings};
pub use auth::AuthSettings;
pub use field::Field;
pub use keys::{KEYS, Key};
pub use llm::{LlmSettings, Prices};
pub use providers::{PROVIDER_KEYS, ProviderKey};
pub use rate::Unit;
pub use settings::Settings;
pub use sources::Sources;

pub(crate) use nearest::nearest_key;
pub(crate) use size::{read_bytes, show_bytes};

use std::{fmt, io, path::PathBuf};

use crate::log_spec::LogSpecError;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a file, at a line (counted from 1).
    File(PathBuf, usize),
    /// In a variable of the environment.
    Variable(String),
    /// In a flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{} line {line}", path.display()),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Flag(name) => write!(f, "the flag {name}"),
        }
    }
}

/// Why there are no settings. Each text says what to change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{} line {line} is not TOML: {reason}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the reader of TOML says, on one line.
        reason: String,
    },
    /// There is no such key.
    #[error(
        "unknown key {key:?} in {origin}: the nearest known key is {nearest:?}, and 'events dev --help' lists all"
    )]
    UnknownKey {
        /// The key as it was written, in the spelling of the file.
        key: String,
        /// Where.
        origin: Origin,
        /// The known key that differs least.
        nearest: String,
    },
    /// The value of a known key is not legal.
    #[error("{key} = {value:?} in {origin}: expected {expected}")]
    BadValue {
        /// The key.
        key: String,
        /// The value as it was written, unless it may hold a password.
        value: String,
        /// Where.
        origin: Origin,
        /// What is legal.
        expected: String,
    },
    /// A file that a key names cannot be used.
    #[error("{key} = {path:?}: {reason}")]
    BadFile {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key cannot be used; the name of its setting, and why.
    #[error("{0} cannot be used")]
    Auth(&'static str, #[source] events_axum::auth::KeyError),
    /// The LLM gateway cannot be made of its settings.
    #[error("the LLM gateway cannot be set up")]
    Llm(#[from] events_llm::gateway::GatewayError),
    /// Agents cannot be called as they are configured.
    #[error("agents cannot be set up")]
    Agents(#[from] events_agents::AgentsError),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogSpecError),
    /// Two values contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

/// Hides who logs in, in an address that says so.
pub(crate) fn without_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let n_authority = rest.find('/').unwrap_or(rest.len());
    match rest[..n_authority].rfind('@') {
        Some(at) => format!("{scheme}://(hidden){}", &rest[at..]),
        None => value.to_owned(),
    }
}
