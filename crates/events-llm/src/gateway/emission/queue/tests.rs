use events_core::MessageId;
use events_models::AgUiEventBuilder;
use futures_util::FutureExt as _;

use super::*;

fn content(message: &str, delta: &str) -> AgUiEvent {
    AgUiEventBuilder::text_message_content(MessageId::from(message), delta)
}

/// The deltas that wait, each batch by itself; no wait is needed for them.
fn take(queue: &mut RunQueue) -> Option<Vec<String>> {
    let batch = queue.next().now_or_never().expect("there is no wait")?;
    let delta = |mut event| delta_of(&mut event).cloned().unwrap_or_default();
    Some(batch.into_iter().map(delta).collect())
}

#[test]
fn deltas_of_one_message_are_joined_and_those_of_two_are_not() {
    let (sender, mut queue) = run_queue(10_000);
    for (message, delta) in [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4"), ("a", "5")] {
        sender.push(content(message, delta));
    }
    assert_eq!(take(&mut queue).unwrap(), ["12", "3", "45"]);
    sender.push(content("a", "6"));
    drop(sender);
    assert_eq!(take(&mut queue).unwrap(), ["6"]);
    assert_eq!(take(&mut queue), None);
    assert!(!queue.is_overrun());
}

#[test]
fn a_long_delta_is_cut_between_characters() {
    let (sender, mut queue) = run_queue(1 << 20);
    let long = format!("a{}", "é".repeat(MAX_JOINED_BYTES));
    sender.push(content("a", &long));
    let deltas = take(&mut queue).unwrap();
    assert_eq!(deltas.len(), 3);
    assert!(deltas.iter().all(|delta| delta.len() <= MAX_JOINED_BYTES));
    assert_eq!(deltas.concat(), long);
}

#[test]
fn beyond_the_bound_nothing_more_is_taken_though_room_comes_back() {
    let (sender, mut queue) = run_queue(1_000);
    sender.push(content("a", &"x".repeat(600)));
    sender.push(content("a", &"y".repeat(200)));
    sender.push(content("b", "z"));
    assert!(queue.is_overrun());
    assert_eq!(take(&mut queue).unwrap().concat(), "x".repeat(600));
    sender.push(content("b", "z"));
    assert_eq!(take(&mut queue), None);
}

#[test]
fn room_comes_back_when_events_are_taken() {
    let (sender, mut queue) = run_queue(1_000);
    for _ in 0..20 {
        sender.push(content("a", &"x".repeat(300)));
        sender.push(content("a", &"x".repeat(100)));
        assert_eq!(take(&mut queue).unwrap().len(), 1);
    }
    assert!(!queue.is_overrun());
}
