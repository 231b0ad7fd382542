//! Joining, coming back to, falling behind on and listing A2A tasks.

use std::sync::atomic::{AtomicBool, Ordering};

use events_models::{
    A2AEvent, TaskState,
    a2a::{Task, fold::TaskContent},
};
use serde_json::{Value, json};

use super::*;
use crate::{TaskEnd, TaskError, TaskNext, TaskQuery, TaskSubscription};

fn event(json: &Value) -> A2AEvent {
    A2AEvent::from_json(json.to_string().as_bytes()).expect("legal")
}

fn task(id: &str, context: &str) -> A2AEvent {
    event(
        &json!({ "task": { "id": id, "contextId": context, "status": {
        "state": "TASK_STATE_SUBMITTED",
        "message": { "messageId": format!("{id}-m"), "role": "ROLE_AGENT", "parts": [{ "text": "hello" }] },
    } } }),
    )
}

fn status(id: &str, state: &str) -> A2AEvent {
    let status = json!({ "state": format!("TASK_STATE_{state}") });
    event(&json!({ "statusUpdate": { "taskId": id, "contextId": "c", "status": status } }))
}

fn piece(id: &str, text: &str) -> A2AEvent {
    let artifact = json!({ "artifactId": "a", "parts": [{ "text": text }] });
    event(&json!({ "artifactUpdate": {
        "taskId": id, "contextId": "c", "append": text.len() == 1 && text != "0", "artifact": artifact,
    } }))
}

fn whole(id: &str) -> Vec<A2AEvent> {
    let mut events = vec![task(id, "c"), status(id, "WORKING")];
    events.extend((0..6).map(|n| piece(id, &n.to_string())));
    events.push(status(id, "INPUT_REQUIRED"));
    events.push(status(id, "COMPLETED"));
    events
}

fn publish(router: &EventRouter, events: impl IntoIterator<Item = A2AEvent>) -> Vec<String> {
    let mut ids = Vec::new();
    for event in events {
        let published = router
            .publish_now(&ada(), &mut [Item::new(event)])
            .expect("legal");
        ids.extend(published.ids.iter().map(ToString::to_string));
    }
    ids
}

/// Everything that is there for a reader now, and how it goes on.
fn drain(reader: &mut TaskSubscription) -> (Vec<(Option<String>, A2AEvent)>, Option<TaskNext>) {
    let mut batch = Batch::default();
    let mut all = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match reader.poll_next(&mut context, &mut batch) {
            Poll::Ready(TaskNext::Events) => all.extend(batch.events.iter().map(|(id, frame)| {
                let event = A2AEvent::from_json(&frame.data).expect("legal");
                (id.map(|id| id.to_string()), event)
            })),
            Poll::Ready(other) => return (all, Some(other)),
            Poll::Pending => return (all, None),
        }
    }
}

fn folded<'a>(events: impl IntoIterator<Item = &'a A2AEvent>) -> Option<Task> {
    let mut content = TaskContent::default();
    for event in events {
        content.take(event.clone());
    }
    content.task().cloned()
}

fn small(events: usize) -> EventRouter {
    let limits = Limits {
        events,
        ..Limits::default()
    };
    EventRouter::new(RouterConfig {
        limits,
        ..RouterConfig::default()
    })
}

#[test]
fn a_late_reader_gets_the_task_and_the_very_next_event_at_every_cut() {
    let events = whole("t");
    for cut in 1..events.len() {
        let router = EventRouter::default();
        publish(&router, events[..cut].iter().cloned());
        let wish = router.subscribe(&ada());
        let mut strict = wish.running_task("t", TaskEnd::Terminal).expect("a slot");
        let mut plain = router.subscribe(&ada()).task("t").expect("a slot");
        assert_eq!(plain.primed(), None);
        let ids = publish(&router, events[cut..].iter().cloned());
        for (reader, end) in [(&mut strict, Some(TaskNext::Ended)), (&mut plain, None)] {
            let (read, next) = drain(reader);
            assert_eq!(next, end, "cut {cut}");
            assert!(matches!(read[0].1, A2AEvent::Task(_)), "cut {cut}");
            let tail: Vec<_> = read[1..].iter().filter_map(|(id, _)| id.clone()).collect();
            assert_eq!(tail, ids, "cut {cut}");
            let late = folded(read.iter().map(|(_, event)| event));
            assert_eq!(late, folded(&events), "cut {cut}");
        }
    }
}

#[test]
fn tasks_that_are_unknown_foreign_or_over_cannot_be_subscribed_to() {
    let router = EventRouter::default();
    publish(&router, whole("over"));
    publish(&router, [task("running", "c")]);
    let attach = |user: &UserId, task: &str| {
        let wish = router.subscribe(user);
        wish.running_task(task, TaskEnd::Terminal).map(drop)
    };
    assert!(matches!(attach(&ada(), "nothing"), Err(TaskError::Unknown)));
    assert!(matches!(attach(&ada(), "over"), Err(TaskError::Ended)));
    let bob = UserId::new("bob");
    assert!(matches!(attach(&bob, "running"), Err(TaskError::Unknown)));
    assert!(
        router
            .snapshot_task(&bob, &"running".into(), None)
            .is_none()
    );
    assert_eq!(router.tasks_of(&bob, &TaskQuery::default()).total, 0);
    attach(&ada(), "running").expect("it is hers");
    assert_eq!(router.a2a().total(), 0, "the slot is free again");
}

#[test]
fn a_state_that_waits_ends_a_subscription_only_if_that_is_asked_for() {
    let router = EventRouter::default();
    publish(&router, whole("t").into_iter().take(9));
    for (end, expected) in [
        (TaskEnd::Terminal, None),
        (TaskEnd::Interrupted, Some(TaskNext::Ended)),
    ] {
        let wish = router.subscribe(&ada());
        let mut reader = wish.running_task("t", end).expect("a slot");
        let (read, next) = drain(&mut reader);
        assert_eq!(
            (read.len(), next),
            (1, expected),
            "the task comes all the same"
        );
    }
}

#[test]
fn a_reader_that_falls_behind_is_given_the_task_anew() {
    let router = small(4);
    let events = whole("t");
    publish(&router, events[..3].iter().cloned());
    let wish = router.subscribe(&ada());
    let mut reader = wish.running_task("t", TaskEnd::Terminal).expect("a slot");
    let (first, _) = drain(&mut reader);
    let mut idle = router.subscribe(&ada()).task("t").expect("a slot");
    publish(&router, events[3..].iter().cloned());
    let (then, next) = drain(&mut reader);
    assert_eq!(
        (first.len(), then.len(), next),
        (1, 1, Some(TaskNext::Ended))
    );
    assert_eq!(folded([&then[0].1]), folded(&events));
    // One that never read is told where the task was when it came, and then where it is.
    let (read, next) = drain(&mut idle);
    assert_eq!(next, None);
    assert_eq!(folded(read.iter().map(|(_, event)| event)), folded(&events));
}

#[test]
fn a_cursor_brings_the_tail_or_the_task_and_only_for_unknown_tasks_a_gap() {
    let router = EventRouter::default();
    let events = whole("t");
    let ids = publish(&router, events.clone());
    let come_back = |cursor: &str, task: &str| {
        let wish = router.subscribe(&ada()).from_cursor(Some(cursor));
        drain(&mut wish.task(task).expect("a slot"))
    };
    let (tail, _) = come_back(&ids[3], "t");
    assert_eq!(tail.len(), events.len() - 4);
    let (anew, _) = come_back("nonsense", "t");
    assert_eq!(anew.len(), 1);
    assert_eq!(anew[0].0.as_ref(), ids.last());
    let (nothing, next) = come_back("nonsense", "other");
    assert!(nothing.is_empty() && matches!(next, Some(TaskNext::Missed(_))));
}

#[test]
fn a_task_that_is_too_large_is_not_told_but_goes_on() {
    let router = EventRouter::new(RouterConfig {
        fold_bytes: 1_000,
        ..RouterConfig::default()
    });
    publish(
        &router,
        [
            task("t", "c"),
            piece("t", "0"),
            piece("t", &"x".repeat(2_000)),
        ],
    );
    let wish = router.subscribe(&ada());
    let refused = wish.running_task("t", TaskEnd::Terminal).map(drop);
    assert!(matches!(refused, Err(TaskError::TooLarge)));
    let mut reader = router.subscribe(&ada()).task("t").expect("a slot");
    let (read, next) = drain(&mut reader);
    assert!(read.is_empty() && matches!(next, Some(TaskNext::Missed(_))));
    publish(&router, [status("t", "COMPLETED")]);
    assert_eq!(drain(&mut reader).0.len(), 1);
    let snapshot = router
        .snapshot_task(&ada(), &"t".into(), None)
        .expect("known");
    assert!(snapshot.is_too_large && snapshot.task.artifacts.is_none());
}

#[test]
fn a_refused_batch_leaves_no_trace_in_the_fold() {
    let router = EventRouter::default();
    publish(&router, [task("t", "c")]);
    let before = router.fold_bytes();
    let mut batch = vec![
        Item::new(piece("t", "0")),
        Item::new(task("new", "c")),
        Item::new(status("t", "FAILED")),
        Item::new(status("t", "WORKING")),
    ];
    assert_eq!(refusal(router.publish_now(&ada(), &mut batch)).0, 3);
    let task = router
        .snapshot_task(&ada(), &"t".into(), None)
        .expect("known")
        .task;
    assert_eq!(
        (task.status.state, task.artifacts),
        (TaskState::Submitted, None)
    );
    assert!(router.snapshot_task(&ada(), &"new".into(), None).is_none());
    assert_eq!(router.fold_bytes(), before);
}

#[test]
fn lists_are_filtered_cut_to_what_is_wanted_and_paged() {
    let clock = Arc::new(ManualClock::new(1_000));
    let router = EventRouter::new(RouterConfig {
        clock: Arc::clone(&clock) as _,
        ..RouterConfig::default()
    });
    for n in 0..5 {
        let id = format!("t{n}");
        let context = if n % 2 == 0 { "c" } else { "d" };
        publish(&router, [task(&id, context)]);
        if n != 3 {
            publish(&router, [piece(&id, "0"), status(&id, "WORKING")]);
        }
        clock.advance(10);
    }
    let list = |query: TaskQuery| {
        let page = router.tasks_of(&ada(), &query);
        let ids: Vec<_> = page.tasks.iter().map(|task| task.id.to_string()).collect();
        (ids.join(" "), page)
    };
    let (ids, page) = list(TaskQuery::default());
    assert_eq!(
        (ids.as_str(), page.total, page.next),
        ("t4 t3 t2 t1 t0", 5, None)
    );
    assert!(page.tasks.iter().all(|task| task.artifacts.is_none()));
    assert_eq!(page.tasks[0].history.as_ref().map(Vec::len), Some(1));
    let submitted = TaskQuery {
        state: Some(TaskState::Submitted),
        ..TaskQuery::default()
    };
    assert_eq!(list(submitted).0, "t3");
    let of_context = TaskQuery {
        context_id: Some("d".to_owned()),
        ..TaskQuery::default()
    };
    assert_eq!(list(of_context).0, "t3", "the others have moved to c");
    let late = TaskQuery {
        status_after_ms: Some(1_030),
        history_length: Some(0),
        has_artifacts: true,
        ..TaskQuery::default()
    };
    let (ids, page) = list(late);
    assert_eq!(ids, "t4 t3");
    assert!(page.tasks[0].history.is_none() && page.tasks[0].artifacts.is_some());
    let mut query = TaskQuery {
        page_size: 2,
        ..TaskQuery::default()
    };
    let mut pages = Vec::new();
    loop {
        let (ids, page) = list(query.clone());
        pages.push(ids);
        assert_eq!(page.total, 5);
        let Some(next) = page.next else { break };
        assert!(TaskQuery::is_page_token(&next));
        query.page_token = Some(next);
    }
    assert_eq!(pages, ["t4 t3", "t2 t1", "t0"]);
}

#[test]
fn the_folds_of_tasks_are_accounted_and_shed() {
    let router = EventRouter::new(RouterConfig {
        fold_total_bytes: 20_000,
        ..RouterConfig::default()
    });
    for n in 0..40 {
        let id = format!("t{n}");
        publish(
            &router,
            [
                task(&id, "c"),
                piece(&id, &"x".repeat(1_000)),
                status(&id, "COMPLETED"),
            ],
        );
    }
    assert!(router.folds_shed() > 0 && router.fold_bytes() <= 20_000);
    let left = router.tasks_of(&ada(), &TaskQuery::default());
    assert!(
        left.total < 40 && left.tasks[0].id.as_str() == "t39",
        "the oldest go first"
    );
    for n in 0..40 {
        let id = format!("open{n}");
        publish(&router, [task(&id, "c"), piece(&id, &"x".repeat(1_000))]);
    }
    assert!(router.fold_bytes() <= 20_000, "{}", router.fold_bytes());
}

/// A status that says how many there were before it.
fn numbered(n: u64) -> A2AEvent {
    event(&json!({ "statusUpdate": {
        "taskId": "t", "contextId": "c", "status": { "state": "TASK_STATE_WORKING" }, "metadata": { "n": n },
    } }))
}

/// The number that an event brings, or a Task has come to.
fn number(event: &A2AEvent) -> Option<u64> {
    let metadata = match event {
        A2AEvent::Task(task) => &task.metadata,
        A2AEvent::StatusUpdate(update) => &update.metadata,
        _ => &None,
    };
    metadata.as_ref()?.to_map().ok()?.get("n")?.as_u64()
}

#[test]
fn readers_that_come_while_events_are_published_miss_nothing_and_get_nothing_twice() {
    const N_EVENTS: u64 = 4_000;
    let router = EventRouter::default();
    publish(&router, [task("t", "c"), numbered(0)]);
    let publishing_is_over = AtomicBool::new(false);
    let is_over = || publishing_is_over.load(Ordering::Relaxed);
    let come_again_and_again = || {
        let mut n_readers = 0;
        while !is_over() {
            let wish = router.subscribe(&ada());
            let mut reader = wish.running_task("t", TaskEnd::Terminal).expect("a slot");
            let mut read = Vec::new();
            while read.len() < 2 && !is_over() {
                read.extend(drain(&mut reader).0);
            }
            let numbers: Vec<_> = read.iter().filter_map(|(_, event)| number(event)).collect();
            let is_next = |pair: &[u64]| pair[0] + 1 == pair[1];
            assert!(numbers.windows(2).all(is_next), "{numbers:?}");
            n_readers += 1;
        }
        n_readers
    };
    let n_readers: usize = std::thread::scope(|scope| {
        let coming: Vec<_> = (0..4).map(|_| scope.spawn(come_again_and_again)).collect();
        for n in 1..N_EVENTS {
            publish(&router, [numbered(n)]);
        }
        publishing_is_over.store(true, Ordering::Relaxed);
        let n_readers = coming
            .into_iter()
            .map(|thread| thread.join().expect("no gap"));
        n_readers.sum()
    });
    assert!(n_readers > 20, "only {n_readers} came");
}
