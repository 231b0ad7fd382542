//! The form of events for official clients before 1.0, of which 0.0.59 was the last.
//!
//! Most events are the same. These would end a run in such a client, and get another form here:
//!
//! - content parts as a tool's answer become their JSON text;
//! - a part whose bytes a provider keeps (source `file`) becomes a text part with its JSON;
//! - the outcome `cancelled` becomes RUN_ERROR with the code `cancelled`;
//! - `pendingToolCallIds` are left out;
//! - the input of a run gets its tools and context written, also if there are none.
//!
//! What those clients tolerate is checked by the tests, which run one.

use serde::Serialize;

use super::{
    AgUiEvent, AgUiEventType, ContentPart, Message, PartSource, RunAgentInput, RunError,
    RunFinished, RunOutcome, TextPart, ToolResultContent,
};

/// The code of the RUN_ERROR that stands for a cancelled run.
pub const CANCELLED: &str = "cancelled";

/// Tells whether an event has another form for clients before 1.0, or none.
#[must_use]
pub fn differs(event: &AgUiEvent) -> bool {
    match event {
        AgUiEvent::ToolCallResult(result) => is_parts(&result.content),
        AgUiEvent::MessagesSnapshot(snapshot) => snapshot.messages.iter().any(message_differs),
        AgUiEvent::RunStarted(start) => start.input.as_deref().is_some_and(input_differs),
        AgUiEvent::RunFinished(end) => match &end.outcome {
            Some(RunOutcome::Success(success)) => success.pending_tool_call_ids.is_some(),
            Some(RunOutcome::Cancelled) => true,
            Some(RunOutcome::Interrupt(_)) | None => false,
        },
        _ => false,
    }
}

/// Tells whether events of a type can have another form.
#[must_use]
pub const fn may_differ(kind: AgUiEventType) -> bool {
    matches!(
        kind,
        AgUiEventType::ToolCallResult
            | AgUiEventType::MessagesSnapshot
            | AgUiEventType::RunStarted
            | AgUiEventType::RunFinished
    )
}

/// Makes the form of an event for clients before 1.0; none if it has to be left out.
///
/// ```
/// use events_models::{AgUiEventBuilder, AgUiEventType, agui::{RunOutcome, legacy}};
///
/// let end = AgUiEventBuilder::run_finished_with("thread", "run", RunOutcome::Cancelled);
/// assert!(legacy::differs(&end));
/// let end = legacy::to_v0_0_59(end).expect("there is a form");
/// assert_eq!(end.event_type(), AgUiEventType::RunError);
/// ```
#[must_use]
pub fn to_v0_0_59(event: AgUiEvent) -> Option<AgUiEvent> {
    Some(match event {
        AgUiEvent::ToolCallResult(mut result) => {
            result.content = as_text(result.content);
            result.into()
        }
        AgUiEvent::MessagesSnapshot(mut snapshot) => {
            snapshot.messages = snapshot.messages.into_iter().map(message).collect();
            snapshot.into()
        }
        AgUiEvent::RunStarted(mut start) => {
            start.input = start.input.map(|given| Box::new(input(*given)));
            start.into()
        }
        AgUiEvent::RunFinished(end) => run_finished(end),
        other => other,
    })
}

fn run_finished(mut end: RunFinished) -> AgUiEvent {
    match &mut end.outcome {
        Some(RunOutcome::Cancelled) => {
            let mut error = RunError::new("the run was cancelled");
            error.code = Some(CANCELLED.to_owned());
            error.usage = end.usage;
            error.timestamp = end.timestamp;
            error.raw_event = end.raw_event;
            error.metadata = end.metadata;
            error.into()
        }
        Some(RunOutcome::Success(success)) => {
            success.pending_tool_call_ids = None;
            end.into()
        }
        Some(RunOutcome::Interrupt(_)) | None => end.into(),
    }
}

const fn is_parts(content: &ToolResultContent) -> bool {
    matches!(content, ToolResultContent::Parts(_))
}

const fn is_kept_by_provider(part: &ContentPart) -> bool {
    match part {
        ContentPart::Image(media)
        | ContentPart::Audio(media)
        | ContentPart::Video(media)
        | ContentPart::Document(media) => matches!(media.source, PartSource::File(_)),
        ContentPart::Text(_) => false,
    }
}

fn message_differs(message: &Message) -> bool {
    match message {
        Message::Tool(tool) => is_parts(&tool.content),
        Message::User(user) => match &user.content {
            ToolResultContent::Parts(parts) => parts.iter().any(is_kept_by_provider),
            ToolResultContent::Text(_) => false,
        },
        _ => false,
    }
}

fn input_differs(input: &RunAgentInput) -> bool {
    input.tools.is_none() || input.context.is_none() || input.messages.iter().any(message_differs)
}

fn input(mut input: RunAgentInput) -> RunAgentInput {
    input.tools.get_or_insert_default();
    input.context.get_or_insert_default();
    input.messages = input.messages.into_iter().map(message).collect();
    input
}

fn message(mut message: Message) -> Message {
    match &mut message {
        Message::Tool(tool) => {
            tool.content = as_text(std::mem::replace(&mut tool.content, String::new().into()));
        }
        Message::User(user) => {
            if let ToolResultContent::Parts(parts) = &mut user.content {
                for part in parts.iter_mut().filter(|part| is_kept_by_provider(part)) {
                    *part = ContentPart::Text(TextPart::new(json_text(part)));
                }
            }
        }
        _ => {}
    }
    message
}

fn as_text(content: ToolResultContent) -> ToolResultContent {
    match content {
        ToolResultContent::Parts(parts) => json_text(&parts).into(),
        text @ ToolResultContent::Text(_) => text,
    }
}

fn json_text(value: &impl Serialize) -> String {
    // Every wire value has a JSON form.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
