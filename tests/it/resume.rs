//! Coming back with a cursor, from wherever a stream was cut.

use std::collections::BTreeMap;

use events_broadcast::Limits;
use events_tests::client_log::{ClientLog, Entry, Published, enveloped, published, seq_of};
use events_tests::deadline::PATIENCE;
use events_tests::fault_proxy::{FaultProxy, Faults};
use events_tests::hub::Hub;
use events_tests::raw_client::{FrameSplitter, RawFrame, RawSse};
use events_tests::sample;

/// A run of sixty events in the log of a hub, and a cursor from before it.
struct Recorded {
    hub: Hub,
    start: String,
    truth: Published,
    ids: Vec<String>,
}

async fn recorded() -> Recorded {
    let hub = Hub::plain().await.unwrap();
    let start = primed(&hub, "/agui?user=ada").await;
    let lines = sample::run("t", "r", 56);
    let ids = hub.publish_lines("ada", &lines).await.unwrap();
    let truth = published(&ids, &lines).unwrap();
    assert_eq!(truth.len(), 60);
    Recorded {
        hub,
        start,
        truth,
        ids,
    }
}

/// Returns the cursor that a fresh stream gives at once.
async fn primed(hub: &Hub, path: &str) -> String {
    let mut stream = hub.stream(path).await.unwrap();
    let first = stream
        .read_until(PATIENCE, |frame| frame.id.is_some())
        .await;
    first.unwrap().pop().unwrap().id.unwrap()
}

/// Reads up to the event or gap with the number `last`.
async fn read_to(stream: &mut RawSse, last: u64) -> Vec<RawFrame> {
    let is_last = |frame: &RawFrame| frame.id.as_deref().is_some_and(|id| seq_of(id) == Ok(last));
    stream.read_until(PATIENCE, is_last).await.unwrap()
}

fn take_all(log: &mut ClientLog, frames: &[RawFrame]) {
    frames.iter().try_for_each(|frame| log.take(frame)).unwrap();
}

#[tokio::test]
async fn a_cut_at_any_byte_loses_nothing_and_repeats_nothing() {
    let Recorded {
        hub,
        start,
        truth,
        ids,
    } = recorded().await;
    let mut stream = hub.resume("/agui?user=ada", &start).await.unwrap();
    read_to(&mut stream, 60).await;
    let bytes: String = stream
        .frames()
        .iter()
        .map(|frame| format!("{}\n\n", frame.raw))
        .collect();
    assert_eq!(bytes.len(), stream.n_bytes());

    // Whichever byte was the last, the client has one of these cursors.
    let mut rest_after = BTreeMap::new();
    for cursor in std::iter::once(&start).chain(&ids) {
        let mut stream = hub.resume("/agui?user=ada", cursor).await.unwrap();
        let frames = read_to(&mut stream, 60).await;
        rest_after.insert(cursor.clone(), frames);
    }
    for n_bytes in 0..=bytes.len() {
        let mut splitter = FrameSplitter::default();
        splitter.push(&bytes.as_bytes()[..n_bytes]).unwrap();
        let mut log = ClientLog::default();
        log.begin_after(0);
        while let Some(frame) = splitter.next_frame().unwrap() {
            log.take(&frame).unwrap();
        }
        let cursor = log.cursor().unwrap_or(&start).to_owned();
        take_all(&mut log, &rest_after[&cursor]);
        log.check(&truth)
            .unwrap_or_else(|error| panic!("cut after {n_bytes} bytes: {error}"));
        assert_eq!(
            (log.entries().len(), log.gaps().len()),
            (60, 0),
            "cut after {n_bytes} bytes"
        );
    }
}

#[tokio::test]
async fn a_connection_that_is_really_cut_goes_on_where_it_was() {
    let Recorded {
        hub, start, truth, ..
    } = recorded().await;
    let proxy = FaultProxy::start(hub.address()).await.unwrap();
    let mut stream = RawSse::connect(
        proxy.address(),
        "/agui?user=ada",
        &[("last-event-id", &start)],
    )
    .await
    .unwrap();
    read_to(&mut stream, 60).await;
    let n_all = proxy.counters().n_bytes_down;
    drop(stream);
    for n_bytes in (1..n_all).step_by(97) {
        let limit = Some(n_bytes);
        let faults = if n_bytes % 2 == 0 {
            Faults {
                cut_after: limit,
                ..Faults::default()
            }
        } else {
            Faults {
                reset_after: limit,
                ..Faults::default()
            }
        };
        proxy.set_faults_of_new(faults);
        let mut log = ClientLog::default();
        log.begin_after(0);
        let headers = [("last-event-id", start.as_str())];
        // A cut inside the head is a stream that never was.
        if let Ok(mut stream) = RawSse::connect(proxy.address(), "/agui?user=ada", &headers).await {
            stream.read_to_end(PATIENCE).await.unwrap_err();
            take_all(&mut log, stream.frames());
        }
        let cursor = log.cursor().unwrap_or(&start).to_owned();
        let mut stream = hub.resume("/agui?user=ada", &cursor).await.unwrap();
        take_all(&mut log, &read_to(&mut stream, 60).await);
        log.check(&truth)
            .unwrap_or_else(|error| panic!("cut after {n_bytes} bytes: {error}"));
    }
}

#[tokio::test]
async fn a_cursor_of_one_stream_is_good_on_the_others() {
    let Recorded {
        hub,
        start,
        truth,
        ids,
    } = recorded().await;
    let envelopes: Published = truth
        .iter()
        .map(|(seq, data)| (*seq, enveloped("t", data).to_string()))
        .collect();
    let mut stream = hub.resume("/contexts?user=ada", &start).await.unwrap();
    let mut log = ClientLog::default();
    take_all(&mut log, &read_to(&mut stream, 60).await);
    log.check(&envelopes).unwrap();
    let of_contexts = stream
        .frames()
        .iter()
        .filter(|frame| frame.is_event())
        .nth(29);
    let cursor = of_contexts.and_then(|frame| frame.id.clone()).unwrap();
    assert_eq!(cursor, ids[29]);
    for (path, truth) in [
        ("/agui?user=ada", &truth),
        ("/agui?user=ada&thread=t", &truth),
        ("/contexts?user=ada", &envelopes),
    ] {
        let mut stream = hub.resume(path, &cursor).await.unwrap();
        let mut log = ClientLog::default();
        take_all(&mut log, &read_to(&mut stream, 60).await);
        log.check(truth).unwrap();
        assert_eq!((log.entries().len(), log.gaps().len()), (30, 0), "{path}");
    }
    // The same in the query, which the header beats.
    let path = format!("/agui?user=ada&last_event_id={}", ids[58]);
    let event = hub
        .stream(&path)
        .await
        .unwrap()
        .next_event(PATIENCE)
        .await
        .unwrap();
    assert_eq!(event.id.as_ref(), Some(&ids[59]));
    let event = hub
        .resume(&path, &ids[9])
        .await
        .unwrap()
        .next_event(PATIENCE)
        .await
        .unwrap();
    assert_eq!(event.id.as_ref(), Some(&ids[10]));
}

#[tokio::test]
async fn a_cursor_that_says_nothing_is_answered_with_a_gap_and_never_an_error() {
    let Recorded { hub, ids, .. } = recorded().await;
    let of_bob = hub
        .publish_lines("bob", &sample::run("b", "r", 10))
        .await
        .unwrap();
    let (epoch, rest) = ids[9].split_once('.').unwrap();
    let (_, tag) = rest.split_once('.').unwrap();
    let foreign = if epoch == "00000000" {
        "00000001"
    } else {
        "00000000"
    };
    let long = "x".repeat(6_000);
    let cursors = [
        ("nonsense".to_owned(), "unknown"),
        ("..".to_owned(), "unknown"),
        ("%FF%00".to_owned(), "unknown"),
        (long, "unknown"),
        (format!("{epoch}.99.{tag}"), "unknown"),
        (format!("{epoch}.18446744073709551615.{tag}"), "unknown"),
        (format!("{epoch}.18446744073709551616.{tag}"), "unknown"),
        (format!("{epoch}.-1.{tag}"), "unknown"),
        (format!("{epoch}.11.{tag}"), "unknown"),
        (of_bob[9].clone(), "unknown"),
        (format!("{foreign}.10.{tag}"), "epoch"),
    ];
    let mut n_published = 60;
    for (cursor, reason) in &cursors {
        let in_query = format!("/agui?user=ada&last_event_id={cursor}");
        for is_header in [true, false] {
            let mut stream = if is_header {
                hub.resume("/agui?user=ada", cursor).await.unwrap()
            } else {
                hub.stream(&in_query).await.unwrap()
            };
            let gap = stream.next_event(PATIENCE).await.unwrap();
            assert_eq!(gap.event.as_deref(), Some("gap"), "{cursor}");
            let data = gap.json().unwrap();
            assert_eq!(
                (data["reason"].as_str(), data["lost"].as_u64()),
                (Some(*reason), None),
                "{cursor}"
            );
            assert_eq!(
                seq_of(gap.id.as_deref().unwrap()),
                Ok(n_published),
                "{cursor}"
            );
            // The stream goes on, and the gap's cursor is as good as any.
            let run = format!("run-{n_published}");
            let more = hub
                .publish_lines("ada", &sample::run("t", &run, 0))
                .await
                .unwrap();
            n_published += 4;
            assert_eq!(
                stream.next_event(PATIENCE).await.unwrap().id.as_ref(),
                Some(&more[0])
            );
            let mut again = hub
                .resume("/agui?user=ada", &gap.id.unwrap())
                .await
                .unwrap();
            assert_eq!(
                again.next_event(PATIENCE).await.unwrap().id.as_ref(),
                Some(&more[0])
            );
        }
    }
}

#[tokio::test]
async fn a_cursor_that_was_evicted_is_told_how_much_is_lost() {
    let limits = Limits {
        events: 8,
        ..Limits::default()
    };
    let hub = Hub::with_limits(limits).await.unwrap();
    let start = primed(&hub, "/agui?user=ada").await;
    let lines = sample::run("t", "r", 20);
    let ids = hub.publish_lines("ada", &lines).await.unwrap();
    let truth = published(&ids, &lines).unwrap();
    for (cursor, n_seen, lost) in [(&start, 0, 16), (&ids[3], 4, 12), (&ids[14], 15, 1)] {
        let mut stream = hub.resume("/agui?user=ada", cursor).await.unwrap();
        let mut log = ClientLog::default();
        log.begin_after(n_seen);
        take_all(&mut log, &read_to(&mut stream, 24).await);
        let reason = "trimmed".to_owned();
        assert_eq!(
            log.entries()[0],
            Entry::Gap {
                reason,
                to: 16,
                lost: Some(lost)
            }
        );
        assert_eq!(log.entries().len(), 9);
        log.check(&truth).unwrap();
    }
    let mut stream = hub.resume("/agui?user=ada", &ids[15]).await.unwrap();
    let next = stream.next_event(PATIENCE).await.unwrap();
    assert_eq!((next.event, next.id.as_ref()), (None, Some(&ids[16])));
}
