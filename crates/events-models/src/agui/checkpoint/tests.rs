//! What is read is what was written, whatever comes after it.

mod arbitrary;
mod form;
mod live;

use proptest::prelude::*;

use arbitrary::any_step;
use live::{Live, Step, check_cuts};

use super::{ThreadLimits, read};
use crate::agui::{
    AgUiEventBuilder as Make, MessageRole,
    fold::{MAX_BYTES, ThreadStatus},
    tests::{event, lines_of, transcripts},
};

fn limits(max_bytes: usize) -> ThreadLimits {
    ThreadLimits {
        max_bytes,
        ..ThreadLimits::default()
    }
}

fn steps<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Step> {
    lines
        .into_iter()
        .map(|line| Step::Event(event(line)))
        .collect()
}

#[test]
fn recorded_threads_are_the_same_after_every_cut() {
    for (name, lines) in transcripts() {
        // Some are long, and each cut is followed to the end.
        let n_steps = lines.len().min(60);
        let steps = steps(lines[..n_steps].iter().map(String::as_str));
        check_cuts(&name, limits(MAX_BYTES), &steps);
    }
    for line in lines_of("accepted-sequences.jsonl") {
        let steps = steps(line.events.iter().map(|json| json.as_str()));
        check_cuts(&line.name, limits(MAX_BYTES), &steps);
    }
}

#[test]
fn a_run_that_was_ended_by_time_stays_ended() {
    let mut steps = steps([
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
        r#"{"type":"SUBAGENT_STARTED","subagentRunId":"s","name":"n"}"#,
        r#"{"type":"TEXT_MESSAGE_CHUNK","messageId":"m","delta":"a","subagentRunId":"s"}"#,
    ]);
    steps.push(Step::CloseAll);
    let mut failed = crate::agui::RunError::new("silent");
    failed.code = Some("run_timeout".to_owned());
    steps.push(Step::Event(failed.into()));
    check_cuts("timed out", limits(MAX_BYTES), &steps);
    let mut live = Live::new(limits(MAX_BYTES));
    steps.iter().for_each(|step| drop(live.take(step)));
    let (intake, content) = read(&live.saved(), limits(MAX_BYTES)).unwrap();
    assert!(intake.order().is_failed());
    assert!(
        matches!(content.status(), ThreadStatus::Failed(error) if error.code.as_deref() == Some("run_timeout"))
    );
}

#[test]
fn a_thread_that_was_given_up_stays_so_until_it_is_told_anew() {
    let mut steps = steps([
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#,
        r#"{"type":"STATE_SNAPSHOT","snapshot":{"n":1}}"#,
    ]);
    let long = Make::text_message_content("m", "x".repeat(3_000));
    steps.push(Step::Event(long));
    for line in [
        r#"{"type":"TOOL_CALL_START","toolCallId":"c","toolCallName":"f"}"#,
        r#"{"type":"MESSAGES_SNAPSHOT","messages":[{"id":"m","role":"assistant","content":"short"}]}"#,
        r#"{"type":"STATE_SNAPSHOT","snapshot":{"n":2}}"#,
        r#"{"type":"TEXT_MESSAGE_CONTENT","messageId":"m","delta":"er"}"#,
    ] {
        steps.push(Step::Event(event(line)));
    }
    check_cuts("given up", limits(2_000), &steps);
    let mut live = Live::new(limits(2_000));
    let told: Vec<bool> = steps
        .iter()
        .map(|step| {
            live.take(step).unwrap();
            live.again().content.is_too_large()
        })
        .collect();
    assert_eq!(told, [false, false, false, true, true, true, false, false]);
}

#[test]
fn a_lower_bound_of_the_reader_holds() {
    let mut live = Live::new(limits(MAX_BYTES));
    for step in steps([
        r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#,
        r#"{"type":"TEXT_MESSAGE_START","messageId":"m"}"#,
    ]) {
        live.take(&step).unwrap();
    }
    let long = Make::text_message_content("m", "x".repeat(3_000));
    live.take(&Step::Event(long)).unwrap();
    let saved = live.saved();
    let (_, content) = read(&saved, limits(2_000)).unwrap();
    assert!(content.is_too_large());
    assert!(content.size() < 2_000);
    let few = ThreadLimits {
        max_ids: 2,
        ..ThreadLimits::default()
    };
    let (mut intake, content) = read(&saved, few).unwrap();
    assert!(!content.is_too_large());
    let next = event(r#"{"type":"STEP_STARTED","stepName":"s"}"#);
    let refused = intake.admit(next, &mut Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "the run uses more than 2 ids");
}

#[test]
fn a_checkpoint_takes_about_what_the_content_takes() {
    let mut live = Live::new(limits(MAX_BYTES));
    live.take(&Step::Event(Make::run_started("t", "r", None)))
        .unwrap();
    let mut sizes = Vec::new();
    for number in 0..600 {
        let id = format!("message-{number}");
        for event in [
            Make::text_message_start(&*id, MessageRole::Assistant),
            Make::text_message_content(&*id, "some text\n".repeat(400)),
            Make::text_message_end(&*id),
        ] {
            live.take(&Step::Event(event)).unwrap();
        }
        if [0, 599].contains(&number) {
            sizes.push((live.content.size(), live.saved().len()));
        }
    }
    for (size, saved) in sizes {
        // Beside the content there are the ids that the run knows, and a few names.
        assert!(saved < size + size / 50 + 500, "{saved} for {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_thread_is_the_same_after_every_cut(
        steps in prop::collection::vec(any_step(), 1..40),
        max_bytes in prop::sample::select(vec![0, 600, 1_500, MAX_BYTES]),
    ) {
        let mut all = vec![Step::Event(Make::run_started("t", "r", None))];
        all.extend(steps);
        check_cuts("any", limits(max_bytes), &all);
    }
}
