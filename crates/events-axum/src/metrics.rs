//! Counters of the HTTP edge. The log keeps its own; see [`events_broadcast::Stats`].

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};

/// How streams ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StreamEnd {
    pub(crate) stream: String,
    pub(crate) reason: &'static str,
}

/// How publish requests ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PublishEnd {
    pub(crate) stream: &'static str,
    pub(crate) status: u16,
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) stream_ends: Family<StreamEnd, Counter>,
    pub(crate) publishes: Family<PublishEnd, Counter>,
}

impl Metrics {
    pub(crate) fn ends_of(&self, stream: &str) -> StreamEnds {
        StreamEnds {
            stream: stream.to_owned(),
            ends: self.stream_ends.clone(),
        }
    }

    pub(crate) fn published(&self, stream: &'static str, status: u16) {
        self.publishes
            .get_or_create(&PublishEnd { stream, status })
            .inc();
    }
}

/// Counts the ends of the connections of one stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamEnds {
    stream: String,
    ends: Family<StreamEnd, Counter>,
}

impl StreamEnds {
    pub(crate) fn count(&self, reason: &'static str) {
        self.ends
            .get_or_create(&StreamEnd {
                stream: self.stream.clone(),
                reason,
            })
            .inc();
    }
}
