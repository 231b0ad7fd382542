//! A client that stops reading, beside one that does not.

use std::time::{Duration, Instant};

use events_broadcast::Limits;
use events_tests::client_log::{ClientLog, Entry, Published, seq_of};
use events_tests::deadline::PATIENCE;
use events_tests::hub::Hub;
use events_tests::raw_client::{RawSse, Request};
use events_tests::sample;

/// A publish that waits for a reader would wait for ever; one that does not takes milliseconds.
const AT_ONCE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_client_harms_only_itself_and_is_told_what_it_missed() {
    let limits = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    let hub = Hub::with_limits(limits).await.unwrap();
    let request = Request::get("/agui?user=ada").receive_buffer(4_096);
    let mut stalled = RawSse::open(hub.address(), &request).await.unwrap();
    let mut healthy = hub.stream("/agui?user=ada").await.unwrap();

    let mut truth = Published::new();
    let mut healthy_log = ClientLog::default();
    let lines = sample::padded_run("t", "r", 240, 60_000);
    for (line, event) in lines.iter().zip(sample::typed(&lines)) {
        let begun = Instant::now();
        let ids = hub.publish("ada", event).await.unwrap();
        assert!(
            begun.elapsed() < AT_ONCE,
            "a publish took {:?}",
            begun.elapsed()
        );
        truth.insert(seq_of(&ids[0]).unwrap(), line.clone());
        let frames = healthy.read_until(AT_ONCE, |frame| frame.id.as_ref() == ids.first());
        for frame in frames.await.unwrap() {
            healthy_log.take(&frame).unwrap();
        }
    }
    healthy_log.check(&truth).unwrap();
    assert_eq!(healthy_log.gaps().len(), 0);

    let last = *truth.last_key_value().unwrap().0;
    let is_last = |frame: &events_tests::raw_client::RawFrame| {
        frame.id.as_deref().is_some_and(|id| seq_of(id) == Ok(last))
    };
    let mut log = ClientLog::default();
    for frame in stalled.read_until(PATIENCE, is_last).await.unwrap() {
        log.take(&frame).unwrap();
    }
    log.check(&truth).unwrap();
    let gaps = log.gaps();
    assert!(
        matches!(gaps[..], [Entry::Gap { reason, lost: Some(1..), .. }] if reason == "overflow"),
        "{gaps:?}"
    );
}
