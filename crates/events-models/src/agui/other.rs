//! Activities, provider events and events of an application's own.

use events_core::MessageId;

use super::{JsonPatchOperation, event_struct};
use crate::wire::{AnyJson, OpenObject};

event_struct! {
    /// States what an activity shows.
    ///
    /// `{"type":"ACTIVITY_SNAPSHOT","messageId":"a1","activityType":"PLAN","content":{}}`
    attributed ActivitySnapshot {
        required {
            /// The activity message.
            message_id: MessageId = "messageId",
            /// What kind of activity it is; an open set.
            activity_type: String = "activityType",
            /// What it shows.
            content: OpenObject = "content",
        }
        optional {
            /// Whether an activity of the same id is replaced; absent means yes.
            replace: Option<bool> = "replace",
        }
    }
}

event_struct! {
    /// Changes what an activity shows by a JSON Patch.
    ///
    /// `{"type":"ACTIVITY_DELTA","messageId":"a1","activityType":"PLAN","patch":[]}`
    attributed ActivityDelta {
        required {
            /// The activity message.
            message_id: MessageId = "messageId",
            /// What kind of activity it is.
            activity_type: String = "activityType",
            /// The operations, applied in order and as a whole.
            patch: Vec<JsonPatchOperation> = "patch",
        }
        optional {}
    }
}

event_struct! {
    /// Passes on an event of another system as it is.
    ///
    /// `{"type":"RAW","event":{"event":"on_chain_start"},"source":"langgraph"}`
    attributed Raw {
        required {
            /// The foreign event; `null` is one.
            event: AnyJson = "event",
        }
        optional {
            /// Where it comes from.
            source: Option<String> = "source",
        }
    }
}

event_struct! {
    /// Carries an application's own event.
    ///
    /// `{"type":"CUSTOM","name":"app.progress","value":0.5}`
    attributed Custom {
        required {
            /// What the application calls it.
            name: String = "name",
            /// Its value; `null` is one.
            value: AnyJson = "value",
        }
        optional {}
    }
}
