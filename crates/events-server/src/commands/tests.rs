//! Commands against a hub in this process, over a real socket.

mod support;

use std::{ffi::OsString, future::pending, io::Cursor, path::PathBuf, pin::Pin};

use indicatif::ProgressBar;
use tokio::{sync::oneshot, time::timeout};

use super::*;
use crate::{cli, stop_channel};
use support::{PATIENCE, Running, console, hub, take, wire};

macro_rules! arguments {
    ($command:ident, $line:expr) => {{
        let words = std::iter::once("events").chain($line.split_whitespace());
        match cli::parse(words.map(OsString::from)).unwrap() {
            Command::$command(args) => args,
            other => panic!("{other:?}"),
        }
    }};
}

/// Publishes a text and returns the ids that were printed.
async fn publish_text(hub: &Running, line: &str, text: &str) -> (Vec<String>, Result<(), Failure>) {
    let args = arguments!(Publish, line);
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let input = Box::new(Cursor::new(text.to_owned()));
    let result = publish::publish(
        &hub.client(),
        &args,
        input,
        stop_channel().1,
        &ProgressBar::hidden(),
        &mut console(&mut out, &mut notes),
    )
    .await;
    let notes = String::from_utf8(notes).unwrap();
    let is_empty = text.trim().is_empty();
    assert_eq!(
        notes.starts_with("warning: the input has no events"),
        is_empty,
        "{notes}"
    );
    assert_eq!(notes.lines().count(), usize::from(is_empty), "{notes}");
    let ids = String::from_utf8(out).unwrap();
    (ids.lines().map(str::to_owned).collect(), result)
}

/// Two threads, of which most events do not say the thread.
const EVENTS: [&str; 5] = [
    r#"{"type":"RUN_STARTED","threadId":"t","runId":"r","timestamp":1}"#,
    r#"{"type":"STEP_STARTED","stepName":"plan \u001b[2J","timestamp":2}"#,
    r#"{"type":"RUN_STARTED","threadId":"u","runId":"s","timestamp":3}"#,
    r#"{"type":"CUSTOM","name":"cook","value":1.50,"timestamp":4}"#,
    r#"{"type":"RUN_FINISHED","threadId":"u","runId":"s","timestamp":5}"#,
];

fn values(lines: &[impl AsRef<str>]) -> Vec<serde_json::Value> {
    lines
        .iter()
        .map(|line| serde_json::from_str(line.as_ref()).unwrap())
        .collect()
}

/// Follows, publishes, and returns what was printed.
async fn tailed(arguments: &str) -> Vec<String> {
    let hub = hub().await;
    let args = arguments!(Tail, arguments);
    let ((mut out, mut lines), (mut notes, mut told)) = (wire(), wire());
    let (stop, is_stopped) = oneshot::channel::<()>();
    let client = hub.client();
    let mut console = console(&mut out, &mut notes);
    let stopped = async {
        let _stopped = is_stopped.await;
    };
    let tailing = tail::tail(&client, &args, stopped, &mut console);
    let publishing = async {
        assert_eq!(told.recv().await.as_deref(), Some("connected"));
        let text = EVENTS.join("\n");
        let (ids, result) = publish_text(&hub, "publish --stream agui --user ada", &text).await;
        result.unwrap();
        assert_eq!(ids.len(), 5);
        let printed = take(&mut lines, 5).await;
        stop.send(()).unwrap();
        printed
    };
    let both = timeout(PATIENCE, async { tokio::join!(tailing, publishing) });
    let (ended, printed) = both.await.expect("it hangs");
    ended.unwrap();
    printed
}

#[tokio::test]
async fn tail_with_json_prints_what_was_published() {
    let printed = tailed("tail --stream agui --user ada --json").await;
    assert_eq!(values(&printed), values(&EVENTS));
}

#[tokio::test]
async fn tail_prints_lines_that_can_be_read_and_drive_nothing() {
    let printed = tailed("tail --stream contexts --user ada").await;
    // The contexts begin with two events of the connection's own.
    assert!(printed[0].contains(" CONNECTED "), "{printed:?}");
    assert!(printed[1].contains(" CONTEXTS_SNAPSHOT "), "{printed:?}");
    assert_eq!(
        printed[2],
        "00:00:00.001 RUN_STARTED          t            r"
    );
    assert_eq!(
        printed[3],
        "00:00:00.002 STEP_STARTED         t            plan \\u{1b}[2J"
    );
}

#[tokio::test]
async fn tail_ends_quietly_when_nobody_reads() {
    let hub = hub().await;
    let args = arguments!(Tail, "tail --stream contexts --user ada");
    let (mut out, lines) = wire();
    drop(lines);
    let mut notes = Vec::new();
    let client = hub.client();
    let mut console = console(&mut out, &mut notes);
    let tailing = tail::tail(&client, &args, pending(), &mut console);
    timeout(PATIENCE, tailing).await.expect("it hangs").unwrap();
}

#[tokio::test]
async fn a_refused_stream_is_one_line_and_a_failure() {
    let hub = hub().await;
    for (line, part, code) in [
        (
            "tail --stream agui",
            "; set EVENTS_TOKEN to a token of this hub",
            1,
        ),
        (
            "tail --stream a2a --user ada --thread t",
            "only the AG-UI stream has threads",
            2,
        ),
    ] {
        let args = arguments!(Tail, line);
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let client = hub.client();
        let mut console = console(&mut out, &mut notes);
        let tailing = tail::tail(&client, &args, pending(), &mut console);
        let failure = timeout(PATIENCE, tailing).await.expect("it hangs");
        let failure = failure.unwrap_err();
        assert!(failure.line().contains(part), "{}", failure.line());
        assert_eq!(failure.exit_code(), code, "{}", failure.line());
        assert!(out.is_empty());
    }
}

#[tokio::test]
async fn publish_prints_ids_and_stops_at_the_line_that_is_refused() {
    let hub = hub().await;
    let line = "publish --stream agui --user ada";
    let text = format!("{}\n\n{}\n", EVENTS[0], EVENTS[1]);
    for (bad, part) in [
        ("{\"type\":\"NOPE\"}", "error: line 4 refused: "),
        (": alive", "error: line 4 refused: it is not JSON"),
        ("{", "error: line 4 refused: "),
    ] {
        let text = format!("{text}{bad}\n{}\n", EVENTS[0]);
        let user_line = format!("{line}{}", bad.len());
        let publishing = publish_text(&hub, &user_line, &text);
        let (ids, result) = timeout(PATIENCE, publishing).await.expect("it hangs");
        let failure = result.unwrap_err();
        assert!(failure.line().starts_with(part), "{}", failure.line());
        assert_eq!(failure.line().matches("line 3").count(), 0, "{failure}");
        assert_eq!(failure.exit_code(), 1);
        // What stands before it is published, once.
        assert_eq!(ids.len(), 2, "{bad}");
        assert_ne!(ids[0], ids[1]);
    }
}

#[tokio::test]
async fn publish_without_events_prints_nothing() {
    let hub = hub().await;
    let (ids, result) = publish_text(&hub, "publish --stream system --user ada", "\n \n").await;
    result.unwrap();
    assert!(ids.is_empty());
}

/// Records a user while something is done, and returns the file's lines.
async fn recorded(
    hub: &Running,
    line: &str,
    n_events: usize,
    act: Pin<Box<dyn Future<Output = ()> + '_>>,
) -> Vec<String> {
    let args = arguments!(Record, line);
    let ((file, mut lines), (mut notes, mut told)) = (wire(), wire());
    let (stop, is_stopped) = oneshot::channel::<()>();
    let client = hub.client();
    let mut out = Vec::new();
    let mut console = console(&mut out, &mut notes);
    let stopped = async {
        let _stopped = is_stopped.await;
    };
    let recording = record::record(&client, &args, file, stopped, &mut console);
    let acting = async {
        assert_eq!(told.recv().await.as_deref(), Some("connected"));
        act.await;
        let taken = take(&mut lines, 1 + n_events).await;
        stop.send(()).unwrap();
        taken
    };
    let both = timeout(PATIENCE, async { tokio::join!(recording, acting) });
    let (ended, taken) = both.await.expect("it hangs");
    ended.unwrap();
    let told = told.recv().await;
    let n_told = u64::try_from(n_events).unwrap();
    assert_eq!(told, Some(format!("recorded {}", counted(n_told, "event"))));
    taken
}

/// What is in a recording besides its times.
fn data(lines: &[String]) -> Vec<(Option<String>, String)> {
    let text = lines.join("\n");
    let (_, mut reader) = recording::Reader::open(text.as_bytes()).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        entries.push((entry.thread, entry.data.get().to_owned()));
    }
    entries
}

/// A task, of which no event looks like another.
const TASK: [&str; 2] = [
    r#"{"task":{"id":"k","contextId":"c","status":{"state":"TASK_STATE_SUBMITTED"}}}"#,
    r#"{"statusUpdate":{"taskId":"k","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"},"metadata":{"n":1.50}}}"#,
];
const SYSTEM: &str =
    r#"{"type":"CONTEXT_CREATED","timestamp":1,"contextId":"soup","name":"S\u00e9"}"#;
const VIEW: &str = r#"{"type":"PAGE_VIEW","timestamp":2,"sessionId":"s","pageUrl":"/soup"}"#;

async fn publish_all(hub: &Running, user: &str, streams: &[(&str, &[&str])]) {
    for (stream, events) in streams {
        let line = format!("publish --stream {stream} --user {user}");
        let (_, result) = publish_text(hub, &line, &events.join("\n")).await;
        result.unwrap();
    }
}

#[tokio::test]
async fn what_is_recorded_and_replayed_is_the_same_in_its_order() {
    let hub = hub().await;
    let folder = tempfile::tempdir().unwrap();
    let all: [(&str, &[&str]); 4] = [
        ("agui", &EVENTS),
        ("a2a", &TASK),
        ("system", &[SYSTEM]),
        ("analytics", &[VIEW]),
    ];
    for (stream, published) in [
        ("agui", &all[..1]),
        ("a2a", &all[1..2]),
        ("analytics", &all[3..]),
        // What is in the contexts, and what is not: analytics.
        ("contexts", &all[..3]),
    ] {
        let n_events = published.iter().map(|(_, events)| events.len()).sum();
        let (ada, bob) = (format!("ada-{stream}"), format!("bob-{stream}"));
        let record = |user: &str| format!("record --stream {stream} --user {user} -o unused");
        let publishing = publish_all(&hub, &ada, published);
        let first = recorded(&hub, &record(&ada), n_events, Box::pin(publishing)).await;
        let begins = format!(r#"{{"events-recording":1,"stream":"{stream}","user":"{ada}","at":""#);
        assert!(first[0].starts_with(&begins), "{}", first[0]);
        let file = folder.path().join(stream);
        // The end of a recording may be cut.
        std::fs::write(&file, format!("{}\n{{\"ms\":9,\"da", first.join("\n"))).unwrap();
        let again = recorded(
            &hub,
            &record(&bob),
            n_events,
            Box::pin(async {
                let line = format!("replay {} --user {bob} --speed 1000", file.display());
                let args = arguments!(Replay, &line);
                let (mut out, mut notes) = (Vec::new(), Vec::new());
                let mut console = console(&mut out, &mut notes);
                replay::replay(&hub.client(), &args, stop_channel().1, &mut console)
                    .await
                    .unwrap();
                let notes = String::from_utf8(notes).unwrap();
                assert!(notes.starts_with("warning: the last line"), "{notes}");
            }),
        )
        .await;
        assert_eq!(data(&first), data(&again), "{stream}");
        if stream != "contexts" {
            let texts: Vec<String> = data(&first).into_iter().map(|(_, json)| json).collect();
            assert_eq!(values(&texts), values(published[0].1), "{stream}");
        }
        if stream == "agui" {
            let threads = data(&first).into_iter().map(|(thread, _)| thread.unwrap());
            assert_eq!(threads.collect::<String>(), "ttuuu");
        }
    }
}

#[tokio::test]
async fn a_recording_ends_by_itself_after_its_time() {
    let hub = hub().await;
    let args = arguments!(Record, "record --stream a2a --user ada -o unused --for 1ms");
    let (mut out, mut notes, mut file) = (Vec::new(), Vec::new(), Vec::new());
    let client = hub.client();
    let mut console = console(&mut out, &mut notes);
    let recording = record::record(&client, &args, &mut file, pending(), &mut console);
    timeout(PATIENCE, recording)
        .await
        .expect("it hangs")
        .unwrap();
    assert!(
        String::from_utf8(notes)
            .unwrap()
            .ends_with("recorded 0 events\n")
    );
    assert!(file.ends_with(b"\n"));
}

#[tokio::test]
async fn a_refused_event_of_a_recording_is_named_by_its_line() {
    let hub = hub().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording");
    let header = r#"{"events-recording":1,"stream":"agui","user":"ada","at":"now"}"#;
    let text = format!(
        "{header}\n{{\"ms\":0,\"thread\":\"t\",\"data\":{}}}\n{{\"ms\":0,\"thread\":\"t\",\"data\":{{}}}}\n",
        EVENTS[0]
    );
    std::fs::write(&file, text).unwrap();
    let line = format!("replay {}", file.display());
    let args = arguments!(Replay, &line);
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let client = hub.client();
    let mut console = console(&mut out, &mut notes);
    let replaying = replay::replay(&client, &args, stop_channel().1, &mut console);
    let failure = timeout(PATIENCE, replaying).await.expect("it hangs");
    let text = failure.unwrap_err().line();
    assert!(text.starts_with("error: line 3 refused: "), "{text}");
}

#[test]
fn files_and_addresses_that_cannot_be_used_are_failures() {
    let missing = PathBuf::from("/nowhere/events.ndjson");
    let failure = lines::open(&missing).map(|_| ()).unwrap_err();
    assert!(failure.line().starts_with("error: cannot read /nowhere/"));
    assert_eq!(failure.exit_code(), 1);
    let args = |url: &str, ca: Option<&str>| HubArgs {
        url: url.to_owned(),
        wait: false,
        ca: ca.map(PathBuf::from),
    };
    assert_eq!(
        client(&args("hub:4000", None), None)
            .unwrap_err()
            .exit_code(),
        2
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let named = file.display().to_string();
    for (pem, part, code) in [
        (None, "error: cannot read ", 1),
        (Some(""), " is empty; --ca needs a certificate in PEM", 2),
        (Some("no pem"), "the authority is no certificate in PEM", 2),
    ] {
        if let Some(pem) = pem {
            std::fs::write(&file, pem).unwrap();
        }
        let failure = client(&args("https://hub", Some(&named)), None).unwrap_err();
        assert!(failure.line().contains(part), "{}", failure.line());
        assert_eq!(failure.exit_code(), code);
    }
}
