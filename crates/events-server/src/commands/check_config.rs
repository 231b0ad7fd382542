//! `events check-config`: what is in effect.

use crate::{
    AGENT_KEYS, KEYS, Key, PROVIDER_KEYS, Settings, WorstCase, config::without_password,
    worst_case::Size,
};

/// Writes the settings as a configuration file that sets the same, with secrets left out, and the memory that they
/// allow.
pub(crate) fn check_config(settings: &Settings) -> String {
    let mut settings = settings.clone();
    let mut text = String::new();
    for key in &KEYS {
        let value = shown(key, &key.field.show(&mut settings));
        let default = shown(key, &key.default_text());
        let note = if value == default { "  # default" } else { "" };
        text.push_str(&format!("{} = {value}{note}\n", key.name));
    }
    for (name, provider) in &settings.llm.providers {
        for key in &PROVIDER_KEYS {
            let value = quoted(&key.show(provider));
            let note = if value == quoted(&key.default_text()) {
                "  # default"
            } else {
                ""
            };
            text.push_str(&format!(
                "llm.providers.{name}.{} = {value}{note}\n",
                key.name
            ));
        }
    }
    for (name, agent) in &settings.agents.agents {
        for key in &AGENT_KEYS {
            let value = quoted(&key.show(agent));
            let note = if value == quoted(&key.default_text()) {
                "  # default"
            } else {
                ""
            };
            text.push_str(&format!(
                "agui.agents.{name}.{} = {value}{note}\n",
                key.name
            ));
        }
        for header in agent.config.headers.keys() {
            text.push_str(&format!(
                "agui.agents.{name}.headers.{header} = \"(hidden)\"\n"
            ));
        }
    }
    let worst_case = WorstCase::of(&settings);
    text.push_str(&format!(
        "\n# worst-case memory: {} bytes ({})\n",
        worst_case.bytes(),
        Size(worst_case.bytes())
    ));
    for (name, n_bytes) in &worst_case.parts {
        text.push_str(&format!("#   {name}: {}\n", Size(*n_bytes)));
    }
    text
}

fn shown(key: &Key, value: &str) -> String {
    if value.parse::<u64>().is_ok() {
        return value.to_owned();
    }
    let value = if key.name.ends_with("secret") && !value.is_empty() {
        "(hidden)".to_owned()
    } else {
        without_password(value)
    };
    quoted(&value)
}

/// Writes a string of TOML. Only quotes and backslashes would end it early; the rest is on one line.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    #[test]
    fn what_is_printed_sets_the_same() {
        let flags = vec![
            ("limits.connections_per_user", "3".to_owned()),
            ("history.age", "90min".to_owned()),
            ("llm", "up=https://api.example.com/v1".to_owned()),
            ("llm.providers", "up.inject_stream_usage=true".to_owned()),
            ("llm.alerts.hourly_cost", "12.5".to_owned()),
        ];
        let settings = Settings::load(&Sources {
            flags,
            ..Sources::default()
        })
        .unwrap();
        let text = check_config(&settings);
        assert!(
            text.contains("\nlimits.connections_per_user = 3\n"),
            "{text}"
        );
        assert!(text.contains("\nhistory.age = \"1h 30m\"\n"), "{text}");
        assert!(
            text.contains("listen = \"127.0.0.1:4000\"  # default\n"),
            "{text}"
        );
        for line in [
            "llm.providers.up.base_url = \"https://api.example.com/v1\"\n",
            "llm.providers.up.vendor = \"\"  # default\n",
            "llm.providers.up.inject_stream_usage = \"true\"\n",
            "llm.alerts.hourly_cost = \"12.5\"\n",
            "#   llm gateway: ",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        assert!(text.contains("# worst-case memory: "), "{text}");
        assert!(text.contains("#   connections: "), "{text}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events.toml");
        std::fs::write(&file, &text).unwrap();
        let read = Settings::load(&Sources {
            file: Some(file),
            ..Sources::default()
        })
        .unwrap();
        assert_eq!(check_config(&read), text);
    }

    #[test]
    fn secrets_are_hidden() {
        let key = Key {
            name: "auth.secret",
            field: KEYS[0].field.clone(),
            doc: "",
        };
        assert_eq!(shown(&key, "hunter2"), r#""(hidden)""#);
        assert_eq!(
            shown(&KEYS[1], "nats://u:p@ss@h:1/x@y"),
            r#""nats://(hidden)@h:1/x@y""#
        );
        assert_eq!(shown(&KEYS[1], "disk:/a\\\"b"), r#""disk:/a\\\"b""#);
    }
}
