//! What holds of the fold by itself, at every place of made-up threads.

use events_core::Fold;
use events_models::{
    AgUiEvent, Message,
    agui::fold::{OpenSet, Reader, ThreadFold},
};
use events_tests::agui_runs;
use proptest::prelude::*;

/// Folds events from nothing; they have to be in order.
pub(super) fn fold(events: &[AgUiEvent]) -> ThreadFold {
    let mut fold = ThreadFold::default();
    for event in events {
        if let Err(refusal) = fold.apply(event.clone()) {
            panic!("{refusal}: {events:#?}");
        }
    }
    fold
}

/// Sorts what may stand anywhere: activities, reasoning, and answers in a row.
fn sorted(messages: Vec<Message>) -> (Vec<Message>, Vec<Message>) {
    let (mut shown, mut said): (Vec<_>, Vec<_>) = messages
        .into_iter()
        .partition(|message| matches!(message, Message::Activity(_) | Message::Reasoning(_)));
    shown.sort_by(|one, two| one.id().cmp(two.id()));
    let is_answer = |message: &Message| matches!(message, Message::Tool(_));
    for answers in said.chunk_by_mut(|one, two| is_answer(one) && is_answer(two)) {
        answers.sort_by(|one, two| one.id().cmp(two.id()));
    }
    (said, shown)
}

fn check_joined(whole: &ThreadFold, joined: &[AgUiEvent], is_fresh: bool) {
    let joined_fold = fold(joined);
    let (ours, theirs) = (joined_fold.content().messages(), whole.content().messages());
    if is_fresh {
        assert_eq!(ours, theirs, "{joined:#?}");
    } else {
        assert_eq!(sorted(ours), sorted(theirs), "{joined:#?}");
    }
    // A thread without a state is one with an empty one to a client.
    assert_eq!(joined_fold.content().state(), whole.content().state());
    assert_eq!(joined_fold.open().n_items(), whole.open().n_items());
}

fn check_every_cut(log: &[AgUiEvent]) {
    let whole = fold(log);
    for cut in 0..=log.len() {
        let mut joined = fold(&log[..cut]).prelude();
        joined.extend_from_slice(&log[cut..]);
        check_joined(&whole, &joined, true);
    }
}

fn check_catching_up(log: &[AgUiEvent], step: usize) {
    let folds: Vec<_> = (0..=log.len()).map(|to| fold(&log[..to])).collect();
    let whole = &folds[log.len()];
    for to in (0..=log.len()).step_by(step) {
        let head = &folds[to];
        let mut since = OpenSet::default();
        for from in 0..=to {
            if from > 0 {
                since.see(&log[from - 1]);
            }
            assert_eq!(since, folds[from].open());
            let structural = log[from..to].iter().filter(|event| event.is_structural());
            let before = OpenSet::before(&head.open(), structural);
            check_before(&since, &before, &log[from..to]);
            let other = Some(&before).filter(|before| **before != since);
            for open in std::iter::once(&since).chain(other) {
                let mut lagging = log[..from].to_vec();
                let reader = Reader::default();
                lagging.extend(head.content().catch_up(head.order(), open, &reader));
                lagging.extend_from_slice(&log[to..]);
                check_joined(whole, &lagging, false);
            }
        }
    }
}

/// What is worked out backwards is what was tracked, but for what an error hides.
fn check_before(tracked: &OpenSet, before: &OpenSet, after: &[AgUiEvent]) {
    let first = after.iter().find(|event| {
        matches!(
            event,
            AgUiEvent::RunStarted(_) | AgUiEvent::RunFinished(_) | AgUiEvent::RunError(_)
        )
    });
    match first {
        Some(AgUiEvent::RunError(_)) => assert!(before.is_run_active()),
        Some(_) => {
            assert_eq!(tracked.is_run_active(), before.is_run_active());
            assert_eq!(tracked.n_items(), before.n_items());
        }
        None => assert_eq!(tracked, before),
    }
}

/// A thread in which RUN_ERROR follows RUN_FINISHED: who comes back between the two is in no run.
#[test]
fn a_run_that_fails_after_its_end_is_caught_up_with_from_anywhere() {
    let log = agui_runs::thread(11_867_677_132_424_027_947, 3, 9);
    let is_late =
        |pair: &[AgUiEvent]| matches!(pair, [AgUiEvent::RunFinished(_), AgUiEvent::RunError(_)]);
    assert!(log.windows(2).any(is_late), "{log:#?}");
    check_every_cut(&log);
    check_catching_up(&log, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_prelude_and_the_rest_of_a_thread_lead_to_what_the_whole_leads_to(
        seed in any::<u64>(), n_runs in 1..4_usize, n_events in 0..50_usize,
    ) {
        check_every_cut(&agui_runs::thread(seed, n_runs, n_events));
    }

    #[test]
    fn what_catches_up_leads_to_what_the_whole_leads_to(
        seed in any::<u64>(), n_runs in 1..4_usize, n_events in 0..18_usize,
    ) {
        check_catching_up(&agui_runs::thread(seed, n_runs, n_events), 3);
    }

    #[test]
    fn the_size_is_that_of_what_is_held(
        seed in any::<u64>(), n_runs in 1..4_usize, n_events in 0..100_usize,
    ) {
        let fold = fold(&agui_runs::thread(seed, n_runs, n_events));
        let messages = serde_json::to_string(&fold.content().messages()).expect("JSON").len();
        let state = fold.content().state().map_or(0, |state| state.as_str().len());
        let held = messages + state;
        let size = fold.content().size();
        prop_assert!(size + 64 >= held, "{size} is said, {held} are held");
    }
}
