//! What is known of one stream at its end: how long it was, what was written, and why it is over.

use events_broadcast::Transport;
use events_sse::ClosingReason;
use tokio::time::Instant;
use tracing::{Level, Span, field::Empty};

use crate::{StreamState, metrics::Bound, parting::Parting, source::Source};

/// One write in so many is looked at for its lag; a power of two.
const SAMPLED: u32 = 64;

/// Bytes that a stream counts for itself before it adds them to what all have written, so that busy streams do not
/// meet there with each event.
const SETTLED: u32 = 1 << 10;

/// The account of one stream.
pub(crate) struct Tally {
    since: Instant,
    n_events: u64,
    n_writes: u32,
    /// The client has had everything that was there: from here on it is told news.
    is_abreast: bool,
    transport: Transport,
    /// What was written since the last time that it was added to what all have written.
    n_unsettled: u32,
    /// Open while the stream is only if somebody wants to see that: an open one takes half a kilobyte. It is made at
    /// the end otherwise.
    span: Option<Box<Span>>,
}

impl Tally {
    pub(crate) fn open(name: &str, source: &Source) -> Self {
        let span = tracing::span_enabled!(Level::DEBUG).then(|| {
            let span = span_of(name, source);
            span.in_scope(|| tracing::debug!(user = %source.user(), "stream opened"));
            Box::new(span)
        });
        Self {
            since: Instant::now(),
            n_events: 0,
            // Streams that open together are not looked at together, and short ones are looked at too.
            n_writes: fastrand::u32(..),
            is_abreast: false,
            transport: Transport::default(),
            n_unsettled: 0,
            span,
        }
    }

    /// Notes that the client has had everything that was there.
    pub(crate) const fn come_abreast(&mut self) {
        self.is_abreast = true;
    }

    /// Counts events that are handed to the connection, which asks for more only when all before has been written.
    pub(crate) fn wrote(&mut self, n_events: usize, source: &Source, state: Option<&StreamState>) {
        self.n_events += n_events as u64;
        self.n_writes = self.n_writes.wrapping_add(1);
        if !self.n_writes.is_multiple_of(SAMPLED) || !self.is_abreast {
            return;
        }
        if let Some(state) = state
            && let Some(at_ms) = source.last_read_ms()
        {
            let lag_ms = state.router().clock().now_ms().saturating_sub(at_ms);
            state.inner.metrics.lagged(lag_ms);
        }
    }

    /// Notes by what the client is written to, and tells whether that is new.
    pub(crate) fn goes_by(&mut self, transport: Transport, state: Option<&StreamState>) -> bool {
        let is_new = transport != self.transport;
        if is_new {
            self.settle(state);
            self.transport = transport;
        }
        is_new
    }

    /// Counts bytes that are handed to the connection.
    pub(crate) fn sent(&mut self, n_bytes: usize, state: Option<&StreamState>) {
        let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
        self.n_unsettled = self.n_unsettled.saturating_add(n_bytes);
        if self.n_unsettled >= SETTLED {
            self.settle(state);
        }
    }

    /// Adds what was written to what all have written.
    pub(crate) fn settle(&mut self, state: Option<&StreamState>) {
        let n_bytes = std::mem::take(&mut self.n_unsettled);
        if let Some(state) = state.filter(|_| n_bytes > 0) {
            state.inner.metrics.wrote(self.transport, n_bytes);
        }
    }

    /// The span, if somebody looks at it now.
    pub(crate) fn span(&self) -> Option<&Span> {
        self.span.as_deref()
    }

    /// Closes the account. Without an end of the stream's own, `end`, it is the connection that has ended.
    pub(crate) fn close(
        &mut self,
        end: Option<&'static str>,
        name: &str,
        source: &Source,
        state: Option<&StreamState>,
    ) -> &'static str {
        self.settle(state);
        let parting = Parting::here();
        let is_over = || state.is_some_and(|state| state.inner.drain.is_over());
        let end = match end {
            Some(end) => end,
            None if parting.is_unacknowledged => "unacknowledged",
            None if is_over() => "drain_over",
            None => "client_gone",
        };
        if parting.is_unacknowledged
            && parting.is_taken_over
            && let Some(state) = state
        {
            // Of other connections the serving loop counts it.
            state.inner.metrics.hit(Bound::Unacknowledged);
        }
        let span = match self.span.take() {
            Some(span) => *span,
            None => span_of(name, source),
        };
        span.record("end", end);
        span.record("transport", self.transport.as_str());
        span.record("events", self.n_events);
        span.record("seconds", self.since.elapsed().as_secs_f64());
        span.in_scope(|| tracing::debug!("stream ended"));
        end
    }
}

/// Makes the span of a stream.
fn span_of(name: &str, source: &Source) -> Span {
    tracing::info_span!(
        "stream",
        stream = name,
        connection = source.connection().as_str(),
        end = Empty,
        transport = Empty,
        events = Empty,
        seconds = Empty,
    )
}

/// The name of an end that the client was told.
pub(crate) const fn reason_name(reason: ClosingReason) -> &'static str {
    match reason {
        ClosingReason::Draining => "draining",
        ClosingReason::TokenExpired => "token_expired",
        ClosingReason::Revoked => "revoked",
        ClosingReason::Replaced => "replaced",
        ClosingReason::Slow => "slow",
        ClosingReason::MaxAge => "max_age",
        _ => "other",
    }
}
