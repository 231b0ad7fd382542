//! Opening: by several replicas at once, and what stands in the way.

use std::{io, sync::Arc};

use events_core::{EventLog as _, UserId};
use events_log_postgres::{PostgresConfig, PostgresLog, PostgresOpenError};
use events_tests::{
    postgres_server::{self, PostgresServer},
    skip,
};
use tokio::task::JoinSet;

use super::{config, open, record, server};

async fn refused(config: PostgresConfig) -> PostgresOpenError {
    PostgresLog::open(config).await.expect_err("it opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_open_one_log() {
    let Some(server) = server("replicas_that_start_at_once").await else {
        return;
    };
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        tasks.spawn(PostgresLog::open(config(&server)));
    }
    let mut epochs = Vec::new();
    while let Some(opened) = tasks.join_next().await {
        epochs.push(opened.unwrap().unwrap().epoch());
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 1, "{epochs:?}");
    // A second schema is a second log.
    let mut second = config(&server);
    second.schema = "second".to_owned();
    assert_ne!(open(second).await.epoch(), epochs[0]);
}

#[tokio::test]
async fn what_is_in_the_way_is_named() -> io::Result<()> {
    let Some(server) = server("what_is_in_the_way_is_named").await else {
        return Ok(());
    };
    let with = |url: String| PostgresConfig {
        url,
        ..config(&server)
    };
    server
        .psql(
            "postgres",
            "create role weak login; create role reader login; alter role reader set default_transaction_read_only = on; \
             create role secure login password 's3cret'",
        )
        .await?;
    server
        .psql(
            "postgres",
            "create database latin encoding 'LATIN1' template template0",
        )
        .await?;

    let database = |name: &str| format!("postgres://postgres@127.0.0.1:{}/{name}", server.port());
    let error = refused(with(server.url("weak"))).await;
    assert!(
        matches!(error, PostgresOpenError::NotPermitted { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("CREATE"), "{error}");

    let error = refused(with(server.url("reader"))).await;
    assert!(
        matches!(error, PostgresOpenError::ReadOnly { .. }),
        "{error}"
    );

    let error = refused(with(database("latin"))).await;
    assert!(
        matches!(error, PostgresOpenError::Unsuitable { .. }),
        "{error}"
    );

    for (url, word) in [
        (server.url("secure:wr0ng"), "password"),
        (database("missing"), "missing"),
        (
            "postgres://me:wr0ng@127.0.0.1:1/a".to_owned(),
            "127.0.0.1:1/a",
        ),
        (
            format!("{}?sslmode=require", server.url("secure:wr0ng")),
            "TLS",
        ),
    ] {
        let error = refused(with(url)).await;
        let text = error.to_string();
        assert!(
            matches!(error, PostgresOpenError::Connect { .. }) && text.contains(word),
            "{text}"
        );
        assert!(
            !text.contains("wr0ng") && !format!("{error:?}").contains("wr0ng"),
            "{error:?}"
        );
    }
    server
        .psql("postgres", "grant create on database postgres to secure")
        .await?;
    let log = open(with(server.url("secure:s3cret"))).await;
    assert!(!format!("{log:?}").contains("s3cret"));

    server
        .psql("postgres", "update events.settings set version = 99")
        .await?;
    let error = refused(with(server.url("secure:s3cret"))).await;
    assert!(
        matches!(error, PostgresOpenError::Newer { found: 99, .. }),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn settings_are_followed_by_all_replicas() -> io::Result<()> {
    let Some(server) = server("settings_are_followed_by_all_replicas").await else {
        return Ok(());
    };
    let (log, ada) = (open(config(&server)).await, UserId::from("ada"));
    let few = PostgresConfig {
        history_events: 8,
        ..config(&server)
    };
    open(few).await;
    for n in 0..40 {
        log.append(&ada, &[record(&n.to_string())], 0, None)
            .await
            .unwrap();
    }
    let page = log.read(&ada, 0, 1 << 20).await.unwrap();
    assert!(
        (8..=9).contains(&page.records.len()),
        "{}",
        page.records.len()
    );
    assert_eq!(page.previous + page.records.len() as u64, 40);
    Ok(())
}

/// Makes a server that speaks TLS as `localhost`, and returns it with the path of its authority.
async fn tls_server(test: &str) -> Option<(PostgresServer, String)> {
    let settings = ["ssl=on", "ssl_cert_file=hub.pem", "ssl_key_file=hub.key"];
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let programs = skip::require(test, "PostgreSQL", postgres_server::programs())?;
    let files = [
        ("hub.pem", certificate.cert.pem()),
        ("hub.key", certificate.signing_key.serialize_pem()),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let server = PostgresServer::start_with(&programs, &settings, &files)
        .await
        .unwrap();
    let root = server.path("hub.pem");
    Some((server, root))
}

#[tokio::test]
async fn sslmode_is_respected() {
    let Some((server, root)) = tls_server("sslmode_is_respected").await else {
        return;
    };
    let opens = async |host: &str, query: &str| {
        let url = format!(
            "postgres://postgres@{host}:{}/postgres?{query}",
            server.port()
        );
        PostgresLog::open(PostgresConfig::new(url))
            .await
            .map(Arc::new)
    };
    let pid = "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'events' and ssl";
    let log = opens(
        "localhost",
        &format!("sslmode=verify-full&sslrootcert={root}"),
    )
    .await
    .unwrap();
    log.append(&UserId::from("ada"), &[record("1")], 0, None)
        .await
        .unwrap();
    assert_ne!(server.psql("postgres", pid).await.unwrap(), "0");
    drop(log);
    for query in [
        "sslmode=disable".to_owned(),
        "sslmode=prefer".to_owned(),
        "sslmode=require".to_owned(),
        format!("sslmode=verify-ca&sslrootcert={root}"),
    ] {
        assert!(opens("127.0.0.1", &query).await.is_ok(), "{query}");
    }
    // The name is another one, and the authority is none of the system's.
    for query in [
        format!("sslmode=verify-full&sslrootcert={root}"),
        "sslmode=verify-ca".to_owned(),
    ] {
        let error = opens("127.0.0.1", &query).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{query}: {error}");
    }
}
