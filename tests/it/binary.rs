//! The program `events` as a person starts it.

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use events_tests::{
    deadline::PATIENCE,
    raw_client::{RawSse, get, post},
    server_process::{ServerProcess, events_binary},
};

/// Runs the program to its end and returns its code and what it said on standard error.
async fn run(args: &[&str]) -> io::Result<(Option<i32>, String)> {
    let binary = events_binary().await?;
    let program = tokio::process::Command::new(binary)
        .args(args)
        .env_remove("EVENTS_LISTEN")
        .output();
    let output = tokio::time::timeout(PATIENCE, program)
        .await
        .expect("it ends by itself")?;
    assert!(output.stdout.is_empty() || args.contains(&"--help") || args.contains(&"--version"));
    Ok((
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
}

#[tokio::test]
async fn dev_plays_a_run_for_the_demo_user_within_two_seconds() -> io::Result<()> {
    let server = ServerProcess::events(&["dev", "--listen", "127.0.0.1:0"], &[]).await?;
    let ready_ms = i64::try_from(now().as_millis()).expect("this millennium");
    let mut screen = RawSse::connect(server.address(), "/agui?user=demo", &[]).await?;
    let primed = screen
        .read_until(PATIENCE, |frame| frame.id.is_some())
        .await?;
    let cursor = primed
        .last()
        .and_then(|frame| frame.id.clone())
        .expect("a cursor");
    let (epoch, _) = cursor.split_once('.').expect("an event id");
    // From before the first event: what the demo has played so far, however late this test looks.
    let path = format!("/agui?user=demo&last_event_id={epoch}.0.0");
    let mut screen = RawSse::connect(server.address(), &path, &[]).await?;
    let first = screen.next_event(PATIENCE).await?.json()?;
    assert_eq!(first["type"], "RUN_STARTED");
    let begun_ms = first["timestamp"].as_i64().expect("milliseconds");
    assert!(
        begun_ms - ready_ms < 2_000,
        "{} ms after the ready line",
        begun_ms - ready_ms
    );
    let types = |frame: &events_tests::raw_client::RawFrame| {
        frame
            .json()
            .ok()
            .and_then(|event| event["type"].as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    // The round goes on to the end of the run, and to the next.
    for wanted in ["RUN_FINISHED", "RUN_STARTED"] {
        screen
            .read_until(PATIENCE, |frame| types(frame) == wanted)
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_signal_ends_streams_within_the_window_and_the_program_with_zero() -> io::Result<()> {
    let arguments = [
        "dev",
        "--no-demo",
        "--listen",
        "127.0.0.1:0",
        "--drain.window",
        "1s",
    ];
    let mut server = ServerProcess::events(&arguments, &[]).await?;
    let mut screens = Vec::new();
    for _ in 0..5 {
        screens.push(RawSse::connect(server.address(), "/agui?user=ada", &[]).await?);
    }
    server.signal("TERM").await?;
    for screen in &mut screens {
        let frames = screen.read_to_end(PATIENCE).await?;
        let last = frames.last().expect("a closing frame");
        assert_eq!(last.event.as_deref(), Some("closing"), "{last:?}");
        assert_eq!(last.data.as_deref(), Some(r#"{"reason":"draining"}"#));
    }
    assert!(server.wait(Duration::from_secs(4)).await?.success());
    assert!(
        get(server.address(), "/health/live", &[]).await.is_err(),
        "the listener is closed"
    );
    Ok(())
}

#[tokio::test]
async fn settings_come_from_flags_and_the_environment() -> io::Result<()> {
    let arguments = ["dev", "--no-demo", "--listen", "127.0.0.1:0"];
    let server =
        ServerProcess::events(&arguments, &[("EVENTS_LIMITS__CONNECTIONS_PER_USER", "1")]).await?;
    let _first = RawSse::connect(server.address(), "/agui?user=ada", &[]).await?;
    let second = get(server.address(), "/agui?user=ada", &[]).await?;
    assert_eq!(second.status(), 429, "{}", second.text());
    let other = get(server.address(), "/health/ready", &[]).await?;
    assert_eq!(other.status(), 200);
    Ok(())
}

#[tokio::test]
async fn only_this_machine_is_served_without_tokens() -> io::Result<()> {
    let server =
        ServerProcess::events(&["serve", "--insecure", "--listen", "127.0.0.1:0"], &[]).await?;
    let event = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;
    let published = post(
        server.address(),
        "/publish/agui/ada?user=ada",
        "application/json",
        event,
    )
    .await?;
    assert_eq!(published.status(), 200, "{}", published.text());
    let nobody = get(server.address(), "/agui", &[]).await?;
    assert_eq!(nobody.status(), 401, "{}", nobody.text());
    let foreign = get(
        server.address(),
        "/agui?user=ada",
        &[("Origin", "https://example.com")],
    )
    .await?;
    assert_eq!(foreign.status(), 403, "{}", foreign.text());
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_line_with_a_code() -> io::Result<()> {
    let cases: [(&[&str], i32, &str); 10] = [
        (&["dev", "--listen", "0.0.0.0:0"], 2, "loopback"),
        (&["dev", "--log", "redis://127.0.0.1"], 2, "is not known"),
        (
            &["dev", "--log", "nats://127.0.0.1:1"],
            1,
            "check the address, whether the server runs",
        ),
        (
            &["dev", "--log", "postgres://ada:hunter2@127.0.0.1:1/db"],
            1,
            "cannot open the log postgres://…@127.0.0.1:1/db",
        ),
        (
            &["dev", "--log", "disk:/proc/nowhere"],
            1,
            "check that this user may write there",
        ),
        (&["dev", "--log", "wat"], 2, "memory"),
        (
            &["dev", "--limits.connections_per_user", "none"],
            2,
            "limits.connections_per_user",
        ),
        (&["dev", "--limit.connections"], 2, "--limit"),
        (&["serve"], 2, "--insecure"),
        (
            &["serve", "--insecure", "--config", "/nowhere/events.toml"],
            2,
            "/nowhere/events.toml",
        ),
    ];
    for (args, code, said) in cases {
        let (got, errors) = run(args).await?;
        assert_eq!(got, Some(code), "{args:?}: {errors}");
        let lines: Vec<_> = errors
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(lines.len(), 1, "{args:?}: {errors}");
        assert!(errors.contains(said), "{args:?}: {errors}");
    }
    Ok(())
}

#[tokio::test]
async fn a_taken_address_is_a_failure_and_no_usage_error() -> io::Result<()> {
    let server = ServerProcess::dev(&[]).await?;
    let address = server.address().to_string();
    let (code, errors) = run(&["dev", "--no-demo", "--listen", &address]).await?;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains(&address), "{errors}");
    Ok(())
}
