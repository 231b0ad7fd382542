//! Settings of agents: those of all of them, and the keys of one, whose names have the agent's name in the middle.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use events_agents::{AgentConfig, AgentLimits, AgentsConfig};

use super::{ConfigError, Settings, llm::read_file};

/// What the keys of all agents begin with.
pub(super) const PREFIX: &str = "agui.agents.";

/// What the keys of an agent's headers begin with, behind its name.
const HEADERS: &str = "headers.";

/// The most agents.
const MAX_AGENTS: usize = 256;
/// The most headers of one agent.
const MAX_HEADERS: usize = 32;
/// The longest value of a header, in bytes.
const MAX_VALUE: usize = 8 << 10;

/// Everything that can be set of agents; see [`KEYS`](super::KEYS) and [`AGENT_KEYS`].
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The agents by their names. One without an address is none yet.
    pub agents: BTreeMap<String, AgentSetting>,
    /// How long a connection to an agent may take.
    pub connect_timeout: Duration,
    /// Bounds of runs.
    pub limits: AgentLimits,
    /// A file of certificates in PEM that are trusted beside those of the system.
    pub ca: Option<PathBuf>,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            agents: BTreeMap::new(),
            connect_timeout: Duration::from_secs(5),
            limits: AgentLimits {
                runs: 128,
                ..AgentLimits::default()
            },
            ca: None,
        }
    }
}

/// What is set of one agent.
#[derive(Clone, Debug)]
pub struct AgentSetting {
    /// Where it is and what it is sent.
    pub config: AgentConfig,
    /// A file of further headers, one `Name: value` a line.
    pub headers_file: Option<PathBuf>,
}

impl Default for AgentSetting {
    fn default() -> Self {
        Self {
            config: AgentConfig::new(""),
            headers_file: None,
        }
    }
}

/// One setting of an agent: `url` of the agent `helper` is `agui.agents.helper.url` in the file,
/// `EVENTS_AGUI__AGENTS__HELPER__URL` in the environment and `--agui.agents.helper.url` on the command line.
#[derive(Clone, Copy, Debug)]
pub struct AgentKey {
    /// Its last part.
    pub name: &'static str,
    /// What it is for, one line.
    pub doc: &'static str,
    /// What is legal.
    pub expected: &'static str,
    set: fn(&mut AgentSetting, &str) -> Option<()>,
    show: fn(&AgentSetting) -> String,
}

/// All settings of an agent but its headers, in the order of the help.
pub static AGENT_KEYS: [AgentKey; 5] = [
    AgentKey {
        name: "url",
        doc: "where the agent is, as an official client would be given it",
        expected: "an address such as \"https://agents.example.com/chat\", without a name, password or fragment",
        set: |agent, text| is_url(text).then(|| text.clone_into(&mut agent.config.url)),
        show: |agent| match agent.config.url.split_once('?') {
            // A query may hold a key.
            Some((place, _)) => format!("{place}?(hidden)"),
            None => agent.config.url.clone(),
        },
    },
    AgentKey {
        name: "headers_file",
        doc: "a file of headers that the agent is sent, one \"Name: value\" a line",
        expected: "the name of a file, or nothing",
        set: |agent, text| {
            let is_line = text.len() <= 500 && !text.chars().any(char::is_control);
            is_line.then(|| agent.headers_file = (!text.is_empty()).then(|| text.into()))
        },
        show: |agent| {
            let path = agent.headers_file.as_ref();
            path.map_or_else(String::new, |path| path.display().to_string())
        },
    },
    AgentKey {
        name: "forward_authorization",
        doc: "whether the agent gets the header Authorization of whoever asks, which is their token for the hub",
        expected: "true or false",
        set: |agent, text| {
            agent.config.forward_authorization = text.parse().ok()?;
            Some(())
        },
        show: |agent| agent.config.forward_authorization.to_string(),
    },
    AgentKey {
        name: "header_timeout",
        doc: "how long the agent may take to begin its answer",
        expected: TIME_EXPECTED,
        set: |agent, text| {
            agent.config.header_timeout = read_time(text)?;
            Some(())
        },
        show: |agent| humantime::format_duration(agent.config.header_timeout).to_string(),
    },
    AgentKey {
        name: "idle_timeout",
        doc: "how long the agent may be silent in its answer",
        expected: TIME_EXPECTED,
        set: |agent, text| {
            agent.config.idle_timeout = read_time(text)?;
            Some(())
        },
        show: |agent| humantime::format_duration(agent.config.idle_timeout).to_string(),
    },
];

const TIME_EXPECTED: &str =
    "a duration with its unit such as \"10s\" or \"15min\", from 1s to 1day";
const NAME_EXPECTED: &str = "an agent's name of 1 to 64 of a-z, 0-9, '-' and '_'";
const HEADER_EXPECTED: &str =
    "a header's name of letters, digits and '-' and a value of at most 8 KiB; at most 32 of them";

impl AgentKey {
    /// Shows the value of an agent; what may be secret in it is hidden.
    #[must_use]
    pub fn show(&self, agent: &AgentSetting) -> String {
        (self.show)(agent)
    }

    /// Shows the default.
    #[must_use]
    pub fn default_text(&self) -> String {
        self.show(&AgentSetting::default())
    }
}

/// Sets the key of an agent by its whole name; `None` if there is no such key.
pub(super) fn set(
    settings: &mut Settings,
    key: &str,
    text: &str,
) -> Option<Result<(), &'static str>> {
    let (name, last) = key.strip_prefix(PREFIX)?.split_once('.')?;
    let header = last.strip_prefix(HEADERS);
    let key = AGENT_KEYS.iter().find(|key| key.name == last);
    if key.is_none() && header.is_none() {
        return None;
    }
    let is_legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_legal) {
        return Some(Err(NAME_EXPECTED));
    }
    let agents = &mut settings.agents.agents;
    if agents.len() >= MAX_AGENTS && !agents.contains_key(name) {
        return Some(Err("at most 256 agents"));
    }
    let agent = agents.entry(name.to_owned()).or_default();
    Some(match (key, header) {
        (Some(key), _) => (key.set)(agent, text).ok_or(key.expected),
        (None, header) => set_header(agent, header.unwrap_or_default(), text),
    })
}

/// Tells whether the value of a key of an agent may be shown.
pub(super) fn is_secret(key: &str) -> bool {
    let last = key
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('.'));
    last.is_some_and(|(_, last)| last.starts_with(HEADERS))
}

/// A variable's name cannot have a hyphen, and a header's name has no underscore that a proxy lets through.
fn set_header(agent: &mut AgentSetting, name: &str, value: &str) -> Result<(), &'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    let headers = &mut agent.config.headers;
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = !name.is_empty() && name.len() <= 128 && name.bytes().all(is_legal);
    let is_value = value.len() <= MAX_VALUE && !value.chars().any(char::is_control);
    let has_room = headers.len() < MAX_HEADERS || headers.contains_key(&name);
    if !is_name || !is_value || !has_room {
        return Err(HEADER_EXPECTED);
    }
    headers.insert(name, value.to_owned());
    Ok(())
}

fn is_url(text: &str) -> bool {
    let is_legal =
        |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '\\' | '<' | '>' | '`');
    text.len() <= 2_000
        && text.chars().all(is_legal)
        && events_llm::gateway::UpstreamTarget::parse("agent", text).is_ok()
}

fn read_time(text: &str) -> Option<Duration> {
    let time = humantime::parse_duration(text).ok()?;
    let range = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
    range.contains(&time).then_some(time)
}

impl AgentSettings {
    /// Makes what the caller of agents is told, with the files that are named read.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is none of headers.
    pub fn config(&self) -> Result<AgentsConfig, ConfigError> {
        let authorities_pem = match &self.ca {
            Some(path) => read_file(path, "agui.ca")?,
            None => Vec::new(),
        };
        let mut agents = BTreeMap::new();
        for (name, setting) in &self.agents {
            let mut setting = setting.clone();
            if let Some(path) = setting.headers_file.clone() {
                let bytes = read_file(&path, "headers_file")?;
                let bad = |reason: String| ConfigError::BadFile {
                    key: "headers_file",
                    path: path.clone(),
                    reason,
                };
                let text = String::from_utf8(bytes)
                    .map_err(|_not_utf8| bad("it is not UTF-8".to_owned()))?;
                for (number, line) in text.lines().enumerate() {
                    let line = line.trim();
                    if line.is_empty() || line.starts_with('#') {
                        continue;
                    }
                    // The line itself is a secret.
                    let refuse = || bad(format!("line {} is no \"Name: value\"", number + 1));
                    let (header, value) = line.split_once(':').ok_or_else(refuse)?;
                    set_header(&mut setting, header.trim(), value.trim())
                        .map_err(|_expected| refuse())?;
                }
            }
            agents.insert(name.clone(), setting.config);
        }
        Ok(AgentsConfig {
            agents,
            limits: self.limits,
            connect_timeout: Some(self.connect_timeout),
            authorities_pem,
        })
    }

    /// Computes the most bytes that runs of agents can take beside the log: the input, an event as it came and as it is
    /// read, and what belongs to a connection.
    #[must_use]
    pub fn worst_case(&self, input_bytes: usize, event_bytes: usize) -> usize {
        if self.agents.is_empty() {
            return 0;
        }
        let per_run = input_bytes + 2 * event_bytes + (256 << 10);
        self.limits.runs.saturating_mul(per_run)
    }
}
