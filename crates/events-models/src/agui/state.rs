//! Shared state and history.

use super::{JsonPatchOperation, Message, event_struct};
use crate::wire::AnyJson;

event_struct! {
    /// Replaces the shared state.
    ///
    /// `{"type":"STATE_SNAPSHOT","snapshot":{"step":1}}`
    attributed StateSnapshot {
        required {
            /// The whole state; `null` is a state.
            snapshot: AnyJson = "snapshot",
        }
        optional {}
    }
}

event_struct! {
    /// Changes the shared state by a JSON Patch.
    ///
    /// `{"type":"STATE_DELTA","delta":[{"op":"replace","path":"/step","value":2}]}`
    attributed StateDelta {
        required {
            /// The operations, applied in order and as a whole.
            delta: Vec<JsonPatchOperation> = "delta",
        }
        optional {}
    }
}

event_struct! {
    /// Restates the messages of the thread.
    ///
    /// `{"type":"MESSAGES_SNAPSHOT","messages":[{"role":"user","id":"1","content":"hi"}]}`
    plain MessagesSnapshot {
        required {
            /// The messages, oldest first.
            messages: Vec<Message> = "messages",
        }
        optional {}
    }
}
