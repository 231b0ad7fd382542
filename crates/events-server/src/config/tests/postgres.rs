//! The keys of PostgreSQL.

use std::time::Duration;

use super::*;
use crate::{LogSpec, commands::check_config};

#[test]
fn the_keys_of_postgres_are_read_and_shown_without_a_password() {
    let settings = load(
        &[("EVENTS_POSTGRES__POOLER", "true")],
        &[
            (
                "postgres.listen_url",
                "postgres://events:hunter2@db.example:5432/app",
            ),
            ("postgres.keep_epoch", "true"),
            ("postgres.poll", "250ms"),
        ],
    )
    .unwrap();
    let engine = &settings.engine;
    assert!(engine.postgres_pooler && engine.postgres_keep_epoch);
    assert_eq!(engine.postgres_poll, Duration::from_millis(250));
    assert!(matches!(
        &engine.postgres_listen,
        Some(LogSpec::Postgres(url)) if url.contains("hunter2")
    ));
    let shown = check_config(&settings);
    for line in [
        "postgres.pooler = \"true\"\n",
        "postgres.keep_epoch = \"true\"\n",
        "postgres.poll = \"250ms\"\n",
        "@db.example:5432/app\"\n",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    assert!(!format!("{shown}{settings:?}").contains("hunter2"));
    let none = load(&[], &[("postgres.listen_url", "")]).unwrap();
    assert_eq!(none.engine.postgres_listen, None);
}

#[test]
fn a_wrong_value_of_postgres_is_named_and_its_password_kept() {
    for (key, value, expected) in [
        ("postgres.pooler", "yes", "expected \"true\" or \"false\""),
        ("postgres.keep_epoch", "1", "expected \"true\" or \"false\""),
        ("postgres.poll", "20ms", "from 50ms to 10s"),
        ("postgres.poll", "1min", "from 50ms to 10s"),
        ("postgres.poll", "1", "a duration with its unit"),
        ("postgres.connections", "257", "from 2 to 256"),
        (
            "postgres.listen_url",
            "mysql://u:hunter2@db/app",
            "such as \"postgres://events@db.example/app\"",
        ),
        (
            "postgres.listen_url",
            "db.example",
            "such as \"postgres://events@db.example/app\"",
        ),
    ] {
        let text = complaint(&[], &[(key, value)]);
        assert!(text.contains(key) && text.contains(expected), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
