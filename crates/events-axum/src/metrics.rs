//! Counters of the HTTP edge. The log keeps its own; see [`events_broadcast::Stats`].

use std::borrow::Cow;

use events_broadcast::Transport;
use events_sse::GapReason;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// How streams ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StreamEnd {
    pub(crate) stream: Cow<'static, str>,
    pub(crate) reason: &'static str,
}

/// Gaps that clients were told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ToldGap {
    pub(crate) stream: Cow<'static, str>,
    pub(crate) reason: &'static str,
}

/// How publish requests ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct PublishEnd {
    pub(crate) stream: &'static str,
    pub(crate) status: u16,
}

/// A bound of the HTTP edge that was hit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct BoundHit {
    bound: &'static str,
}

macro_rules! bounds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The bounds of the HTTP edge and of the server in front of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Bound {
            $($(#[$doc])* $name,)*
        }

        impl Bound {
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name in the metric: that of the setting, where there is one.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

bounds! {
    /// Sockets over all clients.
    Connections = "connections",
    /// Sockets of one address.
    ConnectionsPerAddress = "connections_per_address",
    /// Open files of the process, so that no client can be accepted.
    OpenFiles = "open_files",
    /// The time in which a client has to say something.
    HeadTime = "head_time",
    /// The head of a request.
    HeadBytes = "head_bytes",
    /// The time in which a client has to acknowledge what it was sent.
    Unacknowledged = "unacknowledged",
    /// Streams over all users.
    Streams = "streams",
    /// Bodies at the same time.
    Bodies = "bodies",
    /// Large bodies at the same time.
    LargeBodies = "large_bodies",
    /// The time in which a body has to arrive.
    BodyTime = "body_time",
    /// An NDJSON body.
    BodyBytes = "body_bytes",
    /// One event.
    EventBytes = "event_bytes",
    /// Live publish requests at the same time.
    LiveRequests = "live_requests",
    /// The silence of a live publish request.
    LiveIdle = "live_idle",
    /// Streams that a user opens in a time.
    AttachRate = "attach_rate",
    /// Streams that an address opens in a time.
    AttachRatePerAddress = "attach_rate_per_address",
    /// Events that are published for a user in a time.
    PublishRate = "publish_rate",
    /// Bytes that are published for a user in a time.
    PublishBytes = "publish_bytes",
    /// Events that a publisher publishes in a time.
    PublisherRate = "publisher_rate",
    /// Bytes that a publisher publishes in a time.
    PublisherBytes = "publisher_bytes",
    /// A user's id.
    UserIdBytes = "user_id_bytes",
    /// Users whose revocation is remembered.
    Revocations = "revocations",
    /// Tickets that are remembered as used.
    Tickets = "tickets",
    /// A set of keys: its bytes, or how many there are.
    Keys = "keys",
}

/// What the server in front of the routes counts; a cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    bound_hits: Family<BoundHit, Counter>,
    sockets: Gauge,
    taken_over: Counter,
    panics: Counter,
}

impl Edge {
    /// Counts that a bound was hit.
    pub fn hit(&self, bound: Bound) {
        let bound = bound.as_str();
        self.bound_hits.get_or_create(&BoundHit { bound }).inc();
    }

    /// Notes how many sockets are open.
    pub fn set_sockets(&self, n_sockets: usize) {
        self.sockets
            .set(i64::try_from(n_sockets).unwrap_or(i64::MAX));
    }
}

#[cfg(feature = "serve")]
impl Edge {
    /// Counts a request that failed by a panic.
    pub(crate) fn count_panic(&self) {
        self.panics.inc();
    }

    /// Counts that a stream was given its socket.
    pub(crate) fn count_taken_over(&self) {
        self.taken_over.inc();
    }
}

/// The upper bounds of the lags that are told apart, in seconds. Log times are whole milliseconds.
const LAGS: [f64; 14] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];

#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) edge: Edge,
    pub(crate) stream_ends: Family<StreamEnd, Counter>,
    pub(crate) gaps: Family<ToldGap, Counter>,
    pub(crate) lag: Histogram,
    pub(crate) publishes: Family<PublishEnd, Counter>,
    /// Bytes of streams, by the number of the transport.
    written: [Counter; Transport::ALL.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        let edge = Edge::default();
        // A counter that is there from the beginning can be watched for its first step.
        for bound in Bound::ALL {
            let bound = bound.as_str();
            drop(edge.bound_hits.get_or_create(&BoundHit { bound }));
        }
        Self {
            edge,
            stream_ends: Family::default(),
            gaps: Family::default(),
            lag: Histogram::new(LAGS),
            publishes: Family::default(),
            written: Default::default(),
        }
    }
}

impl Metrics {
    pub(crate) fn register_bounds(&self, registry: &mut Registry) {
        registry.register(
            "bound_hits",
            "Times a bound of the server was hit, by the name of its setting",
            self.edge.bound_hits.clone(),
        );
        registry.register("sockets", "Open sockets", self.edge.sockets.clone());
        registry.register(
            "sockets_taken_over",
            "Streams that were given their socket",
            self.edge.taken_over.clone(),
        );
        registry.register(
            "request_panics",
            "Requests that failed by a panic and were answered with 500",
            self.edge.panics.clone(),
        );
    }

    pub(crate) fn hit(&self, bound: Bound) {
        self.edge.hit(bound);
    }

    /// Counts the end of a stream.
    pub(crate) fn ended(&self, stream: Cow<'static, str>, reason: &'static str) {
        self.stream_ends
            .get_or_create(&StreamEnd { stream, reason })
            .inc();
    }

    /// Counts a gap that a client is told, or led over if it wants no control frames.
    pub(crate) fn told_gap(&self, stream: Cow<'static, str>, reason: GapReason) {
        let reason = match reason {
            GapReason::Expired => "expired",
            GapReason::Epoch => "epoch",
            GapReason::Unknown => "unknown",
            GapReason::Trimmed => "trimmed",
            GapReason::Overflow => "overflow",
            _ => "other",
        };
        self.gaps.get_or_create(&ToldGap { stream, reason }).inc();
    }

    /// Notes how long an event was on its way, from the log to its connection.
    pub(crate) fn lagged(&self, lag_ms: i64) {
        // Clocks of replicas differ.
        let lag_ms = u32::try_from(lag_ms.max(0)).unwrap_or(u32::MAX);
        self.lag.observe(f64::from(lag_ms) / 1_000.0);
    }

    /// Counts bytes of a stream that were handed to its connection.
    pub(crate) fn wrote(&self, transport: Transport, n_bytes: u32) {
        self.written[transport as usize].inc_by(u64::from(n_bytes));
    }

    /// Returns what was counted for each transport.
    pub(crate) fn written_bytes(&self) -> Family<[(&'static str, &'static str); 1], Counter> {
        let family = Family::<[(&str, &str); 1], Counter>::default();
        for (transport, counter) in Transport::ALL.into_iter().zip(&self.written) {
            family
                .get_or_create(&[("transport", transport.as_str())])
                .inc_by(counter.get());
        }
        family
    }

    pub(crate) fn published(&self, stream: &'static str, status: u16) {
        self.publishes
            .get_or_create(&PublishEnd { stream, status })
            .inc();
    }
}
