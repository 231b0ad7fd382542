//! Settings from all their sources.

mod llm;
mod postgres;

use std::path::Path;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Settings of variables and flags.
fn load(
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Settings, ConfigError> {
    let flags = flags
        .iter()
        .map(|(key, text)| (*key, (*text).to_owned()))
        .collect();
    Settings::load(&Sources {
        file: None,
        environment: variables(environment),
        flags,
    })
}

/// What a file sets: a key and its text, one per line.
fn of_file(text: &str) -> Result<Vec<String>, String> {
    let entries = file::parse(Path::new("events.toml"), text).map_err(|error| error.to_string())?;
    Ok(entries
        .iter()
        .map(|entry| format!("{} = {} ({})", entry.key, entry.text, entry.origin))
        .collect())
}

fn complaint(environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> String {
    load(environment, flags).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_those_of_the_crates_below() {
    let settings = load(&[], &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:4000");
    assert_eq!(settings.limits.connections_per_user, 10);
    assert_eq!(settings.drain_window.as_secs(), 10);
    let (ours, theirs) = (
        settings.router_config(),
        events_router::RouterConfig::default(),
    );
    assert_eq!(ours.worst_case_parts(256), theirs.worst_case_parts(256));
    assert_eq!(settings.stream_config().drain_window, settings.drain_window);
}

#[test]
fn every_default_is_legal_and_shown_as_it_is_read() {
    for key in &KEYS {
        let shown = key.default_text();
        let mut settings = Settings::default();
        assert!(
            key.field.set(&mut settings, &shown).is_ok(),
            "{} = {shown}",
            key.name
        );
        assert_eq!(key.field.show(&mut settings), shown, "{}", key.name);
    }
}

#[test]
fn a_flag_goes_before_a_variable_before_a_file_before_the_default() {
    let folder = std::env::temp_dir().join(format!("events-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("events.toml");
    let text = "drain.window = \"1s\"\n[limits]\nusers = 1\nconnections_per_user = 1\n[history]\nevents = 1\n";
    std::fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path),
        environment: variables(&[
            ("EVENTS_LIMITS__USERS", "2"),
            ("EVENTS_LIMITS__CONNECTIONS_PER_USER", "2"),
            ("HOME", "/"),
        ]),
        flags: vec![("limits.users", "3".to_owned())],
    };
    let settings = Settings::load(&sources);
    std::fs::remove_dir_all(&folder).unwrap();
    let Settings {
        limits,
        drain_window,
        ..
    } = settings.unwrap();
    assert_eq!(limits.users, 3);
    assert_eq!(limits.connections_per_user, 2);
    assert_eq!(limits.events, 1);
    assert_eq!(drain_window.as_secs(), 1);
    assert_eq!(limits.bytes, events_broadcast::Limits::default().bytes);
}

#[test]
fn a_file_is_flattened_with_its_lines() {
    let text = "listen = \"127.0.0.1:0\"\nlimits.users = 0x10\n\n[history]\nevents = 1_000\nage = \"1h\"\n[drain]\n";
    assert_eq!(
        of_file(text).unwrap(),
        [
            "listen = 127.0.0.1:0 (events.toml line 1)",
            "limits.users = 16 (events.toml line 2)",
            "history.events = 1000 (events.toml line 5)",
            "history.age = 1h (events.toml line 6)",
        ]
    );
    assert_eq!(
        of_file("[dran]\n").unwrap(),
        ["dran = {…} (events.toml line 1)"]
    );
    let error = of_file("listen = \"a\"\nlisten = \n").unwrap_err();
    assert!(
        error.starts_with("events.toml line 2 is not TOML: "),
        "{error}"
    );
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn an_unreadable_file_is_named() {
    let sources = Sources {
        file: Some("/nowhere/events.toml".into()),
        ..Sources::default()
    };
    let error = Settings::load(&sources).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the configuration file /nowhere/events.toml"
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    for (name, nearest) in [
        ("EVENTS_LIMITS__USER", "limits.users"),
        (
            "EVENTS_LIMIT__CONNECTIONS_PER_USERS",
            "limits.connections_per_user",
        ),
        (
            "EVENTS_LIMITS_CONNECTIONS_PER_USER",
            "limits.connections_per_user",
        ),
        ("EVENTS_CONNECTIONS_PER_USER", "limits.connections_per_user"),
        ("EVENTS_DRAIN__WINDOWS", "drain.window"),
        ("EVENTS_DRAIN", "drain.window"),
        ("EVENTS_DRAIN_WINDOW", "drain.window"),
        ("EVENTS_LISTEN_ADDRESS", "listen"),
        ("EVENTS_LGO", "log"),
    ] {
        let error = complaint(&[(name, "1")], &[]);
        let ending = format!("the nearest known key is \"{nearest}\"");
        assert!(error.contains(&ending), "{name}: {error}");
        assert!(error.contains(&format!("the variable {name}")), "{error}");
    }
}

#[test]
fn variables_of_others_are_left_alone() {
    let settings = load(
        &[
            ("EVENTS_REQUIRE_ALL", "1"),
            ("EVENTS_CLIENTS", "x"),
            ("EVENTS_CHROMIUM", "x"),
            ("EVENTS_BIN", "x"),
            ("EVENTS_POSTGRES", "x"),
            ("EVENTS_DISK_KILLS", "20"),
            ("EVENTS_SOAK", "1"),
            ("EVENTS_SOAK_MINUTES", "3"),
            ("EVENTS_SEED", "7"),
            ("EVENTS_SCHEDULES", "100"),
            ("EVENTS_FUZZ_SECONDS", "60"),
            ("EVENTS_MODEL_CASES", "20000"),
            ("EVENTS_BARE_CLIENT", "x"),
            ("EVENTS_SERVICE_HOST", "10.0.0.1"),
            ("EVENTS_SERVICE_PORT_HTTP", "80"),
            ("EVENTS_PORT", "tcp://10.0.0.1:80"),
            ("EVENTS_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("MY_EVENTS_LOG", "x"),
        ],
        &[],
    );
    assert!(settings.is_ok(), "{settings:?}");
}

#[test]
fn a_bad_value_names_the_key_the_place_and_what_is_expected() {
    assert_eq!(
        complaint(&[("EVENTS_LIMITS__CONNECTIONS_PER_USER", "0")], &[]),
        "limits.connections_per_user = \"0\" in the variable EVENTS_LIMITS__CONNECTIONS_PER_USER: \
         expected a whole number from 1 to 10000"
    );
    assert_eq!(
        complaint(&[], &[("limits.cap_policy", "drop")]),
        "limits.cap_policy = \"drop\" in the flag --limits.cap_policy: expected \"refuse\" or \"replace\""
    );
    assert_eq!(
        complaint(&[], &[("drain.window", "10")]),
        "drain.window = \"10\" in the flag --drain.window: \
         expected a duration with its unit such as \"10s\" or \"15min\", from 0s to 1h"
    );
    assert_eq!(
        complaint(&[], &[("limits.event_bytes", "8MiB")]),
        "limits.event_bytes = \"8MiB\" in the flag --limits.event_bytes: \
         expected a size such as \"4MiB\" or a number of bytes, from 1KiB to 4MiB"
    );
    assert_eq!(
        complaint(&[], &[("listen", "4000")]),
        "listen = \"4000\" in the flag --listen: expected an address and a port such as \"127.0.0.1:4000\""
    );
    assert_eq!(
        complaint(&[], &[("log", "redis://u:hunter2@broker")]),
        "log \"redis:…\" is not known: use \"memory\", \"disk:PATH\", \"nats://HOST:PORT\" or \"postgres://…\""
    );
    // Also where something else goes before it.
    assert!(load(&[("EVENTS_LOG", "x")], &[("log", "memory")]).is_err());
    assert!(
        load(
            &[],
            &[
                ("history.total_bytes", "1MiB"),
                ("limits.event_bytes", "2MiB")
            ]
        )
        .is_err()
    );
}

#[test]
fn sizes_and_durations_have_units() {
    for (text, bytes) in [
        ("4096", 4_096),
        ("4KiB", 4_096),
        ("4 kib", 4_096),
        ("64kB", 64_000),
        ("2MB", 2_000_000),
        ("2MiB", 2 << 20),
    ] {
        let settings = load(&[], &[("limits.event_bytes", text)]).unwrap();
        assert_eq!(settings.limits.event_bytes, bytes, "{text}");
    }
    for text in ["", "MiB", "4.5MiB", "-1", "4 Mega", "99999999999GiB"] {
        assert!(load(&[], &[("history.bytes", text)]).is_err(), "{text}");
    }
    for (text, seconds) in [("10s", 10), ("15min", 900), ("1h", 3_600), ("1m 30s", 90)] {
        let settings = load(&[], &[("drain.window", text)]).unwrap();
        assert_eq!(settings.drain_window.as_secs(), seconds, "{text}");
    }
    for text in ["", "10", "1 fortnight", "-1s", "2h"] {
        assert!(load(&[], &[("drain.window", text)]).is_err(), "{text}");
    }
    let settings = load(&[], &[("listen", "localhost:0")]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:0");
}

#[test]
fn an_agent_is_set_by_flags_variables_and_files_and_its_secrets_are_never_shown() {
    let variables = [("EVENTS_AGUI__AGENTS__HELPER__HEADERS__X_API_KEY", "hunter2")];
    let flags = [
        (
            "agent",
            "helper=https://agents.example.com/chat/?code=hunter2",
        ),
        ("agui.agents", "helper.idle_timeout=90s"),
        ("agui.agents", "helper.forward_authorization=true"),
    ];
    let settings = load(&variables, &flags).unwrap();
    let helper = &settings.agents.agents["helper"].config;
    assert_eq!(helper.headers["x-api-key"], "hunter2");
    assert_eq!(helper.idle_timeout.as_secs(), 90);
    assert!(helper.forward_authorization);
    assert!(helper.url.ends_with("/chat/?code=hunter2"));
    let shown = crate::commands::check_config(&settings);
    for line in [
        "agui.agents.helper.url = \"https://agents.example.com/chat/?(hidden)\"",
        "agui.agents.helper.headers.x-api-key = \"(hidden)\"",
        "agui.agents.helper.idle_timeout = \"1m 30s\"",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    assert!(!shown.contains("hunter2") && !format!("{settings:?}").contains("hunter2"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    std::fs::write(&file, "# a key\nAuthorization: Bearer hunter2\n").unwrap();
    let named = format!("helper.headers_file={}", file.display());
    let flags = [("agent", "helper=http://a/"), ("agui.agents", &*named)];
    let config = load(&[], &flags).unwrap().agents.config().unwrap();
    assert_eq!(
        config.agents["helper"].headers["authorization"],
        "Bearer hunter2"
    );
    std::fs::write(&file, "hunter2\n").unwrap();
    let error = load(&[], &flags).unwrap().agents.config().unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn an_agent_that_cannot_be_asked_is_refused_with_its_key() {
    for (flags, says) in [
        (
            vec![("agui.agents", "helper.idle_timeout=5s")],
            "has no url",
        ),
        (
            vec![("agent", "helper=localhost:8000")],
            "expected an address",
        ),
        (
            vec![("agent", "Helper=http://a/")],
            "expected an agent's name",
        ),
        (vec![("agent", "helper")], "NAME=URL"),
        (
            vec![("agui.agents", "helper.uri=http://a/")],
            "the nearest known key is \"agui.agents.helper.url\"",
        ),
        (
            vec![("agui.agents", "helper.headers.x y=hunter2")],
            "(hidden)",
        ),
    ] {
        let error = complaint(&[], &flags);
        assert!(
            error.contains(says) && !error.contains("hunter2"),
            "{error}"
        );
    }
}
