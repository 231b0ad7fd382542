//! AG-UI 1.0: its 31 events, their order on a thread, and the expansion of chunks.

mod builder;
mod content;
mod delta;
mod event;
mod input;
mod message;
mod other;
mod outcome;
mod patch;
mod reasoning;
mod run;
mod state;
mod subagent;
mod text;
mod tool;

pub mod checkpoint;
pub mod fold;
pub mod intake;
pub mod legacy;
pub mod order;

pub use builder::AgUiEventBuilder;
pub use content::{
    ContentPart, DataSource, FileSource, MediaPart, PartSource, TextPart, ToolResultContent,
    UrlSource, UserContent,
};
pub use event::{AgUiEvent, AgUiEventType};
pub use input::{Context, ResumeEntry, ResumeStatus, RunAgentInput, Tool};
pub use message::{
    ActivityMessage, AssistantMessage, DeveloperMessage, FunctionCall, FunctionType, Message,
    MessageRole, ReasoningMessage, SystemMessage, ToolCall, ToolMessage, UserMessage,
};
pub use other::{ActivityDelta, ActivitySnapshot, Custom, Raw};
pub use outcome::{
    Interrupt, InterruptOutcome, RunOutcome, SubagentOutcome, SuccessOutcome, SuspendedOutcome,
    TokenUsage,
};
pub use patch::{JsonPatchOperation, PatchOp};
pub use reasoning::{
    EncryptedSubtype, ReasoningEncryptedValue, ReasoningEnd, ReasoningMessageChunk,
    ReasoningMessageContent, ReasoningMessageEnd, ReasoningMessageStart, ReasoningRole,
    ReasoningStart,
};
pub use run::{RunError, RunFinished, RunStarted, StepFinished, StepStarted};
pub use state::{MessagesSnapshot, StateDelta, StateSnapshot};
pub use subagent::{SubagentError, SubagentFinished, SubagentStarted};
pub use text::{TextMessageChunk, TextMessageContent, TextMessageEnd, TextMessageStart};
pub use tool::{ToolCallArgs, ToolCallChunk, ToolCallEnd, ToolCallResult, ToolCallStart, ToolRole};

pub use crate::wire::{AnyJson, OpenObject};

use crate::InvalidEvent;

/// Says that a union has no such member, and what to write instead if that is known.
pub(crate) fn unknown_tag(tag: &str, found: &str, known: &[&str]) -> InvalidEvent {
    let letters = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let reason = if let Some(retired) = retired(tag, found) {
        retired
    } else if let Some(meant) = known.iter().find(|name| letters(name) == letters(found)) {
        format!("unknown {tag} `{found}`: it is spelled `{meant}`")
    } else if known.len() > 8 {
        format!("unknown {tag} `{found}`")
    } else {
        format!("unknown {tag} `{found}`: expected {}", known.join(", "))
    };
    InvalidEvent::new(reason).in_member(tag)
}

/// Names the replacement of what 1.0 took out of the protocol.
fn retired(tag: &str, found: &str) -> Option<String> {
    let replacement = match (tag, found) {
        ("type", "THINKING_START") => "REASONING_START",
        ("type", "THINKING_END") => "REASONING_END",
        ("type", "THINKING_TEXT_MESSAGE_START") => "REASONING_MESSAGE_START",
        ("type", "THINKING_TEXT_MESSAGE_CONTENT") => "REASONING_MESSAGE_CONTENT",
        ("type", "THINKING_TEXT_MESSAGE_END") => "REASONING_MESSAGE_END",
        ("type", "binary") => "an image, audio, video or document part with a source",
        _ => return None,
    };
    Some(format!(
        "{tag} `{found}` left the protocol in 1.0: use {replacement}"
    ))
}

/// An event's struct: its own members, then the base members that every event may have.
///
/// `attributed` events may say which subagent they come from; `plain` ones may not.
macro_rules! event_struct {
    (
        $(#[$meta:meta])*
        attributed $name:ident {
            required { $($required:tt)* }
            optional { $($optional:tt)* }
        }
    ) => {
        $crate::agui::event_struct! {
            $(#[$meta])*
            plain $name {
                required { $($required)* }
                optional {
                    $($optional)*
                    /// The subagent that the event comes from; absent for the parent agent.
                    subagent_run_id: Option<String> = "subagentRunId",
                }
            }
        }
    };
    (
        $(#[$meta:meta])*
        plain $name:ident {
            required { $($required:tt)* }
            optional { $($optional:tt)* }
        }
    ) => {
        $crate::wire::wire_struct! {
            $(#[$meta])*
            pub struct $name {
                required { $($required)* }
                optional {
                    $($optional)*
                    /// When it happened, in milliseconds since the Unix epoch.
                    timestamp: Option<i64> = "timestamp",
                    /// The provider's event that this one was made of; never `null`.
                    raw_event: Option<$crate::wire::AnyJson> = "rawEvent",
                    /// Open data about the event; the key `ag-ui` is reserved.
                    metadata: Option<$crate::wire::OpenObject> = "metadata",
                }
            }
        }

        impl From<$name> for $crate::agui::AgUiEvent {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        }
    };
}

pub(crate) use event_struct;

#[cfg(test)]
mod tests;
