//! Bodies of publish requests: what is taken is in the log as it was sent, what is refused leaves nothing.

use std::collections::HashMap;
use std::convert::Infallible;
use std::task::{Context, Poll, Waker};

use super::app::{Answer, App, ask, nothing};
use super::{ensure, must_find};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use events_axum::StreamState;
use events_broadcast::{Attach, Batch, Next};
use events_core::UserId;
use events_models::agui::order::ThreadOrder;
use events_models::{A2AEvent, AgUiEvent, AnalyticsEvent, SystemEvent};
use events_tests::client_log::seq_of;
use events_tests::fuzz::{Example, Fuzz, cuts, files, fixtures, json_lines};
use events_tests::hub::ids_of;
use serde_json::Value;

/// What is wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plant {
    Nothing,
    /// The first line of a body that is refused is published.
    TakesPart,
    /// A retry has no message id.
    ForgetsId,
}

fn examples() -> Vec<Example> {
    let folder = fixtures();
    let mut examples = files(&folder.join("agui/transcripts"));
    examples.retain(|example| example.bytes.len() < 8 << 10);
    for name in ["invalid-sequences", "accepted-sequences"] {
        let file = folder.join("agui").join(name).with_extension("jsonl");
        examples.extend(json_lines(&file, "events"));
    }
    for file in ["agui/valid-events.jsonl", "a2a/v1.0-events-valid.jsonl"] {
        examples.extend(json_lines(&folder.join(file), "event"));
    }
    let mut streams = files(&folder.join("a2a/streams"));
    streams.retain(|example| example.name.starts_with("1.0") && example.name.ends_with(".jsonl"));
    examples.extend(streams);
    for json in [
        r#"{"type":"CONTEXT_CREATED","timestamp":"2026-06-24T12:00:00.123Z","context_id":"c","name":"n"}"#,
        r#"{"type":"PAGE_VIEW","timestamp":"2026-06-24T12:00:00Z","session_id":"s","page":"/"}"#,
    ] {
        examples.push(Example::new("ours", json));
    }
    examples
}

/// The stream that the first line looks like.
fn stream_of(body: &[u8]) -> &'static str {
    let first = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if A2AEvent::from_json(first).is_ok() {
        "a2a"
    } else if SystemEvent::from_json(first).is_ok() {
        "system"
    } else if AnalyticsEvent::from_json(first).is_ok() {
        "analytics"
    } else {
        "agui"
    }
}

fn post(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header("content-type", content_type);
    request.body(body.into()).expect("a request")
}

/// One event of a log: its number, its JSON, and the thread of an AG-UI event.
type Entry = (u64, String, Option<String>);

/// Reads everything in a user's log.
fn log_of(state: &StreamState, user: &UserId, before: &str) -> Result<Vec<Entry>, String> {
    let attach = Attach::from_cursor(Some(before));
    let reader = state.router().contexts().connect(user, attach);
    let mut reader = reader.map_err(|error| error.to_string())?;
    let (mut batch, mut log) = (Batch::default(), Vec::new());
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(next) = reader.poll_next(&mut context, &mut batch) {
        ensure!(next == Next::Events, "{next:?} in a log that is whole");
        for (id, frame) in &batch.events {
            let json = String::from_utf8(frame.data.to_vec()).map_err(|error| error.to_string())?;
            let thread = frame.envelope.as_ref().and_then(|it| it.thread.as_deref());
            let id = id.ok_or("an event without an id")?;
            log.push((id.seq, json, thread.map(str::to_owned)));
        }
    }
    Ok(log)
}

/// Checks what any log may hold: lines of JSON that are events, in an order that their protocol allows.
fn check_log(log: &[Entry], stream: &str) -> Result<(), String> {
    let mut threads: HashMap<&str, ThreadOrder> = HashMap::new();
    for (seq, json, thread) in log {
        ensure!(!json.contains(['\n', '\r']), "{seq} is two lines: {json:?}");
        ensure!(
            serde_json::from_str::<Value>(json).is_ok(),
            "{seq} is no JSON: {json}"
        );
        let is_event = match stream {
            "agui" => {
                let event = AgUiEvent::from_json(json.as_bytes());
                let event = event.map_err(|error| format!("{seq} is no event: {error}: {json}"))?;
                let thread = thread.as_deref().ok_or("an event of no thread")?;
                let order = threads.entry(thread).or_default();
                order
                    .check(&event)
                    .map_err(|error| format!("{seq}: {error}: {log:?}"))?;
                true
            }
            "a2a" => A2AEvent::from_json(json.as_bytes()).is_ok(),
            _ => SystemEvent::from_json(json.as_bytes()).is_ok(),
        };
        ensure!(is_event, "{seq} is no {stream} event: {json}");
    }
    Ok(())
}

/// Checks what is told to who joins each thread late.
fn check_preludes(state: &StreamState, user: &UserId) -> Result<(), String> {
    for overview in state.router().threads_of(user) {
        let told = state.router().retell_thread(user, &overview.thread);
        let Some(told) = told else { continue };
        let mut order = ThreadOrder::default();
        for json in told.events.iter() {
            let text = String::from_utf8_lossy(json);
            let event =
                AgUiEvent::from_json(json).map_err(|error| format!("told {text}: {error}"))?;
            order.check(&event).map_err(|error| {
                let all: Vec<_> = told
                    .events
                    .iter()
                    .map(|json| String::from_utf8_lossy(json))
                    .collect();
                format!("told {text}: {error}: {all:#?}")
            })?;
        }
    }
    Ok(())
}

fn check_ids(answer: &Answer) -> Result<Vec<u64>, String> {
    let json = answer.json()?;
    ensure!(
        json["duplicates"].is_u64() && json["connections"].is_u64(),
        "{json}"
    );
    let ids: Result<Vec<u64>, String> = ids_of(&json).iter().map(|id| seq_of(id)).collect();
    let ids = ids?;
    ensure!(
        ids.len() == json["ids"].as_array().map_or(0, Vec::len),
        "odd ids: {json}"
    );
    Ok(ids)
}

async fn check(
    router: Router,
    state: StreamState,
    number: usize,
    body: &[u8],
    plant: Plant,
) -> Result<(), String> {
    let stream = stream_of(body);
    let form = "application/x-ndjson";
    let path = |user: &UserId, rest: &str| format!("/publish/{stream}/{user}{rest}");
    let user = UserId::new(format!("whole-{number}"));
    let before = state.router().store().last(&user).to_string();

    // At once: whole or not at all.
    let all = Bytes::copy_from_slice(body);
    let whole = ask(&router, post(&path(&user, "?msg_id=k"), form, all.clone())).await;
    if plant == Plant::TakesPart && whole.status == 422 {
        let first = body
            .split_inclusive(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        ask(&router, post(&path(&user, ""), form, first.to_vec())).await;
    }
    let log = log_of(&state, &user, &before)?;
    check_log(&log, stream)?;
    let ids = if whole.status == 200 {
        check_ids(&whole)?
    } else {
        whole.check_refusal()?;
        Vec::new()
    };
    let durable: Vec<u64> = if stream == "analytics" {
        Vec::new()
    } else {
        ids.clone()
    };
    let logged: Vec<u64> = log.iter().map(|entry| entry.0).collect();
    ensure!(
        logged == durable,
        "{} {ids:?} was answered, {logged:?} is in the log",
        whole.status
    );
    check_preludes(&state, &user)?;

    // The same again is known, also when other things would be wrong with it by now.
    if whole.status == 200 && stream != "analytics" {
        let retry = if plant == Plant::ForgetsId {
            ""
        } else {
            "?msg_id=k"
        };
        let again = ask(&router, post(&path(&user, retry), form, all.clone())).await;
        ensure!(again.status == 200, "a retry is answered {}", again.status);
        let same = check_ids(&again)?;
        let duplicates = &again.json()?["duplicates"];
        ensure!(
            same == ids && *duplicates == ids.len(),
            "a retry: {same:?} for {ids:?}, {duplicates}"
        );
    }

    // One event as JSON is the same as one line.
    let as_json = UserId::new(format!("json-{number}"));
    let json = ask(
        &router,
        post(&path(&as_json, ""), "application/json", all.clone()),
    )
    .await;
    if json.status == 200 {
        ensure!(
            check_ids(&json)?.len() == ids.len() || body.contains(&b'\n'),
            "as JSON: {json:?}"
        );
        ensure!(
            whole.status == 200 || body.contains(&b'\n'),
            "as JSON taken, as a line {}",
            whole.status
        );
    } else {
        json.check_refusal()?;
    }

    // Line by line, in pieces.
    let lively = UserId::new(format!("live-{number}"));
    let before = state.router().store().last(&lively).to_string();
    let chunks = cuts(body)
        .into_iter()
        .map(|chunk| Ok::<_, Infallible>(Bytes::copy_from_slice(chunk)));
    let chunks: Vec<_> = chunks.collect();
    let live = Body::from_stream(futures_util::stream::iter(chunks));
    let live = ask(&router, post(&path(&lively, "/live"), form, live)).await;
    ensure!(live.status == 200 && live.has_ended, "live: {live:?}");
    let (mut live_ids, mut n_errors, mut last_line) = (Vec::new(), 0, 0);
    for line in live.body.split_inclusive(|byte| *byte == b'\n') {
        let receipt: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let number = receipt["line"].as_u64().unwrap_or_default();
        ensure!(number > last_line, "line {number} after {last_line}");
        last_line = number;
        if receipt["error"].is_null() {
            let seqs: Result<Vec<u64>, String> =
                ids_of(&receipt).iter().map(|id| seq_of(id)).collect();
            live_ids.extend(seqs?);
        } else {
            ensure!(
                receipt["error"]["status"]
                    .as_u64()
                    .is_some_and(|it| (400..500).contains(&it)),
                "{receipt}"
            );
            n_errors += 1;
        }
    }
    let live_log = log_of(&state, &lively, &before)?;
    check_log(&live_log, stream)?;
    check_preludes(&state, &lively)?;
    if stream != "analytics" {
        let logged: Vec<u64> = live_log.iter().map(|entry| entry.0).collect();
        ensure!(
            logged == live_ids,
            "live told {live_ids:?}, and {logged:?} is in the log"
        );
    }
    if whole.status == 200 {
        let texts = |log: &[Entry]| {
            log.iter()
                .map(|it| (it.1.clone(), it.2.clone()))
                .collect::<Vec<_>>()
        };
        ensure!(
            n_errors == 0,
            "whole it was taken, live {}",
            String::from_utf8_lossy(&live.body)
        );
        ensure!(
            texts(&log) == texts(&live_log),
            "whole {log:?}\nlive {live_log:?}"
        );
    } else {
        let is_known = n_errors > 0 || whole.status == 400;
        ensure!(is_known, "whole {whole:?}, and live it was taken");
    }
    Ok(())
}

fn run(app: &mut App, body: &[u8], plant: Plant) -> Result<(), String> {
    app.case(body, |router, state, number, body| {
        check(router, state, number, body, plant)
    })
}

#[test]
fn a_body_is_taken_as_it_is_or_leaves_nothing() {
    let mut app = App::new(nothing);
    Fuzz::new("publish", examples()).run(|body| run(&mut app, body, Plant::Nothing));
}

#[test]
fn a_part_of_a_refused_body_and_a_retry_that_is_not_known_are_found() {
    let plants = [
        (Plant::TakesPart, "a part of a refused body is taken"),
        (Plant::ForgetsId, "a retry is a new event"),
    ];
    for (plant, name) in plants {
        let mut app = App::new(nothing);
        let fuzz = Fuzz::new("publish", examples());
        must_find(&fuzz, name, |body| run(&mut app, body, plant));
    }
}
