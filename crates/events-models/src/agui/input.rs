//! What a run is asked to do.

use events_core::{TaskId, ThreadId};

use super::Message;
use crate::{
    InvalidEvent,
    wire::{self, AnyJson, Members, OpenObject, Wire, wire_enum, wire_struct},
};

wire_struct! {
    /// The input of a run: the body of the POST that starts it, and `RUN_STARTED.input`.
    ///
    /// `{"threadId":"t1","runId":"r1","messages":[],"tools":[],"context":[]}`
    pub struct RunAgentInput {
        required {
            /// The thread.
            thread_id: ThreadId = "threadId",
            /// The run.
            run_id: TaskId = "runId",
            /// The messages so far, oldest first.
            messages: Vec<Message> = "messages",
        }
        optional {
            /// The protocol version that the client speaks, such as `1.0`.
            protocol_version: Option<String> = "protocolVersion",
            /// The run that this one continues.
            parent_run_id: Option<TaskId> = "parentRunId",
            /// The shared state; a client's `null` is read as absent.
            state: Option<AnyJson> = "state" via null_is_absent,
            /// Tools of the client; absent means none (clients before 1.0 want it written).
            tools: Option<Vec<Tool>> = "tools",
            /// Facts for the agent; absent means none (clients before 1.0 want it written).
            context: Option<Vec<Context>> = "context",
            /// Properties for the agent's framework; never `null`.
            forwarded_props: Option<AnyJson> = "forwardedProps",
            /// Answers to the interrupts of an earlier run.
            resume: Option<Vec<ResumeEntry>> = "resume",
        }
    }
}

impl RunAgentInput {
    /// Reads an input, such as the body of a request. Members that are not described are left aside.
    ///
    /// # Errors
    ///
    /// The text is not JSON, or not an input.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidEvent> {
        wire::from_json(json)
    }

    /// Checks an input that was built in Rust.
    ///
    /// # Errors
    ///
    /// A member cannot be written legally.
    pub fn validate(&self) -> Result<(), InvalidEvent> {
        self.check()
    }
}

fn null_is_absent(members: &Members<'_>, name: &str) -> Result<Option<AnyJson>, InvalidEvent> {
    match members.get(name) {
        Some(raw) if raw.get() == "null" => Ok(None),
        _ => members.read(name),
    }
}

wire_struct! {
    /// A tool that the client offers.
    ///
    /// `{"name":"search","description":"finds things","parameters":{"type":"object"}}`
    pub struct Tool {
        required {
            /// The tool's name.
            name: String = "name",
            /// What it does.
            description: String = "description",
        }
        optional {
            /// A JSON Schema of its arguments; never `null`.
            parameters: Option<AnyJson> = "parameters",
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
        }
    }
}

wire_struct! {
    /// A fact for the agent.
    ///
    /// `{"description":"time zone","value":"Europe/Berlin"}`
    pub struct Context {
        required {
            /// What the fact is about.
            description: String = "description",
            /// The fact.
            value: String = "value",
        }
        optional {}
    }
}

wire_struct! {
    /// The answer to one interrupt.
    ///
    /// `{"interruptId":"i1","status":"resolved","payload":{"approved":true}}`
    pub struct ResumeEntry {
        required {
            /// The interrupt that is answered.
            interrupt_id: String = "interruptId",
            /// Whether it was answered or dropped.
            status: ResumeStatus = "status",
        }
        optional {
            /// The answer; never `null`.
            payload: Option<AnyJson> = "payload",
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
        }
    }
}

wire_enum! {
    /// What became of an interrupt.
    ///
    /// `"resolved"`
    pub enum ResumeStatus {
        /// It was answered.
        Resolved = "resolved",
        /// It was dropped.
        Cancelled = "cancelled",
    }
}
