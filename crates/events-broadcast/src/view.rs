//! What a broadcaster shows of a user's log.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize},
};

use events_core::{Channel, Channels, Envelope, Frame};

use crate::user_log::Entry;

/// How many broadcasters can share one store.
pub(crate) const MAX_VIEWS: usize = 4;

/// The envelope that a stream puts around the records of one channel.
#[derive(Clone, Copy, Debug)]
pub struct EnvelopeRule {
    /// The channel whose records are wrapped.
    pub channel: Channel,
    /// The protocol's name in the envelope.
    pub protocol: &'static str,
    /// Whether the record's scope is written as the envelope's `thread`.
    pub with_thread: bool,
}

/// Which records of a user's log a broadcaster carries, and in what form.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The stream's name, for logs and metrics.
    pub name: &'static str,
    /// The channel of the events that are broadcast on it directly.
    pub own: Channel,
    /// The channels that its connections receive.
    pub follows: Channels,
    /// Envelopes, by channel; a channel that is not named goes out as it is.
    pub envelopes: &'static [EnvelopeRule],
    /// Whether frames carry no id and nothing is replayed.
    pub ephemeral: bool,
}

impl View {
    /// Makes the view of a broadcaster that has a log of its own.
    #[must_use]
    pub const fn alone(name: &'static str) -> Self {
        const OWN: Channel = Channel::new(0);
        Self {
            name,
            own: OWN,
            follows: Channels::of(&[OWN]),
            envelopes: &[],
            ephemeral: false,
        }
    }

    /// Tells whether the event is for readers of this view and scope.
    pub(crate) fn carries(&self, entry: &Entry, scope: Option<&Arc<str>>) -> bool {
        self.follows.contains(entry.channel)
            && scope.is_none_or(|scope| entry.scope.as_ref() == Some(scope))
    }

    pub(crate) fn frame(&self, entry: &Entry) -> Frame {
        let frame = Frame {
            event: entry.name,
            data: entry.json.clone(),
            envelope: None,
        };
        match self
            .envelopes
            .iter()
            .find(|rule| rule.channel == entry.channel)
        {
            Some(rule) => frame.wrapped(Envelope {
                protocol: rule.protocol,
                thread: rule.with_thread.then(|| entry.scope.clone()).flatten(),
            }),
            None => frame,
        }
    }
}

/// A view in use: its place in the store and its count of connections.
#[derive(Debug)]
pub(crate) struct ViewState {
    pub(crate) view: View,
    pub(crate) index: usize,
    /// Connections that hold a slot, over all users.
    pub(crate) connections: AtomicUsize,
    pub(crate) closed: AtomicBool,
}

impl ViewState {
    pub(crate) fn new(view: View, index: usize) -> Arc<Self> {
        Arc::new(Self {
            view,
            index,
            connections: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        })
    }
}
