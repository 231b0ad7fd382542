//! What people get wrong when they use the commands: one line that says it, and a code.

use std::{io, net::SocketAddr, process::Stdio, time::Duration};

use events_tests::{
    deadline::{PATIENCE, within},
    server_process::{ServerProcess, events_binary},
    tls_front::TlsFront,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    task::JoinSet,
};

const STARTED: &str = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#;

/// What a command came to.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    out: String,
    notes: String,
}

impl Outcome {
    /// Checks that one line was said, an error with these parts.
    fn is_one_error(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.notes.lines().count(), 1, "{self:?}");
        assert!(self.notes.starts_with("error: "), "{self:?}");
        for part in parts {
            assert!(self.notes.contains(part), "{part}: {self:?}");
        }
        assert_eq!(self.out, "");
    }
}

async fn start(args: &[&str], environment: &[(&str, &str)]) -> io::Result<Child> {
    Command::new(events_binary().await?)
        .args(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

async fn ended(child: Child) -> io::Result<Outcome> {
    let output = within("its end", PATIENCE, child.wait_with_output()).await?;
    Ok(Outcome {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        notes: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

async fn run(args: &[&str], environment: &[(&str, &str)]) -> io::Result<Outcome> {
    ended(start(args, environment).await?).await
}

async fn interrupt(child: &Child) -> io::Result<()> {
    let id = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().await?;
    assert!(sent.success());
    Ok(())
}

async fn hub(listen: SocketAddr) -> io::Result<ServerProcess> {
    let listen = listen.to_string();
    ServerProcess::events(&["dev", "--no-demo", "--listen", &listen], &[]).await
}

async fn any_hub() -> io::Result<ServerProcess> {
    hub(SocketAddr::from(([127, 0, 0, 1], 0))).await
}

/// An address where nothing listens.
async fn nowhere() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0").await?.local_addr()
}

/// The four commands with files in `folder`.
fn commands<'a>(url: &'a str, files: &'a [String; 3]) -> [Vec<&'a str>; 4] {
    let [events, recording, new] = files;
    let user = ["--stream", "agui", "--user", "ada", "--url", url];
    let with = |first: &[&'a str]| [first, &user].concat();
    [
        with(&["tail"]),
        with(&["publish", events]),
        with(&["record", "-o", new]),
        vec!["replay", recording, "--url", url],
    ]
}

fn files(folder: &tempfile::TempDir) -> io::Result<[String; 3]> {
    let names = ["events.ndjson", "recording", "new"];
    let paths = names.map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&paths[0], format!("{STARTED}\n"))?;
    let header = r#"{"events-recording":1,"stream":"agui","user":"bob","at":"now"}"#;
    let entry = format!(r#"{{"ms":0,"thread":"t","data":{STARTED}}}"#);
    std::fs::write(&paths[1], format!("{header}\n{entry}\n"))?;
    Ok(paths)
}

#[tokio::test]
async fn where_nothing_listens_every_command_fails_at_once() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let files = files(&folder)?;
    let url = format!("http://{}", nowhere().await?);
    for command in commands(&url, &files) {
        let outcome = run(&command, &[]).await?;
        outcome.is_one_error(
            1,
            &["no hub answers at", &url, "refused", "events dev", "--wait"],
        );
    }
    assert!(!folder.path().join("new").exists(), "an empty recording");
    Ok(())
}

#[tokio::test]
async fn what_is_no_hub_is_called_so() -> io::Result<()> {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>";
    for answer in [page, "SSH-2.0-other\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                if stream.read(&mut request).await.is_ok() {
                    drop(stream.write_all(answer.as_bytes()).await);
                }
            }
        });
        let folder = tempfile::tempdir()?;
        let files = files(&folder)?;
        for command in commands(&url, &files) {
            let outcome = run(&command, &[]).await?;
            outcome.is_one_error(1, &["check --url: what answers there is no hub"]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_command_that_waits_goes_on_when_the_hub_is_there() -> io::Result<()> {
    let address = nowhere().await?;
    let url = format!("http://{address}");
    let user = ["--stream", "agui", "--user", "ada", "--url", &url, "--wait"];
    let mut tail = start(&[&["tail", "--json"], &user[..]].concat(), &[]).await?;
    let mut publish = start(&[&["publish"], &user[..]].concat(), &[]).await?;
    let mut input = publish.stdin.take().expect("a pipe");
    input.write_all(STARTED.as_bytes()).await?;
    drop(input);
    let mut told = BufReader::new(tail.stderr.take().expect("a pipe")).lines();
    let first = within("a note", PATIENCE, told.next_line()).await?;
    assert!(first.is_some_and(|note| note.contains("; reconnecting in ")));
    let _hub = hub(address).await?;
    let outcome = ended(publish).await?;
    assert_eq!((outcome.code, outcome.out.lines().count()), (Some(0), 1));
    assert!(outcome.notes.contains("; trying again in "), "{outcome:?}");
    while within("a note", PATIENCE, told.next_line())
        .await?
        .as_deref()
        != Some("connected")
    {}
    interrupt(&tail).await?;
    assert_eq!(ended(tail).await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_hub_that_dies_loses_no_line_that_is_not_told() -> io::Result<()> {
    let first_hub = any_hub().await?;
    let address = first_hub.address();
    let url = first_hub.url("");
    let args = [
        "publish", "--stream", "agui", "--user", "ada", "--url", &url,
    ];
    let mut publish = start(&args, &[]).await?;
    let mut input = publish.stdin.take().expect("a pipe");
    let mut ids = BufReader::new(publish.stdout.take().expect("a pipe")).lines();
    let mut told = BufReader::new(publish.stderr.take().expect("a pipe")).lines();
    input.write_all(format!("{STARTED}\n").as_bytes()).await?;
    assert!(within("an id", PATIENCE, ids.next_line()).await?.is_some());
    drop(first_hub);
    input.write_all(format!("{STARTED}\n").as_bytes()).await?;
    let note = within("a note", PATIENCE, told.next_line()).await?;
    assert!(note.is_some_and(|note| note.contains("; trying again in ")));
    // The log of the new hub is empty, so the same run can start there.
    let second_hub = hub(address).await?;
    assert!(within("an id", PATIENCE, ids.next_line()).await?.is_some());
    drop(second_hub);
    input.write_all(b"{}\n").await?;
    while let Some(note) = within("a note", PATIENCE, told.next_line()).await? {
        if note.contains("; trying again in ") {
            break;
        }
    }
    interrupt(&publish).await?;
    let status = within("its end", PATIENCE, publish.wait()).await?;
    assert_eq!(status.code(), Some(1));
    let mut last = String::new();
    while let Some(note) = within("a note", PATIENCE, told.next_line()).await? {
        last = note;
    }
    assert!(
        last.starts_with("error: stopped by a signal: line 3 may be published or not"),
        "{last}"
    );
    Ok(())
}

#[tokio::test]
async fn a_signal_ends_publish_and_replay_and_they_say_where() -> io::Result<()> {
    let hub = any_hub().await?;
    let url = hub.url("");
    let args = [
        "publish", "--stream", "agui", "--user", "ada", "--url", &url,
    ];
    let mut publish = start(&args, &[]).await?;
    // Kept open: the input has no end.
    let mut input = publish.stdin.take().expect("a pipe");
    input.write_all(format!("\n{STARTED}\n").as_bytes()).await?;
    let mut ids = BufReader::new(publish.stdout.as_mut().expect("a pipe")).lines();
    assert!(within("an id", PATIENCE, ids.next_line()).await?.is_some());
    interrupt(&publish).await?;
    ended(publish).await?.is_one_error(
        1,
        &["stopped by a signal: line 3 and what stands behind it are not"],
    );

    let folder = tempfile::tempdir()?;
    let [_, recording, _] = files(&folder)?;
    let later =
        r#"{"ms":3600000,"thread":"t","data":{"type":"RUN_FINISHED","threadId":"t","runId":"r"}}"#;
    let text = std::fs::read_to_string(&recording)?;
    std::fs::write(&recording, format!("{text}{later}\n"))?;
    let watched = [
        "tail", "--json", "--stream", "agui", "--user", "bob", "--url", &url,
    ];
    let mut tail = start(&watched, &[]).await?;
    let mut told = BufReader::new(tail.stderr.take().expect("a pipe")).lines();
    within("a note", PATIENCE, told.next_line()).await?;
    let replay = start(&["replay", &recording, "--url", &url], &[]).await?;
    let mut lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    assert!(
        within("a line", PATIENCE, lines.next_line())
            .await?
            .is_some()
    );
    interrupt(&replay).await?;
    let outcome = ended(replay).await?;
    assert_eq!(outcome.code, Some(1));
    let notes: Vec<&str> = outcome.notes.lines().collect();
    assert_eq!(notes[0], "replayed 1 event");
    assert!(
        notes[1].contains("signal: line 3 and what stands behind it"),
        "{notes:?}"
    );
    Ok(())
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_and_none_is_lost() -> io::Result<()> {
    let hub = any_hub().await?;
    let url = hub.url("");
    let folder = tempfile::tempdir()?;
    let [events, recording, new] = files(&folder)?;
    let here = folder.path().display().to_string();
    let publish = |file: &'static str| ["publish", file];
    let user = ["--stream", "agui", "--user", "ada", "--url", &url];
    let cases: [(&[&str], &str); 6] = [
        (&publish("/nowhere/x"), "cannot read /nowhere/x: "),
        (&["publish", &here], "cannot read "),
        (&publish("/dev/zero"), "longer than 4194304 bytes"),
        (&["record", "-o", "/nowhere/x"], "cannot write /nowhere/x: "),
        (
            &["record", "-o", &recording],
            "has something in it; name another file, or replace it with --force",
        ),
        (&["publish", &recording], "line 1 refused: "),
    ];
    for (command, part) in cases {
        let outcome = run(&[command, &user[..]].concat(), &[]).await?;
        outcome.is_one_error(1, &[part]);
    }
    assert!(std::fs::read_to_string(&recording)?.starts_with("{\"events-recording\""));
    let outcome = run(&["replay", &events, "--url", &url], &[]).await?;
    outcome.is_one_error(1, &["is no recording: ", "'events publish' takes events"]);
    std::fs::write(&new, "\n")?;
    let outcome = run(&[&["publish", &new], &user[..]].concat(), &[]).await?;
    assert_eq!(outcome.code, Some(0));
    assert_eq!(
        outcome.notes,
        "warning: the input has no events, so nothing is published\n"
    );
    let outcome = run(
        &[&["record", "-o", "-", "--for", "1ms"], &user[..]].concat(),
        &[],
    )
    .await?;
    assert_eq!(
        (outcome.code, outcome.out.lines().count()),
        (Some(0), 1),
        "{outcome:?}"
    );
    Ok(())
}

#[tokio::test]
async fn calls_that_make_no_sense_are_usage_errors() -> io::Result<()> {
    for (line, part) in [
        (
            "publish --stream agui",
            "not provided: --user <NAME>; try 'events publish --help'",
        ),
        (
            "tail --stream agui --user= --url http://127.0.0.1:1",
            "a value is required for '--user <NAME>'",
        ),
        ("tial", "a similar subcommand exists: 'tail'"),
        (
            "tail --stream agui --user a --url localhost:4000",
            "use one such as http://127.0.0.1:4000",
        ),
        (
            "tail --stream agui --user a --url ftp://u:s3cret@h",
            "invalid address \"ftp://h\"",
        ),
        (
            "tail --stream analytics --user a --from x.1.y",
            "--from: this stream has no ids",
        ),
        (
            "publish --stream a2a --user a --thread t",
            "--thread: only the AG-UI stream has threads",
        ),
        (
            "publish --stream contexts --user a",
            "possible values: agui, a2a, system, analytics",
        ),
        ("dev --limits.user 3", "'--limits.users'"),
        ("dev --listen 4000", "an address and a port such as"),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        run(&args, &[]).await?.is_one_error(2, &[part]);
    }
    Ok(())
}

#[tokio::test]
async fn a_hub_behind_tls_is_used_when_its_authority_is_trusted() -> io::Result<()> {
    let hub = any_hub().await?;
    let front = TlsFront::start(hub.address()).await?;
    let folder = tempfile::tempdir()?;
    let [events, ..] = files(&folder)?;
    let authority = folder.path().join("authority.pem").display().to_string();
    std::fs::write(&authority, front.authority_pem())?;
    let url = front.url();
    let user = ["--stream", "agui", "--user", "ada", "--url", &url];
    let tail = [&["tail", "--json"], &user[..]].concat();

    // The system's certificates, if it has any, do not name this authority.
    let outcome = run(&tail, &[]).await?;
    outcome.is_one_error(1, &["certificate", "--ca"]);
    let plain = hub.url("").replace("http:", "https:");
    let user_there = ["--user", "ada", "--stream", "agui", "--url", &plain];
    let outcome = run(
        &[&["tail", "--ca", &authority], &user_there[..]].concat(),
        &[],
    )
    .await?;
    outcome.is_one_error(1, &["does not speak TLS", "http://"]);

    let mut tail = start(&tail, &[("SSL_CERT_FILE", authority.as_str())]).await?;
    let mut told = BufReader::new(tail.stderr.take().expect("a pipe")).lines();
    let note = within("a note", PATIENCE, told.next_line()).await?;
    assert_eq!(note.as_deref(), Some("connected"));
    let publish = [&["publish", &events, "--ca", &authority], &user[..]].concat();
    let outcome = run(&publish, &[]).await?;
    assert_eq!((outcome.code, outcome.notes.as_str()), (Some(0), ""));
    let mut lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    let line = within("a line", Duration::from_secs(10), lines.next_line()).await?;
    assert!(line.is_some_and(|line| line.contains("RUN_STARTED")));
    Ok(())
}
