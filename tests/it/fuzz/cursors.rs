//! Queries and cursors of streams: whatever they say, the answer is a stream that tells what is missing.

use std::sync::OnceLock;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Uri};
use events_axum::StreamState;
use events_core::EventId;
use events_tests::fuzz::{Example, Fuzz};
use events_tests::sample;

use super::app::{App, ada, ask};
use super::{ensure, must_find};

/// What stands for the epoch of the hub in examples, which is another one each time.
const EPOCH: &str = "EPOCH";

fn run() -> &'static [String] {
    static RUN: OnceLock<Vec<String>> = OnceLock::new();
    RUN.get_or_init(|| sample::run("t", "r", 8))
}

/// A run of twelve events is in Ada's log.
fn prepare(state: &StreamState) -> std::pin::Pin<Box<dyn Future<Output = ()> + '_>> {
    Box::pin(async {
        for event in sample::typed(run()) {
            state
                .router()
                .route_agui(&ada(), event)
                .await
                .expect("a good run");
        }
    })
}

/// A path with its query, and on the second line the header.
fn examples() -> Vec<Example> {
    let queries = [
        "/agui",
        "/agui?thread=t",
        "/agui?thread=t&last_event_id=EPOCH.3.TAG3",
        "/agui?last_event_id=EPOCH.5.TAG5&heartbeat=event",
        "/contexts?control=off&last_event_id=EPOCH.0.0",
        "/contexts?last_event_id=EPOCH.12.TAG12",
        "/a2a?task=x",
        "/a2a?last_event_id=EPOCH.7.TAG7",
        "/analytics?last_event_id=1.2.3",
        "/agui?thread=t%20%C3%A9&last_event_id=EPOCH%2E1%2ETAG1",
        "/agui/threads/t?x=y",
        "/agui/threads",
        "/a2a/rest/tasks?pageSize=3&status=TASK_STATE_WORKING",
        "/a2a/rest/tasks/x:subscribe?historyLength=1",
        "/connections?user=ada",
        "/health/ready?verbose",
        "/publish/agui/ada?run_timeout=10s&msg_id=a",
    ];
    let headers = [
        "",
        "EPOCH.4.TAG4",
        "EPOCH.12.TAG12",
        "EPOCH.13.TAG1",
        "0.4.x",
        "nonsense",
    ];
    let pairs = queries
        .iter()
        .flat_map(|query| headers.map(|header| format!("{query}\n{header}")));
    pairs.map(|text| Example::new("query", text)).collect()
}

/// The ids of the log, from the one before the first.
fn ids(state: &StreamState) -> Vec<EventId> {
    let last = state.router().store().last(&ada());
    let mut reader = state
        .router()
        .agui()
        .connect(
            &ada(),
            events_broadcast::Attach::from_cursor(Some(
                &EventId::new(last.epoch, 0, 0).to_string(),
            )),
        )
        .expect("below the cap");
    let mut batch = events_broadcast::Batch::default();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let _events = reader.poll_next(&mut context, &mut batch);
    let first = EventId::new(last.epoch, 0, 0);
    let others = batch.events.iter().filter_map(|(id, _)| *id);
    std::iter::once(first).chain(others).collect()
}

/// Puts this hub's ids into an input.
fn filled(input: &[u8], ids: &[EventId]) -> String {
    let mut text = String::from_utf8_lossy(input).into_owned();
    for (number, id) in ids.iter().enumerate().rev() {
        let whole = id.to_string();
        let tag = whole.rsplit('.').next().unwrap_or_default();
        text = text.replace(&format!("TAG{number}"), tag);
    }
    let epoch = ids[0].to_string();
    text.replace(EPOCH, epoch.split('.').next().unwrap_or_default())
}

async fn check(
    router: Router,
    state: StreamState,
    input: &[u8],
    is_deaf: bool,
) -> Result<(), String> {
    let ids = ids(&state);
    let text = filled(input, &ids);
    let (query, header) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(uri) = query.parse::<Uri>() else {
        return Ok(());
    };
    let Ok(value) = HeaderValue::from_bytes(header.as_bytes()) else {
        return Ok(());
    };
    if !uri.path().starts_with('/') {
        return Ok(());
    }
    let mut request = Request::get(uri.clone());
    if !value.is_empty() && !is_deaf {
        request = request.header("last-event-id", value);
    }
    let answer = ask(&router, request.body(Body::empty()).expect("a request")).await;
    if answer.content_type != "text/event-stream" {
        let is_other = matches!(answer.status, 200 | 404 | 405)
            || ((400..500).contains(&answer.status) && uri.path().starts_with("/a2a/"));
        return if is_other {
            Ok(())
        } else {
            answer.check_refusal()
        };
    }
    ensure!(answer.status == 200 && !answer.has_ended, "{answer:?}");
    let frames = answer.frames()?;
    let first = frames.first().ok_or("an empty stream")?;
    ensure!(
        first.retry.is_some_and(|ms| (2_000..=5_000).contains(&ms)),
        "{first:?}"
    );
    if uri.path() != "/agui" || header.is_empty() || text.contains("thread") {
        return Ok(());
    }
    // The header wins, and so it is known what has to come.
    let events: Vec<&str> = frames
        .iter()
        .filter(|frame| frame.is_event() && frame.event.is_none())
        .filter_map(|frame| frame.id.as_deref())
        .collect();
    let gaps = frames
        .iter()
        .filter(|frame| frame.event.as_deref() == Some("gap"))
        .count();
    let named = header.parse::<EventId>().ok();
    let known = named.and_then(|id| ids.iter().position(|known| *known == id));
    match known {
        Some(at) => {
            let rest: Vec<String> = ids[at + 1..].iter().map(ToString::to_string).collect();
            ensure!(
                gaps == 0 && events == rest,
                "after {header:?}: {gaps} gaps, {events:?}"
            );
        }
        None => {
            let has_control = !uri.query().is_some_and(|query| query.contains("control"));
            let is_start = named.is_some_and(|id| id.epoch == ids[0].epoch && id.seq == 0);
            let is_told = gaps == 1 || !has_control;
            ensure!(
                is_start || is_told && events.is_empty(),
                "{header:?}: {gaps} gaps, {events:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_query_and_a_cursor_never_break_a_stream() {
    let mut app = App::new(prepare);
    Fuzz::new("cursors", examples()).run(|input| {
        app.case(input, |router, state, _, input| {
            check(router, state, input, false)
        })
    });
}

#[test]
fn a_hub_that_does_not_hear_the_header_is_found() {
    let mut app = App::new(prepare);
    let fuzz = Fuzz::new("cursors", examples());
    must_find(&fuzz, "Last-Event-ID is not heard", |input| {
        app.case(input, |router, state, _, input| {
            check(router, state, input, true)
        })
    });
}
