//! Joining, coming back, and falling behind on one thread.

use events_core::Fold;
use events_models::agui::{
    RunAgentInput,
    fold::{Generation, ThreadFold},
};

use super::*;
use crate::{ThreadNext, ThreadState, ThreadSubscription};

fn publish(router: &EventRouter, events: impl IntoIterator<Item = AgUiEvent>) -> Vec<String> {
    let items: Vec<_> = events
        .into_iter()
        .map(|event| in_thread("t", event))
        .collect();
    let mut ids = Vec::new();
    for item in items {
        let published = router.publish_now(&ada(), &mut [item]).expect("legal");
        ids.extend(published.ids.iter().map(ToString::to_string));
    }
    ids
}

/// Everything that is there for a reader now: ids and events.
fn drain(reader: &mut ThreadSubscription) -> Vec<(Option<String>, AgUiEvent)> {
    let mut batch = Batch::default();
    let mut all = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(ThreadNext::Events) = reader.poll_next(&mut context, &mut batch) {
        all.extend(batch.events.iter().map(|(id, frame)| {
            let event = AgUiEvent::from_json(&frame.data).expect("legal");
            (id.map(|id| id.to_string()), event)
        }));
    }
    all
}

fn folded(events: impl IntoIterator<Item = AgUiEvent>) -> ThreadFold {
    let mut fold = ThreadFold::default();
    for event in events {
        fold.apply(event).expect("valid in this order");
    }
    fold
}

fn events(read: &[(Option<String>, AgUiEvent)]) -> Vec<AgUiEvent> {
    read.iter().map(|(_, event)| event.clone()).collect()
}

fn half_a_run() -> Vec<AgUiEvent> {
    vec![
        AgUiEventBuilder::run_started("t", "r", None),
        AgUiEventBuilder::step_started("plan"),
        AgUiEventBuilder::text_message_start("m", MessageRole::Assistant),
        AgUiEventBuilder::text_message_content("m", "Hel"),
    ]
}

fn the_other_half() -> Vec<AgUiEvent> {
    vec![
        AgUiEventBuilder::text_message_content("m", "lo"),
        AgUiEventBuilder::text_message_end("m"),
        AgUiEventBuilder::step_finished("plan"),
        AgUiEventBuilder::run_finished("t", "r", None),
    ]
}

fn whole_run() -> ThreadFold {
    folded(half_a_run().into_iter().chain(the_other_half()))
}

fn assert_same(one: &ThreadFold, other: &ThreadFold) {
    assert_eq!(one.content().messages(), other.content().messages());
    assert_eq!(one.content().state(), other.content().state());
    assert_eq!(one.open(), other.open());
}

#[test]
fn a_late_reader_ends_like_one_that_saw_all() {
    let router = EventRouter::default();
    publish(&router, half_a_run());
    let mut late = router.subscribe(&ada()).thread("t").expect("a slot");
    assert_eq!(late.primed(), None);
    let prelude = drain(&mut late);
    let (last, before) = prelude.split_last().expect("something was said");
    assert!(
        before.iter().all(|(id, _)| id.is_none()),
        "only the last event of a prelude has an id"
    );
    assert!(last.0.is_some());

    let ids = publish(&router, the_other_half());
    let tail = drain(&mut late);
    let tail_ids: Vec<_> = tail.iter().filter_map(|(id, _)| id.clone()).collect();
    assert_eq!(tail_ids, ids, "the tail begins with the very next event");
    let all = events(&prelude).into_iter().chain(events(&tail));
    assert_same(&folded(all), &whole_run());
}

#[test]
fn a_reader_of_an_unknown_thread_waits_for_its_first_event() {
    let router = EventRouter::default();
    let mut early = router.subscribe(&ada()).thread("t").expect("a slot");
    assert!(early.primed().is_some() && !early.is_known());
    publish(&router, half_a_run());
    assert_eq!(events(&drain(&mut early)).len(), 4);
}

#[test]
fn a_cursor_that_can_be_followed_brings_the_tail_only() {
    let router = EventRouter::default();
    let ids = publish(&router, half_a_run());
    publish(&router, the_other_half());
    let wish = router.subscribe(&ada()).from_cursor(Some(&ids[1]));
    let mut back = wish.thread("t").expect("a slot");
    assert_eq!(back.primed().map(|id| id.to_string()), Some(ids[1].clone()));
    let tail = events(&drain(&mut back));
    let seen = half_a_run().into_iter().take(2).chain(tail);
    assert_same(&folded(seen), &whole_run());
}

#[test]
fn a_cursor_that_cannot_be_followed_brings_the_prelude() {
    let router = EventRouter::default();
    publish(&router, half_a_run());
    for cursor in ["nonsense", "0.99.1", "zzzzzzzzzzzzz.1.1"] {
        let wish = router.subscribe(&ada()).from_cursor(Some(cursor));
        let mut back = wish.thread("t").expect("a slot");
        let prelude = events(&drain(&mut back));
        assert_eq!(prelude[0].event_type().as_str(), "RUN_STARTED", "{cursor}");
    }
}

/// A ring so small that a few events push the reader's position out of it.
fn tiny() -> EventRouter {
    EventRouter::new(RouterConfig {
        limits: Limits {
            events: 4,
            ..Limits::default()
        },
        ..RouterConfig::default()
    })
}

fn deltas(n: usize) -> impl Iterator<Item = AgUiEvent> {
    (0..n).map(|n| AgUiEventBuilder::text_message_content("m", n.to_string()))
}

#[test]
fn a_reader_that_falls_behind_is_caught_up_within_its_run() {
    let router = tiny();
    let mut slow = router.subscribe(&ada()).thread("t").expect("a slot");
    publish(&router, half_a_run());
    let mut seen = events(&drain(&mut slow));
    publish(&router, deltas(20));
    publish(
        &router,
        [
            AgUiEventBuilder::text_message_end("m"),
            AgUiEventBuilder::step_finished("plan"),
        ],
    );
    publish(
        &router,
        [AgUiEventBuilder::text_message_start(
            "n",
            MessageRole::Assistant,
        )],
    );
    publish(
        &router,
        (0..8).map(|_| AgUiEventBuilder::text_message_content("n", "x")),
    );
    seen.extend(events(&drain(&mut slow)));
    publish(
        &router,
        [
            AgUiEventBuilder::text_message_content("n", "!"),
            AgUiEventBuilder::text_message_end("n"),
        ],
    );
    publish(&router, [AgUiEventBuilder::run_finished("t", "r", None)]);
    seen.extend(events(&drain(&mut slow)));

    let fold = folded(seen);
    let told = router
        .snapshot_thread(&ada(), &ThreadId::new("t"))
        .expect("known");
    assert_eq!(fold.content().messages(), told.messages);
    assert_eq!(told.status, ThreadState::Finished);
    let expected: String = (0..20).map(|n| n.to_string()).collect();
    let json = serde_json::to_value(&told.messages).expect("JSON");
    assert_eq!(json[0]["content"], format!("Hel{expected}"));
    assert_eq!(json[1]["content"], "xxxxxxxx!");
}

#[test]
fn a_reader_that_came_back_by_cursor_is_caught_up_too() {
    let router = tiny();
    let ids = publish(&router, half_a_run());
    // It has seen all but the last event, and does not read on.
    let wish = router.subscribe(&ada()).from_cursor(Some(&ids[2]));
    let mut back = wish.thread("t").expect("a slot");
    publish(&router, deltas(20));
    publish(&router, the_other_half());
    let seen = half_a_run()
        .into_iter()
        .take(3)
        .chain(events(&drain(&mut back)));
    let told = router
        .snapshot_thread(&ada(), &ThreadId::new("t"))
        .expect("known");
    let fold = folded(seen);
    assert_eq!(fold.content().messages(), told.messages);
    assert!(!fold.open().is_run_active());
}

#[test]
fn whole_runs_may_pass_unseen() {
    let router = tiny();
    let mut slow = router.subscribe(&ada()).thread("t").expect("a slot");
    publish(&router, half_a_run());
    let mut seen = events(&drain(&mut slow));
    publish(&router, the_other_half());
    for run in ["r2", "r3"] {
        publish(&router, [AgUiEventBuilder::run_started("t", run, None)]);
        publish(
            &router,
            [AgUiEventBuilder::text_message_start(
                run,
                MessageRole::Assistant,
            )],
        );
        publish(
            &router,
            (0..8).map(|_| AgUiEventBuilder::text_message_content(run, "x")),
        );
        publish(&router, [AgUiEventBuilder::text_message_end(run)]);
        if run == "r2" {
            publish(&router, [AgUiEventBuilder::run_finished("t", run, None)]);
        }
    }
    seen.extend(events(&drain(&mut slow)));
    let fold = folded(seen);
    assert_eq!(fold.order().run_id(), Some("r3"));
    let told = router
        .snapshot_thread(&ada(), &ThreadId::new("t"))
        .expect("known");
    assert_eq!(fold.content().messages(), told.messages);
    assert_eq!(told.messages.len(), 3);
}

fn input(thread: &str) -> RunAgentInput {
    let json = format!(
        r#"{{"threadId":"{thread}","runId":"mine","protocolVersion":"1.0",
            "messages":[{{"id":"q","role":"user","content":"Hello?"}}],"tools":[],"context":[]}}"#
    );
    RunAgentInput::from_json(json.as_bytes()).expect("legal")
}

#[test]
fn an_official_client_keeps_its_own_messages_and_leaves_with_the_run() {
    let router = EventRouter::default();
    publish(&router, half_a_run());
    let wish = router
        .subscribe(&ada())
        .for_client(input("t"), Generation::V1_0);
    let mut client = wish.thread("t").expect("a slot");
    let mut seen = events(&drain(&mut client));
    publish(&router, the_other_half());
    publish(&router, [AgUiEventBuilder::run_started("t", "next", None)]);
    seen.extend(events(&drain(&mut client)));
    assert_eq!(
        seen.last().map(|event| event.event_type().as_str()),
        Some("RUN_FINISHED")
    );
    let mut batch = Batch::default();
    let next = client.poll_next(&mut Context::from_waker(Waker::noop()), &mut batch);
    assert_eq!(next, Poll::Ready(ThreadNext::Ended));
    let ids: Vec<_> = folded(seen)
        .content()
        .messages()
        .iter()
        .map(|message| message.id().to_string())
        .collect();
    assert_eq!(ids, ["q", "m"]);
}

#[test]
fn an_official_client_of_an_idle_thread_is_told_and_leaves() {
    let router = EventRouter::default();
    publish(&router, half_a_run().into_iter().chain(the_other_half()));
    let wish = router
        .subscribe(&ada())
        .for_client(input("t"), Generation::V1_0);
    let mut client = wish.thread("t").expect("a slot");
    let fold = folded(events(&drain(&mut client)));
    assert!(fold.order().is_finished());
    assert_eq!(fold.content().messages().len(), 2);
    let mut batch = Batch::default();
    let next = client.poll_next(&mut Context::from_waker(Waker::noop()), &mut batch);
    assert_eq!(next, Poll::Ready(ThreadNext::Ended));
}

#[test]
fn an_official_client_that_waited_in_vain_gets_an_empty_run_of_its_own() {
    let router = EventRouter::default();
    let wish = router
        .subscribe(&ada())
        .for_client(input("new"), Generation::V1_0);
    let mut client = wish.thread("new").expect("a slot");
    assert!(drain(&mut client).is_empty());
    client.stop_waiting();
    let told = events(&drain(&mut client));
    let ids: Vec<_> = told
        .iter()
        .map(|event| (event.event_type().as_str(), event.run_id()))
        .collect();
    assert_eq!(
        ids,
        [
            ("RUN_STARTED", Some("mine")),
            ("RUN_FINISHED", Some("mine"))
        ]
    );
}

#[test]
fn a_joiner_in_a_row_shares_the_prelude_and_a_later_one_does_not_get_a_stale_one() {
    let router = EventRouter::default();
    publish(&router, half_a_run());
    let read = || {
        events(&drain(
            &mut router.subscribe(&ada()).thread("t").expect("a slot"),
        ))
    };
    assert_eq!(read(), read());
    publish(&router, the_other_half());
    assert_same(&folded(read()), &whole_run());
}

#[test]
fn a_refused_batch_leaves_no_trace_in_the_fold() {
    let router = EventRouter::default();
    publish(&router, half_a_run());
    let before = router
        .snapshot_thread(&ada(), &ThreadId::new("t"))
        .expect("known");
    let items = [
        AgUiEventBuilder::text_message_content("m", "lost"),
        AgUiEventBuilder::text_message_content("unknown", "refused"),
    ];
    refusal(router.publish_now(&ada(), &mut items.map(|event| in_thread("t", event))));
    let after = router
        .snapshot_thread(&ada(), &ThreadId::new("t"))
        .expect("known");
    assert_eq!(before.messages, after.messages);
}

#[test]
fn a_waiting_agent_gets_the_state_with_which_a_run_begins() {
    let router = EventRouter::default();
    let wish = || router.subscribe(&ada());
    let client = wish().for_client(input("t"), Generation::V1_0);
    let mut agent = client.thread("t").expect("a slot");
    let mut page = wish().thread("t").expect("a slot");
    let mut of_run = input("t");
    of_run.state = Some(serde_json::json!({ "found": 0 }).into());
    let ids = publish(
        &router,
        [AgUiEventBuilder::run_started("t", "r", Some(of_run))],
    );

    let told = drain(&mut agent);
    let types: Vec<_> = told
        .iter()
        .map(|(id, event)| (id.as_ref(), event.event_type().as_str()))
        .collect();
    // Only the last one is a place to come back to.
    let expected = [(None, "RUN_STARTED"), (ids.last(), "STATE_SNAPSHOT")];
    assert_eq!(types, expected);
    assert_eq!(
        events(&drain(&mut page)).len(),
        1,
        "a page reads the input itself"
    );
}
