//! The events of `events-models` as frames: unnamed, so that `onmessage` and official parsers see them.

use events_core::{EventError, EventResult, Frame};
use events_models::{
    A2AEvent, AgUiEvent, AnalyticsEvent, CliOutputEvent, ContextEvent, StreamFeedFrame,
    SystemEvent, TuiStreamEvent,
};

use crate::ToSse;

/// The SSE event name of CLI output, which is no protocol of its own.
const CLI_EVENT: &str = "cli";

fn frame(write: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>) -> EventResult<Frame> {
    let mut json = Vec::with_capacity(256);
    write(&mut json).map_err(|error| EventError::Encode(error.into()))?;
    json.shrink_to_fit();
    Ok(Frame::json(json))
}

impl ToSse for AgUiEvent {
    fn to_frame(&self) -> EventResult<Frame> {
        frame(|out| self.write_json(out))
    }
}

impl ToSse for A2AEvent {
    /// Makes the frame in the form of A2A 1.0.
    fn to_frame(&self) -> EventResult<Frame> {
        frame(|out| self.write_json(out))
    }
}

impl ToSse for SystemEvent {
    fn to_frame(&self) -> EventResult<Frame> {
        frame(|out| self.write_json(out))
    }
}

impl ToSse for ContextEvent {
    /// Makes the frame with its envelope already inside the data.
    fn to_frame(&self) -> EventResult<Frame> {
        frame(|out| self.write_json(out))
    }
}

impl ToSse for AnalyticsEvent {
    fn to_frame(&self) -> EventResult<Frame> {
        frame(|out| self.write_json(out))
    }
}

impl ToSse for CliOutputEvent {
    fn to_frame(&self) -> EventResult<Frame> {
        frame(|out| serde_json::to_writer(out, self)).map(|frame| frame.named(CLI_EVENT))
    }
}

impl ToSse for TuiStreamEvent {
    fn to_frame(&self) -> EventResult<Frame> {
        frame(|out| serde_json::to_writer(out, self))
    }
}

impl ToSse for StreamFeedFrame {
    fn to_frame(&self) -> EventResult<Frame> {
        frame(|out| serde_json::to_writer(out, self))
    }
}
