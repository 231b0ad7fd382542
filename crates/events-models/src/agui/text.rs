//! Text messages, streamed.

use events_core::MessageId;

use super::{MessageRole, event_struct};

event_struct! {
    /// Opens a text message.
    ///
    /// `{"type":"TEXT_MESSAGE_START","messageId":"m1","role":"assistant"}`
    attributed TextMessageStart {
        required {
            /// The message that opens.
            message_id: MessageId = "messageId",
        }
        optional {
            /// Who speaks; absent means the assistant.
            role: Option<MessageRole> = "role",
            /// The speaker's name.
            name: Option<String> = "name",
        }
    }
}

event_struct! {
    /// Appends text to an open message.
    ///
    /// `{"type":"TEXT_MESSAGE_CONTENT","messageId":"m1","delta":"Hello"}`
    attributed TextMessageContent {
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
    /// Closes a text message.
    ///
    /// `{"type":"TEXT_MESSAGE_END","messageId":"m1"}`
    attributed TextMessageEnd {
        required {
            /// The open message.
            message_id: MessageId = "messageId",
        }
        optional {}
    }
}

event_struct! {
    /// Opens, continues or, by what follows it, closes a text message: shorthand for the other three.
    ///
    /// `{"type":"TEXT_MESSAGE_CHUNK","messageId":"m1","delta":"Hello"}`
    attributed TextMessageChunk {
        required {}
        optional {
            /// The message; required in the first chunk of one.
            message_id: Option<MessageId> = "messageId",
            /// Who speaks; absent means the assistant.
            role: Option<MessageRole> = "role",
            /// The text to append.
            delta: Option<String> = "delta",
            /// The speaker's name.
            name: Option<String> = "name",
        }
    }
}
