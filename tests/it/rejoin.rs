//! A thread's stream at any moment: joined late, come back to, fallen behind, by pages and by official clients.

mod official;

use std::{fs, io};

use events_broadcast::Limits;
use events_core::{Fold, ThreadId, UserId};
use events_models::{AgUiEvent, agui::fold::ThreadFold};
use events_tests::{
    agui_check::{AgUiCheck, AgUiVersion},
    deadline::PATIENCE,
    fault_proxy::FaultProxy,
    hub::Hub,
    raw_client::{RawFrame, RawSse, Request},
    sample,
};
use serde_json::json;

fn event(frame: &RawFrame) -> AgUiEvent {
    let data = frame.data.as_deref().expect("data");
    AgUiEvent::from_json(data.as_bytes()).expect("a legal event")
}

/// Folds what a client was sent; an official client would refuse what this refuses.
fn folded<'a>(frames: impl IntoIterator<Item = &'a RawFrame>) -> ThreadFold {
    let mut fold = ThreadFold::default();
    for frame in frames.into_iter().filter(|frame| frame.is_event()) {
        assert_eq!(frame.event, None, "a control frame on a thread's stream");
        fold.apply(event(frame)).expect("valid in this order");
    }
    fold
}

fn is_end(frame: &RawFrame) -> bool {
    let data = frame.data.as_deref().unwrap_or_default();
    data.starts_with(r#"{"type":"RUN_FINISHED""#) || data.starts_with(r#"{"type":"RUN_ERROR""#)
}

/// Compares what a client holds with what the hub knows.
fn assert_told(hub: &Hub, user: &str, fold: &ThreadFold) {
    let told = hub
        .router()
        .snapshot_thread(&UserId::new(user), &ThreadId::new("t"))
        .expect("a known thread");
    assert_eq!(fold.content().messages(), told.messages);
    assert_eq!(fold.content().state(), told.state);
}

#[tokio::test]
async fn a_page_that_opens_late_is_told_where_the_run_stands_and_then_follows_it() -> io::Result<()>
{
    let hub = Hub::plain().await?;
    let lines = sample::run("t", "r", 20);
    let (before, after) = lines.split_at(11);
    hub.publish_lines("ada", before).await?;
    let mut page = hub.stream("/agui?user=ada&thread=t").await?;
    let is_last_of_prelude = |frame: &RawFrame| frame.id.is_some();
    let mut frames = page.read_until(PATIENCE, is_last_of_prelude).await?;
    let with_id = frames.iter().filter(|frame| frame.id.is_some()).count();
    assert_eq!(
        with_id, 1,
        "only the last frame of a prelude has an id: {frames:?}"
    );
    let ids = hub.publish_lines("ada", after).await?;
    let tail = page.read_until(PATIENCE, is_end).await?;
    let tail_ids: Vec<_> = tail.iter().filter_map(|frame| frame.id.clone()).collect();
    assert_eq!(tail_ids, ids);
    frames.extend(tail);
    assert_told(&hub, "ada", &folded(&frames));
    Ok(())
}

#[tokio::test]
async fn a_page_that_comes_back_with_its_cursor_gets_the_tail_and_without_one_the_prelude()
-> io::Result<()> {
    let hub = Hub::plain().await?;
    let lines = sample::run("t", "r", 20);
    let ids = hub.publish_lines("ada", &lines[..11]).await?;
    hub.publish_lines("ada", &lines[11..]).await?;
    let mut back = hub.resume("/agui?user=ada&thread=t", &ids[5]).await?;
    let tail = back.read_until(PATIENCE, is_end).await?;
    let n_events = tail.iter().filter(|frame| frame.is_event()).count();
    assert_eq!(n_events, lines.len() - 6);
    let mut anew = hub.resume("/agui?user=ada&thread=t", "gone").await?;
    let whole = anew.read_until(PATIENCE, is_end).await?;
    assert_told(&hub, "ada", &folded(&whole));
    Ok(())
}

#[tokio::test]
async fn a_cut_at_any_byte_of_the_prelude_brings_the_whole_prelude_again() -> io::Result<()> {
    let hub = Hub::plain().await?;
    hub.publish_lines("ada", &sample::run("t", "r", 5)[..5])
        .await?;
    let mut page = hub.stream("/agui?user=ada&thread=t").await?;
    let prelude = page
        .read_until(PATIENCE, |frame| frame.id.is_some())
        .await?;
    let bytes: String = prelude
        .iter()
        .map(|frame| format!("{}\n\n", frame.raw))
        .collect();
    for cut in 0..bytes.len() {
        // What a browser has of a stream that was cut there: whole blocks.
        let whole = bytes[..cut].matches("\n\n").count();
        let cursor = prelude[..whole]
            .iter()
            .rev()
            .find_map(|frame| frame.id.clone());
        assert_eq!(
            cursor, None,
            "a cut at byte {cut} would skip the rest of the prelude"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_cut_again_and_again_ends_in_the_right_state() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let proxy = FaultProxy::start(hub.address()).await?;
    let mut cursor: Option<String> = None;
    let mut fold = ThreadFold::default();
    for lines in sample::run("t", "r", 60).chunks(9) {
        let mut request = Request::get("/agui?user=ada&thread=t");
        if let Some(cursor) = &cursor {
            request = request.header("last-event-id", cursor);
        }
        let mut page = RawSse::open(proxy.address(), &request).await?;
        let ids = hub.publish_lines("ada", lines).await?;
        let is_there = |frame: &RawFrame| frame.id.as_ref() == ids.last();
        for frame in page.read_until(PATIENCE, is_there).await? {
            cursor = frame.id.clone().or(cursor);
            if frame.is_event() {
                fold.apply(event(&frame)).expect("valid in this order");
            }
        }
        proxy.reset_all();
    }
    assert!(!fold.open().is_run_active());
    assert_told(&hub, "ada", &fold);
    Ok(())
}

#[tokio::test]
async fn a_thread_can_be_fetched_and_followed_from_there() -> io::Result<()> {
    let hub = Hub::plain().await?;
    let lines = sample::run("t", "r", 6);
    hub.publish_lines("ada", &lines[..4]).await?;
    let answer = Request::get("/agui/threads?user=ada")
        .send(hub.address())
        .await?;
    let list = answer.json()?;
    assert_eq!(list["threads"][0]["threadId"], "t");
    assert_eq!(list["threads"][0]["status"], "running");
    let answer = Request::get("/agui/threads/t?user=ada")
        .send(hub.address())
        .await?;
    let thread = answer.json()?;
    assert_eq!(thread["status"], "running");
    assert_eq!(thread["messages"][0]["content"], "r 0 r 1 ");
    let cursor = thread["cursor"].as_str().expect("a cursor");
    let retold = Request::get("/agui/threads/t?user=ada&form=events")
        .send(hub.address())
        .await?
        .json()?;
    assert_eq!(
        (&retold["status"], &retold["runId"], &retold["cursor"]),
        (&json!("running"), &json!("r"), &thread["cursor"])
    );
    let events = retold["events"].as_array().expect("events").iter();
    let types: Vec<_> = events.filter_map(|event| event["type"].as_str()).collect();
    let expected = ["RUN_STARTED", "MESSAGES_SNAPSHOT", "TEXT_MESSAGE_START"];
    assert_eq!(types, expected);
    let mut page = hub.resume("/agui?user=ada&thread=t", cursor).await?;
    hub.publish_lines("ada", &lines[4..]).await?;
    let tail = page.read_until(PATIENCE, is_end).await?;
    assert_eq!(
        tail.iter().filter(|frame| frame.is_event()).count(),
        lines.len() - 4
    );
    for (path, status) in [
        ("/agui/threads/u?user=ada", 404),
        ("/agui/threads/t?user=eve", 404),
        ("/agui/threads/u?user=ada&form=events", 404),
        ("/agui/threads/t?user=ada&form=other", 400),
    ] {
        let answer = Request::get(path).send(hub.address()).await?;
        assert_eq!(answer.status(), status, "{path}");
    }
    Ok(())
}

/// A state of some 40 KB that changes all the time, for `n` events, with a message that grows meanwhile.
fn churn(n: usize) -> Vec<String> {
    let mut lines = sample::run("t", "r", 0);
    let end = lines.split_off(2);
    let state = json!({ "rows": vec!["x".repeat(4_000); 10] });
    lines.push(json!({ "type": "STATE_SNAPSHOT", "snapshot": state }).to_string());
    lines.extend((0..n).flat_map(|n| {
        let value = format!("{n:0>4000}");
        let delta =
            json!([{ "op": "replace", "path": format!("/rows/{}", n % 10), "value": value }]);
        [
            json!({ "type": "STATE_DELTA", "delta": delta }).to_string(),
            json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": "r-message", "delta": "." })
                .to_string(),
        ]
    }));
    lines.extend(end);
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_caught_up_on_the_same_connection() -> io::Result<()> {
    let hub = Hub::with_limits(Limits {
        bytes: 256 << 10,
        ..Limits::default()
    })
    .await?;
    let request = Request::get("/agui?user=ada&thread=t").receive_buffer(4_096);
    let mut slow = RawSse::open(hub.address(), &request).await?;
    let lines = churn(3_000);
    for some in lines.chunks(500) {
        hub.publish_lines("ada", some).await?;
    }
    let frames = slow.read_until(PATIENCE, is_end).await?;
    let n_events = frames.iter().filter(|frame| frame.is_event()).count();
    assert!(
        n_events < lines.len(),
        "it was slow enough to be caught up: {n_events}"
    );
    assert_told(&hub, "ada", &folded(&frames));

    // The official clients agree that what came is one valid run.
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile()?;
    let text: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame.data.clone())
        .collect();
    fs::write(file.path(), text.join("\n"))?;
    for version in AgUiVersion::ALL {
        if let Some(check) = AgUiCheck::find("a_slow_reader", version) {
            let verdict = check.order().read_file(file.path()).await?;
            assert!(verdict.is_clean(), "{version:?}: {:?}", verdict.refusals());
        }
    }
    Ok(())
}
