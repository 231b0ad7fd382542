//! What was written where, before it is understood.

use std::{ffi::OsString, path::PathBuf};

use super::{ConfigError, Origin, agents, file, keys::VARIABLE_PREFIX, providers::PREFIX};

/// One value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The key in the spelling of the file.
    pub(super) key: String,
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// Where settings are read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The environment, of which the variables that begin with `EVENTS_` are read.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags: a key and its text. `llm` with `NAME=URL` and `llm.providers` with `NAME.KEY=VALUE` stand for the keys of
    /// a provider; `agent` with `NAME=URL` and `agui.agents` with `NAME.KEY=VALUE` for those of an agent.
    pub flags: Vec<(&'static str, String)>,
}

/// Variables of the commands and of the test harness, which are not settings.
const NOT_SETTINGS: [&str; 15] = [
    "EVENTS_TOKEN",
    "EVENTS_REQUIRE_ALL",
    "EVENTS_CLIENTS",
    "EVENTS_CHROMIUM",
    "EVENTS_BIN",
    "EVENTS_POSTGRES",
    "EVENTS_DISK_KILLS",
    "EVENTS_SOAK",
    "EVENTS_SOAK_MINUTES",
    "EVENTS_SEED",
    "EVENTS_SCHEDULES",
    "EVENTS_FUZZ_SECONDS",
    "EVENTS_MODEL_CASES",
    "EVENTS_BARE_CLIENT",
    "EVENTS_CUT_AFTER",
];

impl Sources {
    /// Lists what was written, what counts more after what counts less.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, ConfigError> {
        let mut entries = match &self.file {
            Some(path) => file::entries(path)?,
            None => Vec::new(),
        };
        let mut variables: Vec<Entry> = self.environment.iter().filter_map(of_variable).collect();
        variables.sort_by(|a, b| a.key.cmp(&b.key));
        entries.extend(variables);
        for (key, text) in &self.flags {
            entries.push(of_flag(key, text)?);
        }
        Ok(entries)
    }
}

/// Reads a flag. That of a provider has its name in its value.
fn of_flag(key: &str, text: &str) -> Result<Entry, ConfigError> {
    let (key, value, flag) = match (key, text.split_once('=')) {
        ("llm", Some((name, url))) => (
            format!("{PREFIX}{name}.base_url"),
            url,
            format!("--llm {name}=…"),
        ),
        ("llm.providers", Some((rest, value))) => {
            let key = format!("{PREFIX}{rest}");
            let flag = format!("--{key}");
            (key, value, flag)
        }
        ("llm" | "llm.providers", None) => {
            return Err(ConfigError::BadValue {
                key: "llm".to_owned(),
                value: super::without_password(text),
                origin: Origin::Flag("--llm".to_owned()),
                expected: "a provider as NAME=URL, such as \"up=https://api.example.com\""
                    .to_owned(),
            });
        }
        ("agent", Some((name, url))) => (
            format!("{}{name}.url", agents::PREFIX),
            url,
            format!("--agent {name}=…"),
        ),
        ("agui.agents", Some((rest, value))) => {
            let key = format!("{}{rest}", agents::PREFIX);
            let flag = format!("--{key}");
            (key, value, flag)
        }
        ("agent" | "agui.agents", None) => {
            return Err(ConfigError::BadValue {
                key: "agent".to_owned(),
                value: super::without_password(text),
                origin: Origin::Flag("--agent".to_owned()),
                expected: "an agent as NAME=URL, such as \"helper=http://127.0.0.1:8000/\""
                    .to_owned(),
            });
        }
        _ => (key.to_owned(), text, format!("--{key}")),
    };
    Ok(Entry {
        key,
        text: value.to_owned(),
        origin: Origin::Flag(flag),
    })
}

fn of_variable((name, value): &(OsString, OsString)) -> Option<Entry> {
    let name = name.to_string_lossy();
    let rest = name.strip_prefix(VARIABLE_PREFIX)?;
    if NOT_SETTINGS.contains(&&*name) || is_of_orchestrator(rest) {
        return None;
    }
    Some(Entry {
        key: rest.replace("__", ".").to_lowercase(),
        // A value that is not UTF-8 is refused with the rest of what is not legal.
        text: value.to_string_lossy().into_owned(),
        origin: Origin::Variable(name.into_owned()),
    })
}

/// Whether Kubernetes sets this variable by itself, as it does in every pod beside a service named `events`:
/// `EVENTS_SERVICE_HOST`, `EVENTS_SERVICE_PORT_HTTP`, `EVENTS_PORT`, `EVENTS_PORT_4000_TCP_ADDR`.
fn is_of_orchestrator(rest: &str) -> bool {
    rest == "SERVICE_HOST"
        || rest == "PORT"
        || rest.starts_with("SERVICE_PORT")
        || rest
            .strip_prefix("PORT_")
            .is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()))
}
