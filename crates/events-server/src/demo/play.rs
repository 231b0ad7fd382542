//! Publishing recordings as an agent would.

use std::iter::repeat_with;

use events_core::{ThreadId, UserId};
use events_models::{AgUiEvent, AgUiEventBuilder};
use events_router::{BusEvent, EventRouter, PublishError};
use tokio::time::sleep;

use super::{RECORDINGS, pace, transcript::Transcript};

/// For whom the recordings are played.
pub(super) const USER: &str = "demo";

/// Plays all recordings, one after the other, for ever.
///
/// # Cancel safety
///
/// The run that is being played stays open.
pub(crate) async fn play(router: EventRouter) {
    let transcripts: Vec<Transcript> = RECORDINGS
        .iter()
        .filter_map(|(name, text)| match Transcript::parse(name, text) {
            Ok(transcript) => Some(transcript),
            Err(error) => {
                tracing::error!(recording = name, %error, "recording left out");
                None
            }
        })
        .collect();
    let user = UserId::new(USER);
    sleep(pace::BEFORE_FIRST_RUN).await;
    loop {
        for transcript in &transcripts {
            play_transcript(&router, &user, transcript).await;
        }
        if transcripts.is_empty() {
            return;
        }
    }
}

/// Plays one recording in a thread of its own, and returns how many of its events were refused. A refused event ends
/// its run.
pub(super) async fn play_transcript(
    router: &EventRouter,
    user: &UserId,
    transcript: &Transcript,
) -> usize {
    let round: String = repeat_with(fastrand::alphanumeric).take(8).collect();
    let (thread, runs) = transcript.renamed(&round);
    let mut n_refused = 0;
    for run in runs {
        if let Err(error) = play_run(router, user, &thread, run).await {
            n_refused += 1;
            tracing::error!(
                recording = transcript.name(),
                error = &error as &dyn std::error::Error,
                "event of the demo refused; going on with the next run"
            );
            let failed = AgUiEventBuilder::run_error(
                "this recording cannot be played on",
                Some("demo".to_owned()),
            );
            // It is refused in turn when nothing is open, which is as good.
            let _refused = publish(router, user, &thread, failed).await;
        }
        sleep(pace::BETWEEN_RUNS).await;
    }
    n_refused
}

async fn play_run(
    router: &EventRouter,
    user: &UserId,
    thread: &ThreadId,
    run: Vec<AgUiEvent>,
) -> Result<(), PublishError> {
    for event in run {
        sleep(pace::before(&event)).await;
        publish(router, user, thread, event).await?;
    }
    Ok(())
}

async fn publish(
    router: &EventRouter,
    user: &UserId,
    thread: &ThreadId,
    mut event: AgUiEvent,
) -> Result<(), PublishError> {
    event.set_timestamp(Some(router.clock().now_ms()));
    let event = BusEvent::AgUi {
        thread: Some(thread.clone()),
        event,
    };
    router.publish(user, event).await.map(drop)
}
