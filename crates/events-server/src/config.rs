//! Settings: their table, where they come from, and what they mean.

mod field;
mod file;
mod keys;
mod nearest;
mod settings;
mod sources;

#[cfg(test)]
mod tests;

pub use field::Field;
pub use keys::{KEYS, Key};
pub use settings::Settings;
pub use sources::Sources;

pub(crate) use nearest::nearest_key;

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
        nearest: &'static str,
    },
    /// The value of a known key is not legal.
    #[error("{key} = {value:?} in {origin}: expected {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value as it was written.
        value: String,
        /// Where.
        origin: Origin,
        /// What is legal.
        expected: String,
    },
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogSpecError),
    /// Two values contradict each other.
    #[error("{0}")]
    Contradiction(String),
}
