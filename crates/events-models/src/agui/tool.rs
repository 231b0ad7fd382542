//! Tool calls, streamed, and their results.

use events_core::{MessageId, ToolCallId};

use super::{ToolResultContent, event_struct};
use crate::wire::wire_literal;

event_struct! {
    /// Opens a tool call.
    ///
    /// `{"type":"TOOL_CALL_START","toolCallId":"c1","toolCallName":"search"}`
    attributed ToolCallStart {
        required {
            /// The call that opens.
            tool_call_id: ToolCallId = "toolCallId",
            /// The tool's name.
            tool_call_name: String = "toolCallName",
        }
        optional {
            /// The assistant message that makes the call.
            parent_message_id: Option<MessageId> = "parentMessageId",
        }
    }
}

event_struct! {
    /// Appends a fragment of JSON text to the arguments of an open call.
    ///
    /// `{"type":"TOOL_CALL_ARGS","toolCallId":"c1","delta":"{\"q\":"}`
    attributed ToolCallArgs {
        required {
            /// The open call.
            tool_call_id: ToolCallId = "toolCallId",
            /// The fragment; it need not be JSON by itself.
            delta: String = "delta",
        }
        optional {}
    }
}

event_struct! {
    /// Closes a tool call: its arguments are complete.
    ///
    /// `{"type":"TOOL_CALL_END","toolCallId":"c1"}`
    attributed ToolCallEnd {
        required {
            /// The open call.
            tool_call_id: ToolCallId = "toolCallId",
        }
        optional {}
    }
}

event_struct! {
    /// Opens, continues or, by what follows it, closes a tool call: shorthand for the other three.
    ///
    /// `{"type":"TOOL_CALL_CHUNK","toolCallId":"c1","toolCallName":"search","delta":"{"}`
    attributed ToolCallChunk {
        required {}
        optional {
            /// The call; required in the first chunk of one.
            tool_call_id: Option<ToolCallId> = "toolCallId",
            /// The tool's name; required in the first chunk of a call.
            tool_call_name: Option<String> = "toolCallName",
            /// The assistant message that makes the call.
            parent_message_id: Option<MessageId> = "parentMessageId",
            /// The fragment of JSON text to append.
            delta: Option<String> = "delta",
        }
    }
}

event_struct! {
    /// Gives what a tool answered, as a message of its own.
    ///
    /// `{"type":"TOOL_CALL_RESULT","messageId":"m2","toolCallId":"c1","content":"3 results"}`
    attributed ToolCallResult {
        required {
            /// The tool message that this event makes.
            message_id: MessageId = "messageId",
            /// The call that is answered.
            tool_call_id: ToolCallId = "toolCallId",
            /// The answer: text, or content parts. Never other JSON.
            content: ToolResultContent = "content",
        }
        optional {
            /// Can only be `tool`.
            role: Option<ToolRole> = "role",
        }
    }
}

wire_literal! {
    /// The role `tool`, the only one that a tool's result can have.
    pub struct ToolRole = "tool";
}
