//! Limits as an operator sets them: by file and flag, with what the program says at the start.

use std::{io, net::SocketAddr, process::Output};

use events_tests::{
    deadline::{PATIENCE, within},
    raw_client::{RawSse, Request, get},
    server_process::{ServerProcess, events_binary},
};
use tokio::{net::TcpListener, process::Command};

const SECRET: &str = "0123456789abcdef0123456789abcdef-for-tests";
const EVENT: &str = r#"{"type":"HEARTBEAT","timestamp":1}"#;

async fn run(arguments: &[&str]) -> io::Result<Output> {
    let program = Command::new(events_binary().await?)
        .args(arguments)
        .env("EVENTS_AUTH__SECRET", SECRET)
        .output();
    within("its end", PATIENCE, program).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn settings_that_allow_more_memory_than_there_may_be_are_refused_with_what_to_lower()
-> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.toml").display().to_string();
    std::fs::write(&file, "limits.memory = \"1GiB\"\n")?;
    for arguments in [
        &[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--limits.memory",
            "1GiB",
        ][..],
        &["dev", "--listen", "127.0.0.1:0", "--limits.memory", "1GiB"],
        &["serve", "--config", &file],
        &["check-config", "--config", &file],
    ] {
        let refused = run(arguments).await?;
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let line = text(&refused.stderr);
        assert_eq!(line.lines().count(), 1, "{line}");
        for part in [
            "error: limits.memory is 1024 MiB",
            "lower limits.connections (",
            "limits.streams (",
            "or raise limits.memory",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }
    let lower = "[limits]\nmemory = \"2GiB\"\nconnections = 500\nstreams = 500\nbodies = 64\nlarge_bodies = \
                 4\nlive_requests = 16\nusers = 10000\norder_bytes = \"64MiB\"\nthreads_bytes = \
                 \"16MiB\"\nbody_bytes = \"1MiB\"\nuser_id_bytes = 64\n[history]\ntotal_bytes = \"64MiB\"\n";
    std::fs::write(&file, lower)?;
    let checked = run(&["check-config", "--config", &file]).await?;
    assert_eq!(
        checked.status.code(),
        Some(0),
        "{}{}",
        text(&checked.stdout),
        text(&checked.stderr)
    );
    Ok(())
}

#[tokio::test]
async fn tickets_that_would_be_taken_again_are_warned_of() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.toml").display().to_string();
    let log = folder.path().join("log");
    let config = |age: &str| format!("log = \"disk:{}\"\ndedupe.age = \"{age}\"\n", log.display());
    for (age, is_warned) in [("29s", true), ("30s", false)] {
        std::fs::write(&file, config(age))?;
        let checked = run(&["check-config", "--config", &file]).await?;
        let out = text(&checked.stdout);
        assert!(checked.status.success(), "{out}");
        let warning = out
            .lines()
            .find(|line| line.starts_with("# warning: dedupe.age is "));
        assert_eq!(warning.is_some(), is_warned, "{out}");
    }
    Ok(())
}

async fn publish(address: SocketAddr, n_events: usize) -> io::Result<(u16, Option<String>)> {
    let body = format!("{EVENT}\n").repeat(n_events);
    let request = Request::post("/publish/system/ada?user=ada", "application/x-ndjson", body);
    let answer = request.send(address).await?;
    let wait = answer.head.header("retry-after").map(str::to_owned);
    Ok((answer.status(), wait))
}

/// Opens a stream for an address behind the proxy, and tells whether it was sent away.
async fn is_sent_away(address: SocketAddr, user: &str, client: &str) -> io::Result<bool> {
    let path = format!("/agui?user={user}");
    let headers = [("x-forwarded-for", client)];
    let mut stream = RawSse::connect(address, &path, &headers).await?;
    let mut is_first = true;
    while let Some(frame) = stream.next_frame(PATIENCE).await? {
        if frame.event.as_deref() == Some("closing") {
            assert_eq!(frame.json()?["reason"], "draining");
            assert!(stream.read_to_end(PATIENCE).await?.is_empty());
            return Ok(true);
        }
        if !is_first && frame.id.is_some() {
            break;
        }
        is_first = false;
    }
    Ok(false)
}

#[tokio::test]
async fn rates_of_a_file_are_kept_for_users_and_for_the_addresses_behind_a_proxy() -> io::Result<()>
{
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("events.toml").display().to_string();
    let config = "listen = \"127.0.0.1:0\"\nserve.proxies = \"127.0.0.0/8\"\n[limits]\npublish_rate = \"1/s burst \
                  100\"\nattach_rate = \"1/s burst 3\"\nattach_rate_per_address = \"1/s burst 1\"\n";
    std::fs::write(&file, config)?;
    let server = ServerProcess::events(&["serve", "--insecure", "--config", &file], &[]).await?;
    let address = server.address();
    assert_eq!(publish(address, 60).await?, (200, None));
    let (status, wait) = publish(address, 60).await?;
    assert_eq!(status, 429);
    let wait: u64 = wait.expect("Retry-After").parse().expect("seconds");
    assert!((15..=20).contains(&wait), "{wait}");
    assert_eq!(publish(address, 30).await?, (200, None));

    assert!(!is_sent_away(address, "ada", "192.0.2.1").await?);
    assert!(is_sent_away(address, "bob", "192.0.2.1").await?);
    assert!(!is_sent_away(address, "ada", "192.0.2.2, 127.0.0.7").await?);
    assert!(!is_sent_away(address, "ada", "192.0.2.3").await?);
    assert!(
        is_sent_away(address, "ada", "192.0.2.4").await?,
        "a fourth of one user"
    );
    Ok(())
}

#[tokio::test]
async fn with_tokens_the_metrics_are_for_operators_or_at_an_address_of_their_own() -> io::Result<()>
{
    let free = TcpListener::bind("127.0.0.1:0").await?;
    let metrics = free.local_addr()?;
    drop(free);
    let metrics_listen = metrics.to_string();
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics.listen",
        &metrics_listen,
    ];
    let environment = [("EVENTS_AUTH__SECRET", SECRET)];
    let server = ServerProcess::events(&arguments, &environment).await?;
    let address = server.address();
    assert_eq!(get(address, "/metrics", &[]).await?.status(), 401);
    for (role, status) in [("subscriber", 403), ("publisher", 403), ("operator", 200)] {
        let token = run(&["token", "--user", "ada", "--role", role]).await?;
        let bearer = format!("Bearer {}", text(&token.stdout).trim());
        let answer = get(address, "/metrics", &[("authorization", &bearer)]).await?;
        assert_eq!(answer.status(), status, "{role}: {}", answer.text());
    }
    let scraped = get(metrics, "/metrics", &[]).await?.text();
    assert!(scraped.contains("events_connections{"), "{scraped}");
    assert_eq!(get(metrics, "/health/ready", &[]).await?.status(), 200);
    assert_eq!(get(metrics, "/connections", &[]).await?.status(), 404);
    // The page is there for everybody; what it asks for is not.
    let page = get(address, "/", &[("accept", "text/html")]).await?;
    assert_eq!(page.status(), 200);
    assert_eq!(get(address, "/agui/threads", &[]).await?.status(), 401);
    Ok(())
}
