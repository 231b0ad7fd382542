//! What is read is what was written, whatever comes after it.

use proptest::prelude::*;
use serde_json::json;

use super::{TaskLimits, read, write};
use crate::{
    CheckpointError,
    a2a::{
        A2AEvent,
        fold::{MAX_BYTES, TaskContent, tests::streams},
        order::{OrderError, TaskOrder},
        tests::{event, lines_of},
    },
};

/// A task, and the limits that it has.
#[derive(Clone, Debug)]
struct Live {
    order: TaskOrder,
    content: TaskContent,
    limits: TaskLimits,
}

/// What can happen to a task.
#[derive(Clone, Debug)]
enum Step {
    Event(Box<A2AEvent>),
    /// The content is dropped, as when all tasks together take too much.
    GiveUp,
    /// A Task object is judged as the beginning of a turn.
    Anew,
}

fn limits(max_bytes: usize) -> TaskLimits {
    TaskLimits {
        max_bytes,
        ..TaskLimits::default()
    }
}

impl Live {
    fn new(limits: TaskLimits) -> Self {
        Self {
            order: TaskOrder::midway(),
            content: TaskContent::with_max_bytes(limits.max_bytes),
            limits,
        }
    }

    fn take(&mut self, step: &Step) -> Result<(), OrderError> {
        match step {
            Step::Event(event) => {
                self.order.check(event)?;
                self.content.take((**event).clone());
            }
            Step::GiveUp => self.content.give_up(),
            Step::Anew => self.order = TaskOrder::with_max_artifacts(self.limits.max_artifacts),
        }
        Ok(())
    }

    fn saved(&self) -> Vec<u8> {
        let mut saved = Vec::new();
        write(&self.order, &self.content, &mut saved).expect("it has a form");
        saved
    }

    fn again(&self) -> Self {
        let saved = self.saved();
        let (order, content) = read(&saved, self.limits)
            .unwrap_or_else(|error| panic!("{error:?} in {}", String::from_utf8_lossy(&saved)));
        Self {
            order,
            content,
            limits: self.limits,
        }
    }

    #[track_caller]
    fn check_same(&self, other: &Self, place: &str) {
        assert_eq!(self.order, other.order, "{place}");
        let (one, two) = (&self.content, &other.content);
        assert_eq!(one.prelude(), two.prelude(), "{place}");
        let old = |content: &TaskContent| {
            let mut json = Vec::new();
            if let Some(event) = content.prelude() {
                event.write_json_v0_3(&mut json).expect("it has a form");
            }
            String::from_utf8(json).expect("JSON")
        };
        assert_eq!(old(one), old(two), "{place}");
        assert_eq!(one.task(), two.task(), "{place}");
        assert_eq!(one.size(), two.size(), "{place}");
        assert_eq!(one.json_bytes(), two.json_bytes(), "{place}");
        assert_eq!(one.is_too_large(), two.is_too_large(), "{place}");
        let text = |live: &Self| String::from_utf8(live.saved()).expect("JSON");
        assert_eq!(text(self), text(other), "{place}");
    }
}

/// Saves and reads a task after every step, and follows each to the end.
#[track_caller]
fn check_cuts(name: &str, limits: TaskLimits, steps: &[Step]) {
    let mut live = Live::new(limits);
    let mut restored: Vec<Live> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let again = live.again();
        again.check_same(&live, &format!("{name}, cut at {at}"));
        restored.push(again);
        let taken = live.take(step);
        for (cut, other) in restored.iter_mut().enumerate() {
            let place = || format!("{name}, cut at {cut}, then step {at}: {step:?}");
            assert_eq!(other.take(step), taken, "{}", place());
            assert_eq!(other.content.size(), live.content.size(), "{}", place());
        }
    }
    for (cut, other) in restored.iter().enumerate() {
        other.check_same(&live, &format!("{name}, cut at {cut}, at the end"));
    }
    live.again()
        .check_same(&live, &format!("{name}, at the end"));
}

fn step(event: A2AEvent) -> Step {
    Step::Event(Box::new(event))
}

#[test]
fn recorded_tasks_are_the_same_after_every_cut() {
    for (file, events) in streams() {
        let n_steps = events.len().min(60);
        let steps: Vec<_> = events.into_iter().take(n_steps).map(step).collect();
        check_cuts(&file, limits(MAX_BYTES), &steps);
    }
    for line in lines_of("v1.0-events-valid.jsonl") {
        let steps = [step(event(line.text()))];
        check_cuts(&line.id, limits(MAX_BYTES), &steps);
    }
}

#[test]
fn a_task_that_was_given_up_stays_so_and_a_lower_bound_holds() {
    let long = "x".repeat(2_000);
    let steps: Vec<_> = [
        json!({ "task": { "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_WORKING" } } }),
        json!({ "artifactUpdate": { "taskId": "t", "contextId": "c", "artifact": { "artifactId": "a", "parts": [{ "text": long }] } } }),
        json!({ "statusUpdate": { "taskId": "t", "contextId": "d", "status": { "state": "TASK_STATE_INPUT_REQUIRED" } } }),
        json!({ "task": { "id": "t", "status": { "state": "TASK_STATE_COMPLETED" } } }),
    ]
    .iter()
    .map(|json| step(event(&json.to_string())))
    .collect();
    check_cuts("given up", limits(1_000), &steps);
    let mut live = Live::new(limits(MAX_BYTES));
    for step in &steps[..2] {
        live.take(step).unwrap();
    }
    let (_, content) = read(&live.saved(), limits(1_000)).unwrap();
    assert!(content.is_too_large() && content.prelude().is_none());
    assert_eq!(content.state(), live.content.state());
    let few = TaskLimits {
        max_artifacts: 1,
        ..TaskLimits::default()
    };
    let (mut order, _) = read(&live.saved(), few).unwrap();
    let more = json!({ "artifactUpdate": { "taskId": "t", "contextId": "c", "artifact": { "artifactId": "b", "parts": [{ "text": "x" }] } } });
    let refused = order.check(&event(&more.to_string())).unwrap_err();
    assert_eq!(refused.to_string(), "the task has more than 1 artifacts");
}

/// How version 1 is written. It changes only together with the version.
const GOLDEN: &str = r#"{"version":1,"order":{"isStarted":true,"isAnswered":false,"taskId":"t","contextId":"c","state":"TASK_STATE_WORKING","artifactIds":["a"],"hasUnseen":true},"content":{"told":{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"},"artifacts":[{"artifactId":"a","parts":[{"text":"x"}]}]}},"artifactBytes":[42],"jsonBytes":92,"isTooLarge":false}}"#;

#[test]
fn the_form_of_version_1_is_kept() {
    let mut live = Live::new(limits(MAX_BYTES));
    let piece = json!({ "artifactUpdate": { "taskId": "t", "contextId": "c", "artifact": { "artifactId": "a", "parts": [{ "text": "x" }] } } });
    live.take(&step(event(&piece.to_string()))).unwrap();
    let status = json!({ "statusUpdate": { "taskId": "t", "contextId": "c", "status": { "state": "TASK_STATE_WORKING" } } });
    live.take(&step(event(&status.to_string()))).unwrap();
    assert_eq!(String::from_utf8(live.saved()).unwrap(), GOLDEN);
}

#[test]
fn what_is_not_understood_is_refused() {
    for (found, other, reason) in [
        (
            "\"version\":1",
            "\"version\":7",
            "of version 7, and only version 1",
        ),
        (
            "\"isTooLarge\"",
            "\"news\":1,\"isTooLarge\"",
            "the form that is written",
        ),
        (
            "\"parts\":",
            "\"kind\":1,\"parts\":",
            "more or other members",
        ),
        (
            "TASK_STATE_WORKING\"}",
            "TASK_STATE_RESTING\"}",
            "that cannot be read",
        ),
        ("[42]", "[]", "not those that were counted"),
        ("[42]", "[9999999999999]", "beyond all"),
        ("[\"a\"]", "[\"a\",\"a\"]", "there twice"),
        (
            "\"isStarted\":true",
            "\"isStarted\":false",
            "has left a trace",
        ),
    ] {
        assert!(GOLDEN.contains(found), "{found} is not there");
        let saved = GOLDEN.replacen(found, other, 1);
        let error = read(saved.as_bytes(), limits(MAX_BYTES)).expect_err(&saved);
        assert!(error.to_string().contains(reason), "{other}: {error}");
    }
    let update = r#"{"version":1,"order":{"isStarted":false,"isAnswered":false,"taskId":null,"contextId":null,"state":null,"artifactIds":[],"hasUnseen":true},"content":{"told":{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}},"artifactBytes":[],"jsonBytes":9,"isTooLarge":false}}"#;
    let error = read(update.as_bytes(), limits(MAX_BYTES)).unwrap_err();
    assert!(
        matches!(error, CheckpointError::Contradiction { .. }),
        "{error:?}"
    );
}

/// An event out of a small world, so that ids meet.
fn any_step() -> impl Strategy<Value = Step> {
    let id = prop::sample::select(vec!["a", "b"]);
    (0..12_u8, id, any::<bool>(), 0..200_usize).prop_map(|(kind, id, flag, length)| {
        let text = "é\n\"".repeat(length / 3);
        let part = json!({ "text": text });
        let artifact = json!({ "artifactId": id, "parts": [part, { "data": { "n": 1.5 } }], "metadata": { id: length }, "own": length });
        let status = |state: &str| json!({ "state": state, "message": { "messageId": id, "role": "ROLE_AGENT", "parts": [part] } });
        let json = match kind {
            0 => return Step::GiveUp,
            1 => return Step::Anew,
            2 => json!({ "task": { "id": "t", "status": status("TASK_STATE_WORKING"), "artifacts": [artifact, artifact], "metadata": { "k": length } }, "more": 1 }),
            3 => json!({ "task": { "id": "t", "contextId": id, "status": { "state": "TASK_STATE_SUBMITTED", "timestamp": "2026-01-01T00:00:00.120Z" } } }),
            4 => json!({ "message": { "messageId": id, "role": "ROLE_AGENT", "parts": [part] } }),
            5 => json!({ "statusUpdate": { "taskId": "t", "contextId": id, "status": status("TASK_STATE_COMPLETED") } }),
            6 | 7 => json!({ "statusUpdate": { "taskId": "t", "contextId": id, "status": status("TASK_STATE_WORKING"), "metadata": { id: length } } }),
            _ => json!({ "artifactUpdate": { "taskId": "t", "contextId": id, "append": flag, "artifact": artifact, "metadata": { id: 1 } } }),
        };
        step(event(&json.to_string()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_task_is_the_same_after_every_cut(
        steps in prop::collection::vec(any_step(), 0..20),
        max_bytes in prop::sample::select(vec![0, 700, 1_500, MAX_BYTES]),
    ) {
        check_cuts("any", limits(max_bytes), &steps);
    }

    #[test]
    fn no_damage_makes_a_task_that_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..6),
        steps in prop::collection::vec(any_step(), 0..6),
    ) {
        let mut bytes = GOLDEN.as_bytes().to_vec();
        for (index, byte, what) in edits {
            let at = index.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"{}[]\",:0123456789"[usize::from(byte) % 17]),
            }
        }
        if let Ok((order, content)) = read(&bytes, limits(MAX_BYTES)) {
            let mut live = Live { order, content, limits: limits(MAX_BYTES) };
            for step in &steps {
                let _ = live.take(step);
            }
            live.again().check_same(&live, "damaged");
        }
    }
}
