//! The routing table: which stream carries what.
//!
//! | published | `/agui` | `/a2a` | `/contexts` | `/analytics` |
//! | --- | --- | --- | --- | --- |
//! | AG-UI | as it is | | enveloped, with its thread | |
//! | A2A | | as it is | enveloped | |
//! | system | | | enveloped | |
//! | context (already enveloped) | | | as it is | |
//! | analytics | | | | as it is, without an id |
//!
//! An event that is broadcast on a broadcaster directly goes to that stream only.

use bytes::Bytes;
use events_broadcast::{EnvelopeRule, GenericBroadcaster, View};
use events_core::{Channel, Channels, Record};
use events_models::{A2AEvent, AgUiEvent, AnalyticsEvent, ContextEvent};

/// Carries AG-UI events.
pub type AgUiBroadcaster = GenericBroadcaster<AgUiEvent>;
/// Carries A2A events.
pub type A2ABroadcaster = GenericBroadcaster<A2AEvent>;
/// Carries everything about a user's contexts: AG-UI, A2A and system events, in envelopes.
pub type ContextBroadcaster = GenericBroadcaster<ContextEvent>;
/// Carries analytics events, without ids and without resume.
pub type AnalyticsBroadcaster = GenericBroadcaster<AnalyticsEvent>;

pub(crate) const AGUI: Channel = Channel::new(0);
pub(crate) const A2A: Channel = Channel::new(1);
pub(crate) const SYSTEM: Channel = Channel::new(2);
pub(crate) const CONTEXT: Channel = Channel::new(3);
/// AG-UI events broadcast past the router: no thread, no order check, no other stream.
const AGUI_DIRECT: Channel = Channel::new(4);
/// A2A events broadcast past the router, likewise.
const A2A_DIRECT: Channel = Channel::new(5);
/// Says that all that came before it in the user's log was erased; for nobody.
pub(crate) const ERASED: Channel = Channel::new(15);
pub(crate) const ANALYTICS: Channel = Channel::new(0);

pub(crate) const AGUI_VIEW: View = View {
    name: "agui",
    own: AGUI_DIRECT,
    follows: Channels::of(&[AGUI, AGUI_DIRECT]),
    envelopes: &[],
    ephemeral: false,
};

pub(crate) const A2A_VIEW: View = View {
    name: "a2a",
    own: A2A_DIRECT,
    follows: Channels::of(&[A2A, A2A_DIRECT]),
    envelopes: &[],
    ephemeral: false,
};

pub(crate) const CONTEXTS_VIEW: View = View {
    name: "contexts",
    own: CONTEXT,
    follows: Channels::of(&[AGUI, A2A, SYSTEM, CONTEXT]),
    envelopes: &[
        EnvelopeRule {
            channel: AGUI,
            protocol: "agui",
            with_thread: true,
        },
        EnvelopeRule {
            channel: A2A,
            protocol: "a2a",
            with_thread: false,
        },
        EnvelopeRule {
            channel: SYSTEM,
            protocol: "system",
            with_thread: false,
        },
    ],
    ephemeral: false,
};

pub(crate) const ANALYTICS_VIEW: View = View {
    name: "analytics",
    own: ANALYTICS,
    follows: Channels::of(&[ANALYTICS]),
    envelopes: &[],
    ephemeral: true,
};

/// Makes the record that says that a user was erased.
pub(crate) const fn erased() -> Record {
    Record {
        channel: ERASED,
        scope: None,
        name: None,
        json: Bytes::from_static(b"{}"),
        tag: 0,
        key: None,
        note: Bytes::new(),
    }
}
