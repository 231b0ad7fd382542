//! What is kept, and for how long.

use events_models::TuiStreamEventBuilder as Make;

use super::*;

fn limits() -> RegistryLimits {
    RegistryLimits {
        max_active: 2,
        max_finished: 2,
        finished_for: Duration::from_secs(10),
        max_text_bytes: 8,
        max_models: 4,
    }
}

fn ids(registry: &mut Registry, now_ms: i64) -> Vec<String> {
    let ids = registry.snapshot(now_ms);
    ids.into_iter()
        .map(|summary| summary.request_id.as_str().to_owned())
        .collect()
}

#[test]
fn the_last_text_is_bounded_and_cut_between_characters() {
    let mut registry = Registry::new(limits());
    registry.apply(&Make::started("r", "m", None), 0);
    for _ in 0..100 {
        registry.apply(&Make::text_delta("r", "\u{20ac}\u{20ac}"), 1);
    }
    registry.apply(&Make::text_delta("r", "a".repeat(50)), 2);
    registry.apply(&Make::text_delta("r", "\u{20ac}"), 3);
    let summary = registry.snapshot(3).remove(0);
    assert_eq!(summary.text, "aaaaa\u{20ac}");
    assert_eq!(summary.text_bytes, 600 + 50 + 3);
    assert_eq!(summary.state, StreamState::Streaming);
    assert_eq!(summary.last_event_at, Some(3));
    assert!(registry.active["r"].summary.text.len() <= 16);
}

#[test]
fn too_many_running_requests_are_counted_and_not_kept() {
    let mut registry = Registry::new(limits());
    for id in ["a", "b", "c"] {
        registry.apply(&Make::started(id, "m", None), 0);
    }
    assert_eq!(ids(&mut registry, 0), ["a", "b"]);
    registry.apply(&Make::text_delta("c", "x"), 0);
    registry.apply(&Make::completed("c", None, None, None), 0);
    let counts = registry.counts();
    assert_eq!((counts.active, counts.started, counts.unlisted), (2, 3, 1));
    assert_eq!((counts.completed, counts.failed), (1, 0));
}

#[test]
fn ended_requests_stay_for_a_while_and_only_so_many() {
    let mut registry = Registry::new(limits());
    for (id, at) in [("a", 0), ("b", 1_000), ("c", 2_000)] {
        registry.apply(&Make::started(id, "m", None), at);
        registry.apply(&Make::error(id, "no"), at);
    }
    assert_eq!(ids(&mut registry, 2_000), ["b", "c"], "two are kept");
    assert_eq!(ids(&mut registry, 11_001), ["c"], "for ten seconds");
    assert_eq!(ids(&mut registry, 12_001), [""; 0]);
}

#[test]
fn a_second_end_changes_nothing_that_is_kept() {
    let mut registry = Registry::new(limits());
    registry.apply(&Make::started("a", "m", None), 0);
    registry.apply(&Make::completed("a", Some(1), None, None), 0);
    registry.apply(&Make::error("a", "late"), 0);
    let summary = registry.snapshot(0).remove(0);
    assert_eq!(
        (summary.state, summary.input_tokens),
        (StreamState::Completed, Some(1))
    );
}
