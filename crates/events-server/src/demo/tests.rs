//! The recordings against the rules of the router.

use std::{collections::BTreeSet, time::Duration};

use events_broadcast::{Attach, Batch};
use events_core::UserId;
use events_models::{AgUiEvent, AgUiEventType};
use events_router::EventRouter;

use super::{RECORDINGS, play::play_transcript, transcript::Transcript};

fn transcripts() -> Vec<Transcript> {
    RECORDINGS
        .iter()
        .map(|(name, text)| Transcript::parse(name, text).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_round_is_accepted_and_leaves_no_run_open() {
    let user = UserId::new("demo");
    let all = EventRouter::default();
    for _round in 0..3 {
        for transcript in transcripts() {
            let fresh = EventRouter::default();
            assert_eq!(
                play_transcript(&fresh, &user, &transcript).await,
                0,
                "{}",
                transcript.name()
            );
            assert_eq!(fresh.active_runs(), 0, "{}", transcript.name());
            assert_eq!(
                play_transcript(&all, &user, &transcript).await,
                0,
                "{}",
                transcript.name()
            );
            assert_eq!(all.active_runs(), 0, "{}", transcript.name());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_ends_its_run_and_the_next_run_is_played() {
    let text = r#"{"type":"RUN_STARTED","threadId":"t","runId":"r1"}
{"type":"TEXT_MESSAGE_CONTENT","messageId":"never-begun","delta":"x"}
{"type":"STEP_STARTED","stepName":"never played"}
{"type":"RUN_STARTED","threadId":"t","runId":"r2","parentRunId":"r1"}
{"type":"RUN_FINISHED","threadId":"t","runId":"r2"}
"#;
    let broken = Transcript::parse("broken", text).unwrap();
    let router = EventRouter::default();
    let user = UserId::new("demo");
    let mut screen = router.agui().connect(&user, Attach::now()).unwrap();
    assert_eq!(play_transcript(&router, &user, &broken).await, 1);
    assert_eq!(router.active_runs(), 0);
    let mut batch = Batch::default();
    let _next = screen.next(&mut batch).await;
    let types: Vec<AgUiEventType> = batch
        .events
        .iter()
        .map(|(_, frame)| AgUiEvent::from_json(&frame.data).unwrap().event_type())
        .collect();
    assert_eq!(
        types,
        [
            AgUiEventType::RunStarted,
            AgUiEventType::RunError,
            AgUiEventType::RunStarted,
            AgUiEventType::RunFinished,
        ]
    );
}

#[test]
fn each_round_has_names_of_its_own_that_fit_together() {
    for transcript in transcripts() {
        let (thread, runs) = transcript.renamed("one");
        let (other, _) = transcript.renamed("two");
        assert_ne!(thread, other);
        for run in &runs {
            let Some(AgUiEvent::RunStarted(started)) = run.first() else {
                panic!("{} does not begin with RUN_STARTED", transcript.name());
            };
            assert_eq!(started.thread_id, thread);
            assert!(started.run_id.as_str().contains("one"));
            if let Some(input) = &started.input {
                assert_eq!(
                    (&input.thread_id, &input.run_id),
                    (&thread, &started.run_id)
                );
            }
            if let Some(AgUiEvent::RunFinished(finished)) = run.last() {
                assert_eq!(
                    (&finished.thread_id, &finished.run_id),
                    (&thread, &started.run_id)
                );
            }
        }
    }
}

#[test]
fn the_recordings_show_what_agents_do() {
    let transcripts = transcripts();
    let shown: BTreeSet<&str> = transcripts
        .iter()
        .flat_map(|transcript| transcript.renamed("x").1.into_iter().flatten())
        .map(|event| event.event_type().as_str())
        .collect();
    for needed in [
        "TEXT_MESSAGE_CONTENT",
        "TOOL_CALL_RESULT",
        "REASONING_MESSAGE_CONTENT",
        "STATE_DELTA",
        "STEP_STARTED",
        "SUBAGENT_STARTED",
        "ACTIVITY_DELTA",
    ] {
        assert!(shown.contains(needed), "{needed}");
    }
    let has_several_runs = transcripts
        .iter()
        .any(|transcript| transcript.renamed("x").1.len() > 1);
    assert!(has_several_runs);
}

#[tokio::test(start_paused = true)]
async fn the_first_run_begins_at_once_and_a_round_takes_as_long_as_agents_do() {
    let router = EventRouter::default();
    let user = UserId::new("demo");
    let mut screen = router.agui().connect(&user, Attach::now()).unwrap();
    let begun = tokio::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(super::play(router.clone()));
    let mut batch = Batch::default();
    let _next = screen.next(&mut batch).await;
    assert!(
        begun.elapsed() <= Duration::from_millis(200),
        "{:?}",
        begun.elapsed()
    );
    let begun = tokio::time::Instant::now();
    for transcript in transcripts() {
        play_transcript(&EventRouter::default(), &user, &transcript).await;
    }
    let seconds = begun.elapsed().as_secs();
    assert!((15..90).contains(&seconds), "{seconds} s");
}
