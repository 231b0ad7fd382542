//! What a hub says about conversations and about itself.

use events_core::{Clock, ContextId, SystemClock};

use crate::wire::{wire_flat_union, wire_struct};

wire_flat_union! {
    /// An event about the conversations of a user, or about the connection itself.
    ///
    /// `{"type":"CONTEXT_CREATED","timestamp":1782302400123,"contextId":"t1","name":"Soup"}`
    pub enum SystemEvent,
    /// The type of a system event.
    ///
    /// `"CONTEXT_CREATED"`
    SystemEventType {
        /// A conversation was made.
        ///
        /// `{"type":"CONTEXT_CREATED","timestamp":1782302400123,"contextId":"t1","name":"Soup"}`
        ContextCreated = "CONTEXT_CREATED" {
            /// The conversation.
            context_id: ContextId = "contextId",
            /// Its name.
            name: String = "name",
        }
        /// A conversation was changed.
        ///
        /// `{"type":"CONTEXT_UPDATED","timestamp":1782302400123,"contextId":"t1","name":"Stew"}`
        ContextUpdated = "CONTEXT_UPDATED" {
            /// The conversation.
            context_id: ContextId = "contextId",
            /// Its new name, if that was changed.
            name: Option<String> = "name",
        }
        /// A conversation was deleted.
        ///
        /// `{"type":"CONTEXT_DELETED","timestamp":1782302400123,"contextId":"t1"}`
        ContextDeleted = "CONTEXT_DELETED" {
            /// The conversation.
            context_id: ContextId = "contextId",
        }
        /// All conversations of the user.
        ///
        /// `{"type":"CONTEXTS_SNAPSHOT","timestamp":1782302400123,"contexts":[]}`
        ContextsSnapshot = "CONTEXTS_SNAPSHOT" {
            /// The conversations.
            contexts: Vec<ContextSummary> = "contexts",
        }
        /// The connection is open.
        ///
        /// `{"type":"CONNECTED","timestamp":1782302400123,"connectionId":"c1"}`
        Connected = "CONNECTED" {
            /// The connection.
            connection_id: String = "connectionId",
        }
        /// The connection is still open.
        ///
        /// `{"type":"HEARTBEAT","timestamp":1782302400123}`
        Heartbeat = "HEARTBEAT" {}
    }
}

wire_struct! {
    /// One conversation, in short.
    ///
    /// `{"contextId":"t1","name":"Soup","messageCount":4}`
    pub struct ContextSummary {
        required {
            /// The conversation.
            context_id: ContextId = "contextId",
            /// Its name.
            name: String = "name",
        }
        optional {
            /// When it was made, in milliseconds since the Unix epoch.
            created_at_ms: Option<i64> = "createdAtMs",
            /// When it was last changed, in milliseconds since the Unix epoch.
            updated_at_ms: Option<i64> = "updatedAtMs",
            /// How many messages it has.
            message_count: Option<u64> = "messageCount",
        }
    }
}

/// Makes system events and stamps them with the machine's time.
///
/// ```
/// use events_models::{SystemEvent, SystemEventBuilder};
///
/// let event = SystemEventBuilder::heartbeat();
/// assert!(matches!(event, SystemEvent::Heartbeat { timestamp } if timestamp > 0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemEventBuilder;

fn now() -> i64 {
    SystemClock.now_ms()
}

impl SystemEventBuilder {
    /// Makes `CONTEXT_CREATED`.
    pub fn context_created(context_id: ContextId, name: impl Into<String>) -> SystemEvent {
        SystemEvent::ContextCreated {
            timestamp: now(),
            context_id,
            name: name.into(),
        }
    }

    /// Makes `CONTEXT_UPDATED`.
    #[must_use]
    pub fn context_updated(context_id: ContextId, name: Option<String>) -> SystemEvent {
        SystemEvent::ContextUpdated {
            timestamp: now(),
            context_id,
            name,
        }
    }

    /// Makes `CONTEXT_DELETED`.
    #[must_use]
    pub fn context_deleted(context_id: ContextId) -> SystemEvent {
        SystemEvent::ContextDeleted {
            timestamp: now(),
            context_id,
        }
    }

    /// Makes `CONTEXTS_SNAPSHOT`.
    #[must_use]
    pub fn contexts_snapshot(contexts: Vec<ContextSummary>) -> SystemEvent {
        SystemEvent::ContextsSnapshot {
            timestamp: now(),
            contexts,
        }
    }

    /// Makes `CONNECTED`.
    pub fn connected(connection_id: impl Into<String>) -> SystemEvent {
        SystemEvent::Connected {
            timestamp: now(),
            connection_id: connection_id.into(),
        }
    }

    /// Makes `HEARTBEAT`.
    #[must_use]
    pub fn heartbeat() -> SystemEvent {
        SystemEvent::Heartbeat { timestamp: now() }
    }
}

#[cfg(test)]
mod tests;
