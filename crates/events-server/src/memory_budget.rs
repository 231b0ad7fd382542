//! The memory that there may be, against the memory that the settings allow.

use std::{fmt, fs, path::Path};

use crate::{
    ConfigError, Settings, WorstCase,
    config::{read_bytes, show_bytes},
    worst_case::Size,
};

/// How much memory the hub may take in the worst case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryBudget {
    /// What the machine, or the group of processes that the hub is in, has. More than that is a warning: the bounds are
    /// for all clients at their worst at the same time, and most machines never see that.
    #[default]
    Machine,
    /// No budget.
    Off,
    /// So many bytes. With settings that allow more, the hub does not start.
    Bytes(usize),
}

impl MemoryBudget {
    /// The least that can be set, in bytes: what a hub takes without clients, twice.
    const LEAST: usize = 64 << 20;

    /// What is legal.
    pub(crate) const EXPECTED: &str =
        "\"machine\", \"off\", or a size such as \"4GiB\", at least 64MiB";

    pub(crate) fn read(text: &str) -> Option<Self> {
        match text {
            "machine" => Some(Self::Machine),
            "off" => Some(Self::Off),
            size => {
                let n_bytes = usize::try_from(read_bytes(size)?).ok()?;
                (n_bytes >= Self::LEAST).then_some(Self::Bytes(n_bytes))
            }
        }
    }
}

impl fmt::Display for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("machine"),
            Self::Off => f.write_str("off"),
            Self::Bytes(n_bytes) => {
                f.write_str(&show_bytes(u64::try_from(*n_bytes).unwrap_or(u64::MAX)))
            }
        }
    }
}

/// Which setting makes a part smaller.
const LOWER: [(&str, &str); 16] = [
    ("events", "history.total_bytes"),
    ("analytics events", "history.total_bytes"),
    ("users", "limits.users"),
    ("threads, tasks and message ids", "limits.order_bytes"),
    ("folds", "limits.threads_bytes"),
    ("streams", "limits.streams"),
    ("bodies", "limits.bodies"),
    ("large bodies", "limits.large_bodies"),
    ("live requests", "limits.live_requests"),
    ("connections", "limits.connections"),
    ("reading bodies", "limits.body_bytes"),
    ("reading the log", "limits.catch_ups"),
    ("rates", "limits.user_id_bytes"),
    ("agents", "agui.runs"),
    ("llm gateway", "llm.streams"),
    ("llm screens", "llm.streams"),
];

/// How many settings are named.
const N_NAMED: usize = 3;

/// Compares what the settings allow with the budget. Returns a warning, if there is one.
///
/// # Errors
///
/// It is more than was set.
pub(crate) fn check(settings: &Settings) -> Result<Option<String>, ConfigError> {
    let worst_case = WorstCase::of(settings);
    let (n_bytes, of) = match settings.memory {
        MemoryBudget::Off => return Ok(None),
        MemoryBudget::Bytes(n_bytes) => (n_bytes, "limits.memory is"),
        MemoryBudget::Machine => match of_machine() {
            Some(n_bytes) => (n_bytes, "this machine has"),
            None => return Ok(None),
        },
    };
    if worst_case.bytes() <= n_bytes {
        return Ok(None);
    }
    let text = format!(
        "{of} {}, and the settings allow {} in the worst case: lower {}",
        Size(n_bytes),
        Size(worst_case.bytes()),
        largest(&worst_case)
    );
    match settings.memory {
        MemoryBudget::Bytes(_) => Err(ConfigError::Contradiction(format!(
            "{text}, or raise limits.memory"
        ))),
        _ => Ok(Some(format!("{text}, or set limits.memory"))),
    }
}

/// Names the settings of the largest parts, with their bytes.
fn largest(worst_case: &WorstCase) -> String {
    let mut parts: Vec<(&str, usize)> = Vec::new();
    for (part, n_bytes) in &worst_case.parts {
        let key = LOWER.iter().find(|(name, _)| name == part);
        let Some((_, key)) = key else {
            continue;
        };
        match parts.iter_mut().find(|(known, _)| known == key) {
            Some((_, sum)) => *sum = sum.saturating_add(*n_bytes),
            None => parts.push((key, *n_bytes)),
        }
    }
    parts.sort_by_key(|(_, n_bytes)| std::cmp::Reverse(*n_bytes));
    let named = parts.iter().take(N_NAMED);
    let named: Vec<_> = named
        .map(|(key, n_bytes)| format!("{key} ({})", Size(*n_bytes)))
        .collect();
    named.join(", ")
}

/// Returns the memory of the machine, or that of the group of processes (cgroup) if it is less; `None` where neither can
/// be read.
fn of_machine() -> Option<usize> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| of_meminfo(&text));
    let root = Path::new("/sys/fs/cgroup");
    let group = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    // Version 2 has one line, `0::/path`; inside a container the path may not be there, and the root is the group.
    let own = group.lines().find_map(|line| line.strip_prefix("0::/"));
    let files = [
        own.map(|path| root.join(path).join("memory.max")),
        Some(root.join("memory.max")),
        Some(root.join("memory/memory.limit_in_bytes")),
    ];
    let groups = files.into_iter().flatten();
    let groups = groups.filter_map(|path| read(&path)?.trim().parse().ok());
    groups.chain(machine).min()
}

fn of_meminfo(text: &str) -> Option<usize> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(memory: MemoryBudget) -> Settings {
        Settings {
            memory,
            ..Settings::default()
        }
    }

    #[test]
    fn more_than_was_set_is_refused_with_what_to_lower() {
        let n_bytes = WorstCase::of(&Settings::default()).bytes();
        assert!(matches!(
            check(&with(MemoryBudget::Bytes(n_bytes))),
            Ok(None)
        ));
        let refused = check(&with(MemoryBudget::Bytes(n_bytes - 1))).unwrap_err();
        let text = refused.to_string();
        for part in [
            "limits.memory is ",
            "lower limits.connections (",
            "limits.streams (",
            "raise limits.memory",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(matches!(check(&with(MemoryBudget::Off)), Ok(None)));
    }

    #[test]
    fn every_part_that_a_setting_bounds_names_one_that_there_is() {
        for (_, key) in LOWER {
            assert!(crate::Key::find(key).is_some(), "{key}");
        }
        let parts = WorstCase::of(&Settings::default()).parts;
        let unnamed = parts.iter().map(|(part, _)| *part);
        let unnamed: Vec<_> = unnamed
            .filter(|part| !LOWER.iter().any(|(name, _)| name == part))
            .collect();
        assert_eq!(unnamed, ["revocations", "process", "allocator"]);
    }

    #[test]
    fn the_memory_of_a_machine_is_read() {
        let text = "MemTotal:       24683520 kB\nMemFree:         1 kB\n";
        assert_eq!(of_meminfo(text), Some(24_683_520 * 1_024));
        assert_eq!(of_meminfo("MemFree: 1 kB"), None);
        #[cfg(target_os = "linux")]
        assert!(of_machine().is_some_and(|n_bytes| n_bytes > 64 << 20));
    }
}
