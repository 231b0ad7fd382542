//! How runs and subagents end.

use events_core::ToolCallId;

use crate::{
    InvalidEvent,
    wire::{OpenObject, wire_struct, wire_union},
};

wire_union! {
    /// How a run ended.
    ///
    /// `{"type":"success"}`
    pub enum RunOutcome by "type" {
        shapes {
            /// It did what it was asked.
            Success(SuccessOutcome) = "success",
            /// It waits for answers from outside.
            Interrupt(InterruptOutcome) = "interrupt",
        }
        bare {
            /// It was stopped.
            Cancelled = "cancelled",
        }
    }
}

wire_struct! {
    /// A successful end.
    ///
    /// `{"type":"success","pendingToolCallIds":["c1"]}` (the type is the union's)
    pub struct SuccessOutcome {
        required {}
        optional {
            /// Calls that the client has to answer in a later run.
            pending_tool_call_ids: Option<Vec<ToolCallId>> = "pendingToolCallIds",
        }
    }
}

wire_struct! {
    /// An end that waits for answers.
    ///
    /// `{"type":"interrupt","interrupts":[{"id":"i1","reason":"tool_call"}]}` (the type is the union's)
    pub struct InterruptOutcome also at_least_one_interrupt {
        required {
            /// What is waited for; at least one.
            interrupts: Vec<Interrupt> = "interrupts",
        }
        optional {}
    }
}

fn at_least_one_interrupt(outcome: &InterruptOutcome) -> Result<(), InvalidEvent> {
    if outcome.interrupts.is_empty() {
        return Err(
            InvalidEvent::new("an interrupt outcome needs at least one interrupt")
                .in_member("interrupts"),
        );
    }
    Ok(())
}

wire_struct! {
    /// One thing that a run waits for.
    ///
    /// `{"id":"i1","reason":"tool_call","message":"Delete it?","toolCallId":"c1"}`
    pub struct Interrupt {
        required {
            /// Its id, named by the answer.
            id: String = "id",
            /// Why it waits; an open set.
            reason: String = "reason",
        }
        optional {
            /// What to ask a person.
            message: Option<String> = "message",
            /// The call that waits.
            tool_call_id: Option<ToolCallId> = "toolCallId",
            /// A JSON Schema of the answer.
            response_schema: Option<OpenObject> = "responseSchema",
            /// When the question lapses; ISO 8601 by convention.
            expires_at: Option<String> = "expiresAt",
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
            /// The subagent that waits.
            subagent_run_id: Option<String> = "subagentRunId",
        }
    }
}

wire_union! {
    /// How a subagent ended.
    ///
    /// `{"type":"suspended","interruptIds":["i1"]}`
    pub enum SubagentOutcome by "type" {
        shapes {
            /// It waits for answers from outside.
            Suspended(SuspendedOutcome) = "suspended",
        }
        bare {
            /// It did what it was asked.
            Success = "success",
        }
    }
}

wire_struct! {
    /// A subagent that waits.
    ///
    /// `{"type":"suspended","interruptIds":["i1"]}` (the type is the union's)
    pub struct SuspendedOutcome {
        required {}
        optional {
            /// The interrupts that it waits for.
            interrupt_ids: Option<Vec<String>> = "interruptIds",
        }
    }
}

wire_struct! {
    /// What one model used. A count without data is left out, not zero; totals include their parts.
    ///
    /// `{"provider":"openai","model":"gpt-x","inputTokens":10,"outputTokens":5}`
    pub struct TokenUsage {
        required {}
        optional {
            /// Who serves the model.
            provider: Option<String> = "provider",
            /// The model's name.
            model: Option<String> = "model",
            /// Tokens read.
            input_tokens: Option<u64> = "inputTokens",
            /// Tokens written.
            output_tokens: Option<u64> = "outputTokens",
            /// Tokens in all.
            total_tokens: Option<u64> = "totalTokens",
            /// Tokens thought, part of those written.
            reasoning_tokens: Option<u64> = "reasoningTokens",
            /// Tokens found in a cache, part of those read.
            cached_input_tokens: Option<u64> = "cachedInputTokens",
            /// Tokens put into a cache, part of those read.
            cache_write_input_tokens: Option<u64> = "cacheWriteInputTokens",
        }
    }
}
