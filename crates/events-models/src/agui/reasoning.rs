//! What a model thinks before it speaks.

use events_core::MessageId;

use super::event_struct;
use crate::wire::{wire_enum, wire_literal};

event_struct! {
    /// Opens a span of reasoning. Spans and reasoning messages do not depend on each other.
    ///
    /// `{"type":"REASONING_START","messageId":"r1"}`
    attributed ReasoningStart {
        required {
            /// The span's id.
            message_id: MessageId = "messageId",
        }
        optional {}
    }
}

event_struct! {
    /// Opens a reasoning message.
    ///
    /// `{"type":"REASONING_MESSAGE_START","messageId":"r1","role":"reasoning"}`
    attributed ReasoningMessageStart {
        required {
            /// The message that opens.
            message_id: MessageId = "messageId",
        }
        optional {
            /// Always `reasoning`, and always written.
            role: ReasoningRole = "role",
        }
    }
}

event_struct! {
    /// Appends text to an open reasoning message.
    ///
    /// `{"type":"REASONING_MESSAGE_CONTENT","messageId":"r1","delta":"Consider"}`
    attributed ReasoningMessageContent {
        required {
            /// The open message.
            message_id: MessageId = "messageId",
            /// The text to append; it may be empty.
            delta: String = "delta",
        }
        optional {}
    }
}

event_struct! {
    /// Closes a reasoning message.
    ///
    /// `{"type":"REASONING_MESSAGE_END","messageId":"r1"}`
    attributed ReasoningMessageEnd {
        required {
            /// The open message.
            message_id: MessageId = "messageId",
        }
        optional {}
    }
}

event_struct! {
    /// Opens, continues or, by what follows it, closes a reasoning message: shorthand for the other three.
    ///
    /// `{"type":"REASONING_MESSAGE_CHUNK","messageId":"r1","delta":"Consider"}`
    attributed ReasoningMessageChunk {
        required {}
        optional {
            /// The message; required in the first chunk of one.
            message_id: Option<MessageId> = "messageId",
            /// The text to append.
            delta: Option<String> = "delta",
        }
    }
}

event_struct! {
    /// Closes a span of reasoning.
    ///
    /// `{"type":"REASONING_END","messageId":"r1"}`
    attributed ReasoningEnd {
        required {
            /// The open span's id.
            message_id: MessageId = "messageId",
        }
        optional {}
    }
}

event_struct! {
    /// Gives a provider's opaque value, to be sent back with the message or call that it belongs to.
    ///
    /// `{"type":"REASONING_ENCRYPTED_VALUE","subtype":"message","entityId":"r1","encryptedValue":"b64"}`
    attributed ReasoningEncryptedValue {
        required {
            /// What kind of thing the value belongs to.
            subtype: EncryptedSubtype = "subtype",
            /// The id of that thing.
            entity_id: String = "entityId",
            /// The opaque value.
            encrypted_value: String = "encryptedValue",
        }
        optional {}
    }
}

wire_enum! {
    /// What an encrypted value belongs to.
    ///
    /// `"tool-call"`
    pub enum EncryptedSubtype {
        /// A tool call.
        ToolCall = "tool-call",
        /// A message.
        Message = "message",
    }
}

wire_literal! {
    /// The role `reasoning`, the only one that a reasoning message can have.
    pub struct ReasoningRole = "reasoning";
}
