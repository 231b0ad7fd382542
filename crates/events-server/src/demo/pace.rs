//! How long an agent would take.

use std::{ops::RangeInclusive, time::Duration};

use events_models::AgUiEvent;

/// From the ready line to the first run.
pub(super) const BEFORE_FIRST_RUN: Duration = Duration::from_millis(100);

/// From the end of a run to the next.
pub(super) const BETWEEN_RUNS: Duration = Duration::from_millis(1_500);

/// Draws the pause before an event: a model's tokens come fast, a tool takes its time.
pub(super) fn before(event: &AgUiEvent) -> Duration {
    Duration::from_millis(fastrand::u64(range_ms(event)))
}

fn range_ms(event: &AgUiEvent) -> RangeInclusive<u64> {
    match event {
        AgUiEvent::RunStarted(_) => 0..=0,
        AgUiEvent::TextMessageContent(_)
        | AgUiEvent::TextMessageChunk(_)
        | AgUiEvent::ReasoningMessageContent(_)
        | AgUiEvent::ReasoningMessageChunk(_)
        | AgUiEvent::ToolCallArgs(_)
        | AgUiEvent::ToolCallChunk(_) => 20..=60,
        AgUiEvent::ToolCallResult(_) => 300..=900,
        AgUiEvent::TextMessageStart(_)
        | AgUiEvent::ReasoningStart(_)
        | AgUiEvent::ToolCallStart(_)
        | AgUiEvent::SubagentStarted(_)
        | AgUiEvent::SubagentFinished(_)
        | AgUiEvent::SubagentError(_)
        | AgUiEvent::StateSnapshot(_)
        | AgUiEvent::StateDelta(_)
        | AgUiEvent::ActivitySnapshot(_)
        | AgUiEvent::ActivityDelta(_) => 120..=400,
        _ => 5..=30,
    }
}
