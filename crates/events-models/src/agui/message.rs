//! Messages of a thread, by role.

use events_core::{MessageId, ToolCallId};

use super::{ToolResultContent, UserContent};
use crate::wire::{OpenObject, wire_enum, wire_literal, wire_struct, wire_union};

wire_enum! {
    /// Who speaks in a streamed text message.
    ///
    /// `"assistant"`
    pub enum MessageRole {
        /// The application's developer.
        Developer = "developer",
        /// The system prompt.
        System = "system",
        /// The agent.
        Assistant = "assistant",
        /// The person.
        User = "user",
    }
}

wire_union! {
    /// One message of a thread.
    ///
    /// `{"role":"user","id":"1","content":"hello"}`
    pub enum Message by "role" {
        shapes {
            /// From the application's developer.
            Developer(DeveloperMessage) = "developer",
            /// The system prompt.
            System(SystemMessage) = "system",
            /// From the agent.
            Assistant(AssistantMessage) = "assistant",
            /// From the person.
            User(UserMessage) = "user",
            /// A tool's answer.
            Tool(ToolMessage) = "tool",
            /// Something shown, not said.
            Activity(ActivityMessage) = "activity",
            /// What the model thought.
            Reasoning(ReasoningMessage) = "reasoning",
        }
        bare {}
    }
}

impl Message {
    /// Returns the message's id.
    #[must_use]
    pub const fn id(&self) -> &MessageId {
        match self {
            Self::Developer(message) => &message.id,
            Self::System(message) => &message.id,
            Self::Assistant(message) => &message.id,
            Self::User(message) => &message.id,
            Self::Tool(message) => &message.id,
            Self::Activity(message) => &message.id,
            Self::Reasoning(message) => &message.id,
        }
    }

    /// Returns the subagent that the message comes from.
    #[must_use]
    pub fn subagent_run_id(&self) -> Option<&str> {
        match self {
            Self::Developer(message) => message.subagent_run_id.as_deref(),
            Self::System(message) => message.subagent_run_id.as_deref(),
            Self::Assistant(message) => message.subagent_run_id.as_deref(),
            Self::User(message) => message.subagent_run_id.as_deref(),
            Self::Tool(message) => message.subagent_run_id.as_deref(),
            Self::Activity(message) => message.subagent_run_id.as_deref(),
            Self::Reasoning(message) => message.subagent_run_id.as_deref(),
        }
    }

    /// Says which subagent the message comes from.
    pub(in crate::agui) fn set_subagent_run_id(&mut self, owner: Option<String>) {
        match self {
            Self::Developer(message) => message.subagent_run_id = owner,
            Self::System(message) => message.subagent_run_id = owner,
            Self::Assistant(message) => message.subagent_run_id = owner,
            Self::User(message) => message.subagent_run_id = owner,
            Self::Tool(message) => message.subagent_run_id = owner,
            Self::Activity(message) => message.subagent_run_id = owner,
            Self::Reasoning(message) => message.subagent_run_id = owner,
        }
    }
}

/// A message's struct: its own members, then those that every message may have.
macro_rules! message_struct {
    (
        $(#[$meta:meta])*
        $name:ident as $variant:ident {
            required { $($required:tt)* }
            optional { $($optional:tt)* }
        }
    ) => {
        wire_struct! {
            $(#[$meta])*
            pub struct $name {
                required {
                    /// The message's id.
                    id: MessageId = "id",
                    $($required)*
                }
                optional {
                    $($optional)*
                    /// Open data.
                    metadata: Option<OpenObject> = "metadata",
                    /// The subagent that the message comes from.
                    subagent_run_id: Option<String> = "subagentRunId",
                }
            }
        }

        impl From<$name> for Message {
            fn from(message: $name) -> Self {
                Self::$variant(message)
            }
        }
    };
}

message_struct! {
    /// A message of the application's developer.
    ///
    /// `{"role":"developer","id":"1","content":"be brief"}` (the role is the union's)
    DeveloperMessage as Developer {
        required {
            /// What it says.
            content: String = "content",
        }
        optional {
            /// The speaker's name.
            name: Option<String> = "name",
            /// A provider's opaque value.
            encrypted_value: Option<String> = "encryptedValue",
        }
    }
}

message_struct! {
    /// A system prompt.
    ///
    /// `{"role":"system","id":"2","content":"you are an agent"}` (the role is the union's)
    SystemMessage as System {
        required {
            /// What it says.
            content: String = "content",
        }
        optional {
            /// The speaker's name.
            name: Option<String> = "name",
            /// A provider's opaque value.
            encrypted_value: Option<String> = "encryptedValue",
        }
    }
}

message_struct! {
    /// A message of the agent: text, tool calls, or both.
    ///
    /// `{"role":"assistant","id":"4","content":"hi"}` (the role is the union's)
    AssistantMessage as Assistant {
        required {}
        optional {
            /// What it says; text only.
            content: Option<String> = "content",
            /// The calls that it makes.
            tool_calls: Option<Vec<ToolCall>> = "toolCalls",
            /// The speaker's name.
            name: Option<String> = "name",
            /// A provider's opaque value.
            encrypted_value: Option<String> = "encryptedValue",
        }
    }
}

message_struct! {
    /// A message of the person.
    ///
    /// `{"role":"user","id":"3","content":"hello"}` (the role is the union's)
    UserMessage as User {
        required {
            /// What it says or shows.
            content: UserContent = "content",
        }
        optional {
            /// The speaker's name.
            name: Option<String> = "name",
            /// A provider's opaque value.
            encrypted_value: Option<String> = "encryptedValue",
        }
    }
}

message_struct! {
    /// A tool's answer.
    ///
    /// `{"role":"tool","id":"5","content":"3 results","toolCallId":"c1"}` (the role is the union's)
    ToolMessage as Tool {
        required {
            /// The answer.
            content: ToolResultContent = "content",
            /// The call that is answered.
            tool_call_id: ToolCallId = "toolCallId",
        }
        optional {
            /// What went wrong, if it did.
            error: Option<String> = "error",
            /// A provider's opaque value.
            encrypted_value: Option<String> = "encryptedValue",
        }
    }
}

message_struct! {
    /// Something shown between messages.
    ///
    /// `{"role":"activity","id":"6","activityType":"search","content":{"hits":3}}` (the role is the union's)
    ActivityMessage as Activity {
        required {
            /// What kind of activity it is; an open set.
            activity_type: String = "activityType",
            /// What it shows.
            content: OpenObject = "content",
        }
        optional {}
    }
}

message_struct! {
    /// What the model thought.
    ///
    /// `{"role":"reasoning","id":"7","content":"weighing options"}` (the role is the union's)
    ReasoningMessage as Reasoning {
        required {
            /// The thought.
            content: String = "content",
        }
        optional {
            /// A provider's opaque value.
            encrypted_value: Option<String> = "encryptedValue",
        }
    }
}

wire_struct! {
    /// A tool call within an assistant's message.
    ///
    /// `{"id":"c1","function":{"name":"search","arguments":"{}"},"type":"function"}`
    pub struct ToolCall {
        required {
            /// The call's id.
            id: ToolCallId = "id",
            /// What is called.
            function: FunctionCall = "function",
        }
        optional {
            /// Always `function`, and always written.
            kind: FunctionType = "type",
            /// A provider's opaque value.
            encrypted_value: Option<String> = "encryptedValue",
            /// Open data.
            metadata: Option<OpenObject> = "metadata",
        }
    }
}

wire_struct! {
    /// A function and its arguments.
    ///
    /// `{"name":"search","arguments":"{\"q\":\"x\"}"}`
    pub struct FunctionCall {
        required {
            /// The function's name.
            name: String = "name",
            /// The arguments as JSON text.
            arguments: String = "arguments",
        }
        optional {}
    }
}

wire_literal! {
    /// The type `function`, the only one that a tool call can have.
    pub struct FunctionType = "function";
}
