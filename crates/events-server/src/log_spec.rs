//! Which log keeps the events.

use std::{fmt, str::FromStr};

/// A log by its name on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogSpec {
    /// The memory of this process: forgotten when it ends.
    #[default]
    Memory,
}

/// The text names no log that can be used. It is not repeated in full, because an address may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogSpecError {
    /// A known kind of log that this version does not have.
    #[error("log \"{scheme}…\" is not built into this version: use \"memory\"")]
    NotBuilt {
        /// The kind, up to what follows it.
        scheme: &'static str,
    },
    /// No kind of log that is known.
    #[error("log \"{beginning}\" is not known: use \"memory\"")]
    Unknown {
        /// What may be repeated of the text.
        beginning: String,
    },
}

const NOT_BUILT: [&str; 4] = ["disk:", "nats://", "postgres://", "postgresql://"];

impl FromStr for LogSpec {
    type Err = LogSpecError;

    fn from_str(text: &str) -> Result<Self, LogSpecError> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        if let Some(scheme) = NOT_BUILT.iter().find(|scheme| text.starts_with(**scheme)) {
            return Err(LogSpecError::NotBuilt { scheme });
        }
        let beginning = match text.split_once(':') {
            Some((scheme, _)) => format!("{scheme}:…"),
            None => text.to_owned(),
        };
        Err(LogSpecError::Unknown { beginning })
    }
}

impl fmt::Display for LogSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_log_is_the_default_and_reads_back() {
        assert_eq!(
            LogSpec::default().to_string().parse(),
            Ok(LogSpec::default())
        );
    }

    #[test]
    fn a_log_that_is_not_built_in_says_so_and_keeps_its_password() {
        for (text, says) in [
            (
                "disk:/var/lib/events",
                r#"log "disk:…" is not built into this version: use "memory""#,
            ),
            (
                "nats://u:hunter2@broker:4222",
                r#"log "nats://…" is not built into this version: use "memory""#,
            ),
            (
                "postgres://u:hunter2@db/events",
                r#"log "postgres://…" is not built into this version: use "memory""#,
            ),
            (
                "postgresql://db",
                r#"log "postgresql://…" is not built into this version: use "memory""#,
            ),
            (
                "redis://:hunter2@cache",
                r#"log "redis:…" is not known: use "memory""#,
            ),
            ("Memory", r#"log "Memory" is not known: use "memory""#),
            ("", r#"log "" is not known: use "memory""#),
        ] {
            assert_eq!(text.parse::<LogSpec>().unwrap_err().to_string(), says);
        }
    }
}
