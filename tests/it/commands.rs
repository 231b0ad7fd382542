//! The commands that talk to a hub, as a person starts them.

use std::{io, process::Stdio};

use events_tests::{
    deadline::{PATIENCE, within},
    server_process::{ServerProcess, events_binary},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

const EVENT: &str = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;

/// Starts a command against a hub, with all its pipes held.
async fn start(hub: &ServerProcess, args: &[&str]) -> io::Result<Child> {
    let url = hub.url("");
    Command::new(events_binary().await?)
        .args(args)
        .args(["--url", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Publishes a text and returns the code, what was printed, and what was said on standard error.
async fn publish(hub: &ServerProcess, text: &str) -> io::Result<(Option<i32>, String, String)> {
    let mut publishing = start(hub, &["publish", "--stream", "agui", "--user", "ada"]).await?;
    let mut input = publishing.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).await?;
    drop(input);
    let output = within("its end", PATIENCE, publishing.wait_with_output()).await?;
    Ok((
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

#[tokio::test]
async fn tail_prints_what_publish_sends_and_a_signal_ends_it_with_zero() -> io::Result<()> {
    let hub = ServerProcess::dev(&[]).await?;
    let args = ["tail", "--stream", "agui", "--user", "ada", "--json"];
    let mut tail = start(&hub, &args).await?;
    let mut notes = BufReader::new(tail.stderr.take().expect("a pipe")).lines();
    let note = within("a note", PATIENCE, notes.next_line()).await?;
    assert_eq!(note.as_deref(), Some("connected"));

    let (code, ids, errors) = publish(&hub, EVENT).await?;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(ids.lines().count(), 1, "{ids}");

    let mut lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    let line = within("a line", PATIENCE, lines.next_line()).await?;
    let printed: serde_json::Value = serde_json::from_str(&line.unwrap_or_default())?;
    assert_eq!(printed["type"], "RUN_STARTED");
    assert_eq!(printed["threadId"], "t");

    let id = tail.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().await?;
    assert!(sent.success());
    let status = within("its end", PATIENCE, tail.wait()).await?;
    assert_eq!(status.code(), Some(0));
    assert_eq!(within("no note", PATIENCE, notes.next_line()).await?, None);
    Ok(())
}

#[tokio::test]
async fn publish_names_the_first_refused_line_and_ends_with_one() -> io::Result<()> {
    let hub = ServerProcess::dev(&[]).await?;
    let (code, ids, errors) = publish(&hub, &format!("{EVENT}\n\n{{}}\n{EVENT}\n")).await?;
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(ids.lines().count(), 1, "{ids}");
    assert!(errors.starts_with("error: line 3 refused: "), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_is_refused_ends_with_one() -> io::Result<()> {
    let hub = ServerProcess::dev(&[]).await?;
    let tail = start(&hub, &["tail", "--stream", "agui"]).await?;
    let output = within("its end", PATIENCE, tail.wait_with_output()).await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("; name the user with --user"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(output.stdout.is_empty());
    Ok(())
}
