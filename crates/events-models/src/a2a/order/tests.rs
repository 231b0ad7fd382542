//! Every rule once, and the fixtures of streams that break one.

use super::*;
use crate::a2a::{
    Message, Part, Role, Task, TaskArtifactUpdateEvent, TaskStatus, TaskStatusUpdateEvent,
    tests::{event_as, lines_of, version_of},
};

fn task(artifact_ids: &[&str]) -> A2AEvent {
    let mut task = Task::new(
        "t",
        ContextId::new("c"),
        TaskStatus::new(TaskState::Working),
    );
    task.artifacts = Some(artifact_ids.iter().map(|id| artifact(id)).collect());
    task.into()
}

fn artifact(id: &str) -> Artifact {
    Artifact::new(id, vec![Part::text("x")])
}

fn status(state: TaskState) -> A2AEvent {
    TaskStatusUpdateEvent::new("t", "c", TaskStatus::new(state)).into()
}

fn piece(id: &str, append: bool) -> A2AEvent {
    let mut event = TaskArtifactUpdateEvent::new("t", "c", artifact(id));
    event.append = Some(append);
    event.into()
}

fn message() -> A2AEvent {
    Message::new("m", Role::Agent, vec![Part::text("x")]).into()
}

/// Takes events in their order; returns the place of the first refusal, counted from 1.
fn first_refusal(mut order: TaskOrder, events: &[A2AEvent]) -> Option<(usize, OrderError)> {
    events.iter().enumerate().find_map(|(at, event)| {
        let before = order.clone();
        let refusal = order.check(event).err()?;
        assert_eq!(order, before, "a refusal changes nothing");
        Some((at + 1, refusal))
    })
}

/// Checks that the last of some events is refused by a rule, with a text.
fn check_last_refused(events: &[A2AEvent], rule: u8, text: &str) {
    let (at, refusal) = first_refusal(TaskOrder::default(), events).expect("one event is refused");
    assert_eq!(at, events.len(), "{refusal}");
    assert_eq!((refusal.rule(), refusal.to_string().as_str()), (rule, text));
}

#[test]
fn a_task_begins_with_itself() {
    check_last_refused(
        &[status(TaskState::Working)],
        1,
        "rule 1: statusUpdate cannot be first, a task begins with task (or its answer is one message)",
    );
    check_last_refused(
        &[piece("a", false)],
        1,
        "rule 1: artifactUpdate cannot be first, a task begins with task (or its answer is one message)",
    );
}

#[test]
fn a_message_stands_alone() {
    check_last_refused(
        &[message(), task(&[])],
        2,
        "rule 2: task after a message, which is the whole answer",
    );
    check_last_refused(
        &[task(&[]), message()],
        2,
        "rule 2: message within task `t`, where a message is said in a status",
    );
    let mut order = TaskOrder::default();
    assert_eq!(order.check(&message()), Ok(()));
    assert!(order.is_ended());
}

#[test]
fn all_events_are_of_one_task() {
    let other = |task: &str, context: &str| {
        TaskStatusUpdateEvent::new(task, context, TaskStatus::new(TaskState::Working)).into()
    };
    check_last_refused(
        &[task(&[]), other("u", "c")],
        3,
        "rule 3: statusUpdate of task `u` among the events of task `t`",
    );
}

#[test]
fn a_task_is_in_the_conversation_that_it_named_last() {
    let other = |task: &str, context: &str| {
        TaskStatusUpdateEvent::new(task, context, TaskStatus::new(TaskState::Working)).into()
    };
    let mut order = TaskOrder::default();
    for event in [
        task(&[]),
        other("t", "d"),
        piece("a", false),
        other("t", "e"),
    ] {
        assert_eq!(order.check(&event), Ok(()));
    }
    assert_eq!(order.context_id(), Some(&"e".into()));
    // A task without context gets it from the first event that names one.
    let bare = Task::new("t", None, TaskStatus::new(TaskState::Working)).into();
    let mut order = TaskOrder::default();
    for event in [bare, other("t", "d")] {
        assert_eq!(order.check(&event), Ok(()));
    }
    assert_eq!(order.context_id(), Some(&"d".into()));
    assert_eq!(order.task_id(), Some(&"t".into()));
}

#[test]
fn nothing_follows_a_terminal_state() {
    for state in [
        TaskState::Completed,
        TaskState::Failed,
        TaskState::Canceled,
        TaskState::Rejected,
    ] {
        for next in [task(&[]), status(state), piece("a", false), message()] {
            let text = format!(
                "rule 5: {} cannot follow {state}, which ends task `t`",
                next.event_type()
            );
            check_last_refused(&[task(&[]), status(state), next], 5, &text);
        }
    }
    let interrupted = [TaskState::InputRequired, TaskState::AuthRequired].map(status);
    let again = [
        status(TaskState::Working),
        task(&[]),
        status(TaskState::Submitted),
    ];
    let events: Vec<_> = [task(&[])]
        .into_iter()
        .chain(interrupted)
        .chain(again)
        .collect();
    assert_eq!(first_refusal(TaskOrder::default(), &events), None);
}

#[test]
fn parts_are_appended_to_what_is_there() {
    check_last_refused(
        &[task(&["a"]), piece("a", true), piece("b", true)],
        6,
        "rule 6: task `t` has no artifact `b` that could be appended to",
    );
    let events = [
        task(&[]),
        piece("a", false),
        piece("a", true),
        // A later snapshot need not tell of every artifact.
        task(&[]),
        piece("a", true),
        piece("a", false),
    ];
    assert_eq!(first_refusal(TaskOrder::default(), &events), None);
}

#[test]
fn whoever_joins_midway_learns_from_the_next_task() {
    let unseen = [status(TaskState::Working), piece("a", true)];
    assert_eq!(first_refusal(TaskOrder::midway(), &unseen), None);
    let seen = [
        piece("a", true),
        task(&["b"]),
        piece("b", true),
        piece("c", true),
    ];
    let (at, refusal) = first_refusal(TaskOrder::midway(), &seen).unwrap();
    assert_eq!((at, refusal.rule()), (4, 6));
}

#[test]
fn no_more_artifacts_are_remembered_than_allowed() {
    let order = TaskOrder::with_max_artifacts(2);
    let events = [
        task(&["a", "a"]),
        piece("b", false),
        piece("a", false),
        piece("c", false),
    ];
    let (at, refusal) = first_refusal(order.clone(), &events).unwrap();
    assert_eq!((at, refusal.rule()), (4, 0));
    let (at, refusal) = first_refusal(order, &[task(&["a", "b", "c"])]).unwrap();
    assert_eq!(
        (at, refusal.to_string().as_str()),
        (1, "the task has more than 2 artifacts")
    );
}

#[test]
fn the_fixtures_are_refused_where_the_order_of_a_task_is_broken() {
    // The place and the rule; none where the fault is not one of order (see the module) or cannot be seen.
    let expected = [
        ("after-final", Some((9, 5))),
        ("mixed-task-ids-03", Some((4, 3))),
        ("reordered-chunks", None),
        ("no-task-first", Some((1, 1))),
        ("terminal-snapshot", None),
        ("after-terminal", Some((9, 5))),
        ("message-then-more", Some((2, 2))),
        ("duplicated-chunk", None),
        ("append-before-create", Some((2, 6))),
        ("mixed-task-ids", Some((4, 3))),
        ("empty", None),
    ];
    let lines = lines_of("streams-invalid.jsonl");
    assert_eq!(lines.len(), expected.len() + 2);
    for (id, outcome) in expected {
        let line = lines.iter().find(|line| line.id == id).unwrap();
        let events: Vec<_> = line
            .payloads
            .iter()
            .map(|json| event_as(json.as_str(), version_of(&line.protocol)))
            .collect();
        let refusal = first_refusal(TaskOrder::default(), &events);
        assert_eq!(
            refusal.map(|(at, refusal)| (at, refusal.rule())),
            outcome,
            "{id}"
        );
    }
}
