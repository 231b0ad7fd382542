//! Which log keeps the events.

use std::{fmt, path::PathBuf, str::FromStr};

/// A log by its name on the command line. `Display` and `Debug` show no password.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogSpec {
    /// The memory of this process: forgotten when it ends.
    #[default]
    Memory,
    /// A file in this folder, for one process.
    Disk(PathBuf),
    /// NATS JetStream, at one or more addresses divided by commas.
    Nats(String),
    /// PostgreSQL, at this address.
    Postgres(String),
}

/// The text names no log. It is not repeated in full, because an address may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogSpecError {
    /// No folder is named.
    #[error("log \"disk:\" names no folder: say \"disk:PATH\", such as \"disk:/var/lib/events\"")]
    NoFolder,
    /// No kind of log that is known.
    #[error(
        "log \"{beginning}\" is not known: use \"memory\", \"disk:PATH\", \"nats://HOST:PORT\" or \"postgres://…\""
    )]
    Unknown {
        /// What may be repeated of the text.
        beginning: String,
    },
}

impl FromStr for LogSpec {
    type Err = LogSpecError;

    fn from_str(text: &str) -> Result<Self, LogSpecError> {
        let has_scheme = |schemes: &[&str]| schemes.iter().any(|scheme| text.starts_with(scheme));
        if text == "memory" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("disk:") {
            return if path.is_empty() {
                Err(LogSpecError::NoFolder)
            } else {
                Ok(Self::Disk(path.into()))
            };
        }
        if has_scheme(&["nats://", "tls://"]) {
            return Ok(Self::Nats(text.to_owned()));
        }
        if has_scheme(&["postgres://", "postgresql://"]) {
            return Ok(Self::Postgres(text.to_owned()));
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
            Self::Disk(path) => write!(f, "disk:{}", path.display()),
            Self::Nats(addresses) => {
                for (index, address) in addresses.split(',').enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{}", without_secrets(address))?;
                }
                Ok(())
            }
            Self::Postgres(address) => f.write_str(&without_secrets(address)),
        }
    }
}

impl fmt::Debug for LogSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogSpec({self})")
    }
}

/// Hides a user, a password and what a query may hold.
fn without_secrets(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?…"),
        None => (rest, ""),
    };
    // A password may hold an @ by mistake: everything before the last one is hidden.
    let (user, host) = match rest.rsplit_once('@') {
        Some((_, host)) => ("…@", host),
        None => ("", rest),
    };
    let scheme = if scheme.is_empty() {
        String::new()
    } else {
        format!("{scheme}://")
    };
    format!("{scheme}{user}{host}{query}")
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
    fn a_log_is_shown_without_its_secrets() {
        for (text, shown) in [
            ("disk:/var/lib/events", "disk:/var/lib/events"),
            ("nats://one:4222,two:4222", "nats://one:4222,two:4222"),
            (
                "nats://u:hunter2@one:4222,nats://hunter2@two",
                "nats://…@one:4222,nats://…@two",
            ),
            ("tls://hunter2@one", "tls://…@one"),
            (
                "postgres://u:hunter2@db:5432/events?password=hunter2",
                "postgres://…@db:5432/events?…",
            ),
            ("postgresql://u:hunt@er2@db", "postgresql://…@db"),
        ] {
            let spec: LogSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), shown);
            assert!(!format!("{spec:?}").contains("hunt"));
        }
    }

    #[test]
    fn what_names_no_log_is_refused_and_keeps_its_password() {
        let choices = r#"use "memory", "disk:PATH", "nats://HOST:PORT" or "postgres://…""#;
        for (text, beginning) in [
            ("redis://:hunter2@cache", "redis:…"),
            ("Memory", "Memory"),
            ("", ""),
        ] {
            let says = format!("log \"{beginning}\" is not known: {choices}");
            assert_eq!(text.parse::<LogSpec>().unwrap_err().to_string(), says);
        }
        assert_eq!("disk:".parse::<LogSpec>(), Err(LogSpecError::NoFolder));
    }
}
