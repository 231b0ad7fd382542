//! The lives of subagents. Here `subagentRunId` is the identity, and so required.

use events_core::{MessageId, ToolCallId};

use super::{SubagentOutcome, event_struct};
use crate::wire::AnyJson;

event_struct! {
    /// Says that a subagent begins.
    ///
    /// `{"type":"SUBAGENT_STARTED","subagentRunId":"s1","name":"researcher"}`
    plain SubagentStarted {
        required {
            /// The subagent's id, used once in a run.
            subagent_run_id: String = "subagentRunId",
            /// Its name.
            name: String = "name",
        }
        optional {
            /// What it is for.
            description: Option<String> = "description",
            /// The subagent that started it; absent for the parent agent.
            parent_subagent_run_id: Option<String> = "parentSubagentRunId",
            /// The tool call that started it.
            parent_tool_call_id: Option<ToolCallId> = "parentToolCallId",
            /// The message that started it.
            parent_message_id: Option<MessageId> = "parentMessageId",
        }
    }
}

event_struct! {
    /// Says that a subagent has finished or waits.
    ///
    /// `{"type":"SUBAGENT_FINISHED","subagentRunId":"s1"}`
    plain SubagentFinished {
        required {
            /// The subagent's id.
            subagent_run_id: String = "subagentRunId",
        }
        optional {
            /// What it found; never `null`.
            result: Option<AnyJson> = "result",
            /// How it ended; absent means success.
            outcome: Option<SubagentOutcome> = "outcome",
        }
    }
}

event_struct! {
    /// Says that a subagent has failed.
    ///
    /// `{"type":"SUBAGENT_ERROR","subagentRunId":"s1","message":"no sources"}`
    plain SubagentError {
        required {
            /// The subagent's id.
            subagent_run_id: String = "subagentRunId",
            /// What went wrong.
            message: String = "message",
        }
        optional {
            /// A code for programs.
            code: Option<String> = "code",
        }
    }
}
