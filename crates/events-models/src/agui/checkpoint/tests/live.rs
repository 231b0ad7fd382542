//! A thread, and one that was saved and read again, side by side.

use crate::agui::{
    AgUiEvent, RunAgentInput,
    checkpoint::{ThreadLimits, read, write},
    fold::{Generation, OpenSet, Reader, ThreadContent},
    intake::ThreadIntake,
    order::{OrderError, ThreadOrder},
};

/// What can happen to a thread.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Event(AgUiEvent),
    /// Everything open is closed, as when a run is silent for too long.
    CloseAll,
    /// The content is dropped, as when all threads together take too much.
    GiveUp,
}

#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) intake: ThreadIntake,
    pub(super) content: ThreadContent,
    pub(super) limits: ThreadLimits,
}

impl Live {
    pub(super) fn new(limits: ThreadLimits) -> Self {
        Self {
            intake: ThreadIntake::new(ThreadOrder::with_max_ids(limits.max_ids)),
            content: ThreadContent::with_max_bytes(limits.max_bytes),
            limits,
        }
    }

    pub(super) fn take(&mut self, step: &Step) -> Result<Vec<AgUiEvent>, OrderError> {
        let mut out = Vec::new();
        match step {
            Step::Event(event) => self.intake.admit(event.clone(), &mut out)?,
            Step::CloseAll => out = self.intake.close_all(Some(7)),
            Step::GiveUp => self.content.give_up(),
        }
        for event in &out {
            self.content.take(event.clone());
        }
        Ok(out)
    }

    pub(super) fn saved(&self) -> Vec<u8> {
        let mut saved = Vec::new();
        write(&self.intake, &self.content, &mut saved).expect("it has a form");
        saved
    }

    /// Writes the thread and reads it.
    pub(super) fn again(&self) -> Self {
        let saved = self.saved();
        let (intake, content) = read(&saved, self.limits)
            .unwrap_or_else(|error| panic!("{error:?} in {}", String::from_utf8_lossy(&saved)));
        Self {
            intake,
            content,
            limits: self.limits,
        }
    }

    /// What readers are told: one of whom nothing is known, and two that hold some messages.
    fn tellings(&self, since: &[OpenSet]) -> String {
        let (older, newer) = (input(&["a", "b"]), input(&["b", "a", "own"]));
        let readers = [
            Reader::default(),
            Reader {
                input: Some(&older),
                generation: Generation::V0_0_59,
            },
            Reader {
                input: Some(&newer),
                generation: Generation::V1_0,
            },
        ];
        let order = self.intake.order();
        let mut told = String::new();
        for reader in &readers {
            let prelude = self.content.prelude(order, reader);
            let caught_up = since
                .iter()
                .map(|since| self.content.catch_up(order, since, reader));
            for event in caught_up.chain([prelude]).flatten() {
                told.push_str(&serde_json::to_string(&event).expect("it has a form"));
                told.push('\n');
            }
        }
        told
    }

    #[track_caller]
    pub(super) fn check_same(&self, other: &Self, since: &[OpenSet], place: &str) {
        assert_eq!(self.intake, other.intake, "{place}");
        assert_eq!(self.tellings(since), other.tellings(since), "{place}");
        let (one, two) = (&self.content, &other.content);
        assert_eq!(one.messages(), two.messages(), "{place}");
        assert_eq!(one.n_messages(), two.n_messages(), "{place}");
        assert_eq!(one.state(), two.state(), "{place}");
        assert_eq!(one.status(), two.status(), "{place}");
        assert_eq!(one.size(), two.size(), "{place}");
        assert_eq!(one.is_too_large(), two.is_too_large(), "{place}");
        assert_eq!(one.n_skipped_patches(), two.n_skipped_patches(), "{place}");
        let text = |live: &Self| String::from_utf8(live.saved()).expect("JSON");
        assert_eq!(text(self), text(other), "{place}");
    }
}

fn input(ids: &[&str]) -> RunAgentInput {
    let messages: Vec<_> = ids
        .iter()
        .map(|id| serde_json::json!({ "id": id, "role": "user", "content": "old" }))
        .collect();
    let input = serde_json::json!({ "threadId": "t", "runId": "q", "messages": messages });
    RunAgentInput::from_json(input.to_string().as_bytes()).expect("a request")
}

/// Saves and reads a thread after every step, and follows each to the end.
#[track_caller]
pub(super) fn check_cuts(name: &str, limits: ThreadLimits, steps: &[Step]) {
    let mut live = Live::new(limits);
    let mut restored: Vec<Live> = Vec::new();
    let mut since = vec![OpenSet::default()];
    for (at, step) in steps.iter().enumerate() {
        let again = live.again();
        again.check_same(&live, &[], &format!("{name}, cut at {at}"));
        restored.push(again);
        let taken = live.take(step);
        for (cut, other) in restored.iter_mut().enumerate() {
            let place = || format!("{name}, cut at {cut}, then step {at}: {step:?}");
            assert_eq!(other.take(step), taken, "{}", place());
            assert_eq!(other.intake, live.intake, "{}", place());
            assert_eq!(other.content.size(), live.content.size(), "{}", place());
        }
        since.push(OpenSet::of(live.intake.order()));
    }
    // A few moments are enough: what is told of one is much like what is told of the next.
    let since: Vec<_> = since.into_iter().step_by(steps.len().div_ceil(3)).collect();
    for (cut, other) in restored.iter().enumerate() {
        let place = format!("{name}, cut at {cut}, at the end");
        other.check_same(&live, &since, &place);
    }
    let place = format!("{name}, saved at the end");
    live.again().check_same(&live, &since, &place);
}
