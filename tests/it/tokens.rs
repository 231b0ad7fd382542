//! The hub in production: tokens, tickets, ends, and logs that hold none of them.

use std::{io, process::Output, time::Duration};

use events_tests::{
    deadline::PATIENCE,
    raw_client::{RawSse, Request, get, post},
    server_process::{ServerProcess, events_binary},
    tokens::{SECRET, token},
};

async fn run(args: &[&str], environment: &[(&str, &str)]) -> io::Result<Output> {
    let program = tokio::process::Command::new(events_binary().await?)
        .args(args)
        .env_remove("EVENTS_AUTH__SECRET")
        .envs(environment.iter().copied())
        .output();
    tokio::time::timeout(PATIENCE, program)
        .await
        .expect("it ends by itself")
}

#[tokio::test]
async fn serve_without_a_key_refuses_to_start_and_says_what_to_do() -> io::Result<()> {
    let listen = ["serve", "--listen", "127.0.0.1:0"];
    let output = run(&listen, &[]).await?;
    assert_eq!(output.status.code(), Some(2));
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(line.lines().count(), 1, "{line}");
    for word in [
        "error: no key configured",
        "auth.secret",
        "EVENTS_AUTH__SECRET",
        "--insecure",
    ] {
        assert!(line.contains(word), "{word} in {line}");
    }
    let short = run(&listen, &[("EVENTS_AUTH__SECRET", "hunter2")]).await?;
    assert_eq!(short.status.code(), Some(2));
    let line = String::from_utf8_lossy(&short.stderr).into_owned();
    assert!(line.contains("32") && !line.contains("hunter2"), "{line}");
    let none = run(&["token", "--user", "ada"], &[]).await?;
    assert_eq!(none.status.code(), Some(2));
    Ok(())
}

#[tokio::test]
async fn a_token_opens_streams_until_it_ends_and_stands_in_no_log() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let binary = events_binary().await?;
    let script = format!("exec \"$0\" \"$@\" 2>'{}'", log.display());
    let arguments = ["-c", &script, &binary.display().to_string(), "serve"];
    let arguments = [&arguments[..], &["--listen", "127.0.0.1:0"]].concat();
    let environment = [("EVENTS_AUTH__SECRET", SECRET), ("RUST_LOG", "trace")];
    let mut server = ServerProcess::start("sh", &arguments, &environment).await?;
    let address = server.address();

    let ada = token("ada", &["--role", "publisher", "--for", "team-*"]).await?;
    let short = token("ada", &["--ttl", "2s"]).await?;
    let bearer = |token: &str| format!("Bearer {token}");
    assert_eq!(get(address, "/agui", &[]).await?.status(), 401);
    let event = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;
    for (user, status) in [("ada", 200), ("team-7", 200), ("bob", 403), ("nobody", 403)] {
        let request = Request::post(&format!("/publish/agui/{user}"), "application/json", event);
        let answer = request
            .header("authorization", &bearer(&ada))
            .send(address)
            .await?;
        assert_eq!(answer.status(), status, "{user}");
    }
    let ended = Request::get("/agui?thread=t").header("authorization", &bearer(&short));
    let mut ended = RawSse::open(address, &ended).await?;

    let asked = Request::post("/ticket", "application/json", "");
    let asked = asked
        .header("authorization", &bearer(&ada))
        .send(address)
        .await?;
    let ticket = asked.json()?["ticket"]
        .as_str()
        .expect("a ticket")
        .to_owned();
    let path = format!("/agui?thread=t&ticket={ticket}");
    let mut screen = RawSse::connect(address, &path, &[]).await?;
    let cookie = screen
        .head()
        .header("set-cookie")
        .expect("a cookie")
        .to_owned();
    assert_eq!(
        screen.next_event(PATIENCE).await?.json()?["type"],
        "RUN_STARTED"
    );
    let cookie = cookie.split(';').next().unwrap_or_default();
    drop(RawSse::connect(address, &path, &[("cookie", cookie)]).await?);

    let frames = ended.read_to_end(PATIENCE).await?;
    let last = frames.last().expect("closing");
    assert_eq!(last.json()?["reason"], "token_expired");
    for bad in [&short, "x", "a.b.c"] {
        let headers = [("authorization", &*bearer(bad))];
        assert_eq!(get(address, "/agui", &headers).await?.status(), 401);
    }
    let foreign = [("cookie", cookie), ("origin", "https://evil.example.org")];
    assert_eq!(get(address, "/agui", &foreign).await?.status(), 403);
    assert_eq!(
        post(address, "/ticket", "application/json", "")
            .await?
            .status(),
        401
    );

    server.signal("TERM").await?;
    server.wait(Duration::from_secs(15)).await?;
    let logs = std::fs::read_to_string(&log)?;
    assert!(
        logs.contains("stream opened user=ada"),
        "debug lines: {logs}"
    );
    let (_, pass) = cookie.split_once('=').expect("a value");
    for secret in [&*ada, &short, &ticket, pass, SECRET] {
        let n_found = logs.matches(secret).count();
        assert_eq!(n_found, 0, "of what begins with {}", &secret[..8]);
        // Nor the part that proves something.
        let signature = secret.rsplit('.').next().unwrap_or_default();
        assert_eq!(logs.matches(signature).count(), 0);
    }
    Ok(())
}
