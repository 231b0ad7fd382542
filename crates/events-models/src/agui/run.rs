//! The life of a run, and its steps.

use events_core::{TaskId, ThreadId};

use super::{RunAgentInput, RunOutcome, TokenUsage, event_struct};
use crate::wire::AnyJson;

event_struct! {
    /// Begins a run. Only this event and [`RunFinished`] say which thread and run they belong to.
    ///
    /// `{"type":"RUN_STARTED","threadId":"t1","runId":"r1"}`
    plain RunStarted {
        required {
            /// The thread.
            thread_id: ThreadId = "threadId",
            /// The run.
            run_id: TaskId = "runId",
        }
        optional {
            /// The protocol version that the run speaks, such as `1.0`.
            protocol_version: Option<String> = "protocolVersion",
            /// The run that this one continues.
            parent_run_id: Option<TaskId> = "parentRunId",
            /// What the run was asked to do.
            input: Option<Box<RunAgentInput>> = "input",
        }
    }
}

event_struct! {
    /// Ends a run in order: everything it opened is closed.
    ///
    /// `{"type":"RUN_FINISHED","threadId":"t1","runId":"r1","result":{"answer":42}}`
    plain RunFinished {
        required {
            /// The thread.
            thread_id: ThreadId = "threadId",
            /// The run.
            run_id: TaskId = "runId",
        }
        optional {
            /// What the run gave; never `null`.
            result: Option<AnyJson> = "result",
            /// How it ended; absent means success.
            outcome: Option<RunOutcome> = "outcome",
            /// What it used, one entry per model.
            usage: Option<Vec<TokenUsage>> = "usage",
        }
    }
}

event_struct! {
    /// Ends a run with a failure, whatever is open.
    ///
    /// `{"type":"RUN_ERROR","message":"upstream timed out","code":"TIMEOUT"}`
    plain RunError {
        required {
            /// What went wrong.
            message: String = "message",
        }
        optional {
            /// A code for programs.
            code: Option<String> = "code",
            /// What the run used, one entry per model.
            usage: Option<Vec<TokenUsage>> = "usage",
        }
    }
}

event_struct! {
    /// Begins a step.
    ///
    /// `{"type":"STEP_STARTED","stepName":"plan"}`
    attributed StepStarted {
        required {
            /// The step's name, which is its identity for its owner.
            step_name: String = "stepName",
        }
        optional {}
    }
}

event_struct! {
    /// Ends a step.
    ///
    /// `{"type":"STEP_FINISHED","stepName":"plan"}`
    attributed StepFinished {
        required {
            /// The step's name.
            step_name: String = "stepName",
        }
        optional {}
    }
}
