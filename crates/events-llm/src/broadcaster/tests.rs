//! Subscribers that are fast, slow, late and gone.

use std::{collections::BTreeMap, thread};

use events_models::TuiStreamEventBuilder as Make;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::broadcast::error::TryRecvError;

use super::*;
use crate::Watched;

fn next(watcher: &mut StreamWatcher) -> Option<Watched> {
    watcher.next().now_or_never().flatten()
}

#[test]
fn nobody_listening_is_no_error_and_is_remembered() {
    let broadcaster = StreamEventBroadcaster::new(4);
    assert_eq!(broadcaster.send(Make::started("r", "m", None)), 0);
    assert_eq!(broadcaster.receiver_count(), 0);
    assert_eq!(broadcaster.snapshot()[0].model, "m");
}

#[test]
fn no_capacity_panics() {
    for capacity in [0, 1, usize::MAX] {
        let broadcaster = StreamEventBroadcaster::new(capacity);
        let mut receiver = broadcaster.subscribe();
        assert_eq!(broadcaster.send(Make::text_delta("r", "x")), 1);
        assert!(receiver.try_recv().is_ok());
    }
}

#[test]
fn the_default_keeps_the_last_1024_events() {
    let broadcaster = StreamEventBroadcaster::default();
    let mut receiver = broadcaster.subscribe();
    for _ in 0..1_025 {
        broadcaster.send(Make::text_delta("r", "x"));
    }
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Lagged(1))));
    assert!(receiver.try_recv().is_ok(), "the receiver goes on");
}

#[test]
fn a_slow_watcher_is_told_and_gets_the_truth_again() {
    let broadcaster = Arc::new(StreamEventBroadcaster::new(2));
    let mut watcher = broadcaster.watch();
    assert_eq!(next(&mut watcher), Some(Watched::Snapshot(Vec::new())));
    broadcaster.send(Make::started("r", "m", None));
    for text in ["a", "b", "c"] {
        broadcaster.send(Make::text_delta("r", text));
    }
    assert_eq!(next(&mut watcher), Some(Watched::Lagged(2)));
    let Some(Watched::Snapshot(snapshot)) = next(&mut watcher) else {
        panic!("a snapshot follows a lag");
    };
    assert_eq!(snapshot[0].text, "abc");
    assert_eq!(
        next(&mut watcher),
        None,
        "what the snapshot tells does not come again"
    );
    broadcaster.send(Make::completed("r", None, None, None));
    assert!(matches!(
        next(&mut watcher),
        Some(Watched::Event(TuiStreamEvent::Completed { .. }))
    ));
}

/// What a screen that follows a watcher knows: the whole text of each request.
fn follow(known: &mut BTreeMap<String, String>, item: Watched) {
    match item {
        Watched::Snapshot(snapshot) => {
            *known = snapshot
                .into_iter()
                .map(|summary| (summary.request_id.as_str().to_owned(), summary.text))
                .collect();
        }
        Watched::Event(TuiStreamEvent::TextDelta {
            request_id, text, ..
        }) => {
            known
                .entry(request_id.as_str().to_owned())
                .or_default()
                .push_str(&text);
        }
        Watched::Event(_) | Watched::Lagged(_) => {}
    }
}

#[test]
fn a_watcher_that_joins_at_any_moment_ends_with_the_same_knowledge() {
    let limits = RegistryLimits {
        max_text_bytes: 1 << 20,
        ..RegistryLimits::default()
    };
    // A small ring, so that watchers lag often.
    let clock = Arc::new(SystemClock);
    let broadcaster = Arc::new(StreamEventBroadcaster::with_limits(8, limits, clock));
    let (n_streams, n_deltas) = (3, 400);
    thread::scope(|scope| {
        let senders: Vec<_> = (0..n_streams)
            .map(|stream| {
                let broadcaster = &broadcaster;
                scope.spawn(move || {
                    let id = RequestId::from(format!("r{stream}"));
                    broadcaster.send(Make::started(id.clone(), "m", None));
                    for delta in 0..n_deltas {
                        broadcaster.send_text(&id, &format!("{delta},"));
                    }
                })
            })
            .collect();
        let mut watchers = Vec::new();
        while !senders.iter().all(thread::ScopedJoinHandle::is_finished) {
            let (mut watcher, mut known) = (broadcaster.watch(), BTreeMap::new());
            for _ in 0..50 {
                if let Some(item) = next(&mut watcher) {
                    follow(&mut known, item);
                }
            }
            watchers.push((watcher, known));
            if watchers.len() > 50 {
                watchers.remove(0);
            }
        }
        watchers.push((broadcaster.watch(), BTreeMap::new()));
        let whole: String = (0..n_deltas).map(|delta| format!("{delta},")).collect();
        for (mut watcher, mut known) in watchers {
            while let Some(item) = next(&mut watcher) {
                follow(&mut known, item);
            }
            assert_eq!(known.len(), n_streams);
            assert!(known.values().all(|text| *text == whole));
        }
    });
}
