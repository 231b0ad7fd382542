//! The body of a stream: a subscription, written out as Server-Sent Events.

mod held;

use std::{
    borrow::Cow,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use events_broadcast::{Batch, Missed, Wire};
use events_core::{EventId, Frame as EventFrame};
use events_router::EventRouter;
use events_sse::{
    ClosingReason, Gap, GapReason, encode_around, encode_around_member, encode_comment,
    encode_frame, encode_heartbeat_comment, encode_heartbeat_event, encode_id_only, encode_member,
};
use http_body::{Body, Frame};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    StreamState,
    head::{first_bytes, last_bytes},
    heartbeat::Heartbeat,
    query::HeartbeatForm,
    source::{Source, Step},
    tally::{Tally, reason_name},
    tenure::Tenure,
    transport,
};

use held::Held;

/// A snapshot that is still being made.
pub(crate) type Prelude = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

/// Makes the snapshot that follows a gap, for streams whose state can be told.
pub(crate) type Restate = Box<dyn Fn() -> Prelude + Send>;

/// What a client is told, in a comment, when nothing new can come because the log is out of reach; and when it can.
const DEGRADED: &str = "degraded";
const RECOVERED: &str = "recovered";

/// The longest unknown cursor that is repeated to the client, in bytes.
const MAX_ECHO: usize = 64;

/// The stream was cut on purpose, so that the client does not take its end for the end of what it follows.
#[derive(Debug, thiserror::Error)]
#[error("stream cut: {0}")]
pub(crate) struct Cut(&'static str);

/// How a stream behaves.
#[derive(Debug)]
pub(crate) struct Manner {
    pub(crate) heartbeat: Duration,
    pub(crate) heartbeat_form: HeartbeatForm,
    pub(crate) has_control: bool,
    pub(crate) has_ids: bool,
    /// An end before its time is a broken transfer: official clients take a clean end for a success.
    pub(crate) is_cut_short: bool,
    /// Stands before each event, which a brace ends then.
    pub(crate) before: Option<Box<[u8]>>,
    /// Whose drain ends it, whose log may be out of reach for a while, and who counts its end.
    pub(crate) state: Option<StreamState>,
    /// The stream's name in metrics and spans.
    pub(crate) name: Cow<'static, str>,
    /// For how long whoever asked may read.
    pub(crate) tenure: Tenure,
    /// The place among all streams, given back with the body.
    pub(crate) _place: Option<OwnedSemaphorePermit>,
}

/// A response body that reads a user's log.
///
/// It is polled only as fast as its client reads, and holds one batch at a time.
pub(crate) struct EventBody {
    source: Source,
    manner: Manner,
    prelude: Option<Prelude>,
    restate: Option<Restate>,
    /// What is written before anything else, last first: the first bytes, or what is left of a large event.
    rest: Vec<Bytes>,
    /// Something was said, and it is not known when: the clock is asked once all has been said.
    has_spoken: bool,
    silent_since: Instant,
    heartbeat: Heartbeat,
    /// When this stream ends, once a drain has begun.
    drained: Option<Pin<Box<Sleep>>>,
    /// When this stream ends because its token does.
    expired: Option<Pin<Box<Sleep>>>,
    end: Option<&'static str>,
    /// The end is still to be told as a broken transfer.
    is_cut: bool,
    /// The client has been told that the log is out of reach.
    is_degraded: bool,
    held: Held,
    tally: Tally,
}

impl EventBody {
    pub(crate) fn new(source: Source, manner: Manner, prelude: Option<Prelude>) -> Self {
        let now = Instant::now();
        // With a gap or a prelude ahead, the cursor comes with those: a cut before must not skip them.
        let is_primed = manner.has_ids && prelude.is_none();
        let first = first_bytes(source.primed().filter(|_| is_primed));
        Self {
            tally: Tally::open(&manner.name, &source),
            source,
            prelude,
            restate: None,
            rest: vec![first.into()],
            has_spoken: false,
            silent_since: now,
            heartbeat: Heartbeat::new(now + manner.heartbeat),
            drained: None,
            expired: manner
                .tenure
                .until
                .map(|until| Box::pin(sleep_until(until))),
            end: None,
            is_cut: false,
            is_degraded: false,
            held: Held::new(&manner.tenure),
            manner,
        }
    }

    /// Tells the stream's state anew after each gap.
    pub(crate) fn restating(mut self, restate: Option<Restate>) -> Self {
        self.restate = restate;
        self
    }

    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if let Some(rest) = self.rest.pop() {
            if self.rest.is_empty() {
                self.rest = Vec::new();
            }
            return Poll::Ready(Some(Ok(rest)));
        }
        let block = ready!(self.poll_block(context));
        if let Some(block) = block.filter(|block| !block.is_empty()) {
            return Poll::Ready(Some(Ok(block)));
        }
        let is_cut = std::mem::take(&mut self.is_cut);
        Poll::Ready(is_cut.then(|| Err(Cut(self.end.unwrap_or_default()))))
    }

    /// Writes the next whole blocks, or the beginning of a large one.
    fn poll_block(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        if let Some(expired) = &mut self.expired
            && expired.as_mut().poll(context).is_ready()
        {
            let last = self.close(ClosingReason::TokenExpired, "token_expired");
            return Poll::Ready(Some(last.into()));
        }
        if self.is_revoked() {
            let last = self.close(ClosingReason::Revoked, "revoked");
            return Poll::Ready(Some(last.into()));
        }
        if self.poll_drained(context).is_ready() {
            let last = self.close(ClosingReason::Draining, "draining");
            return Poll::Ready(Some(last.into()));
        }
        let state = self.manner.state.as_ref();
        if self.held.poll(state, context).is_pending() {
            // Nothing is told but that it goes on.
        } else if let Some(prelude) = &mut self.prelude {
            if let Poll::Ready(bytes) = prelude.as_mut().poll(context) {
                self.prelude = None;
                return Poll::Ready(Some(bytes.into()));
            }
        } else if let Poll::Ready(step) = self.source.poll_next(context) {
            return Poll::Ready(self.write(step));
        } else {
            self.tally.come_abreast();
        }
        // Without an allocation, as mostly there is nothing to tell.
        let mut out = Vec::new();
        // The log wakes every reader when this changes.
        let router = self.manner.state.as_ref().map(StreamState::router);
        let is_down = router.is_some_and(EventRouter::is_log_down);
        if is_down != std::mem::replace(&mut self.is_degraded, is_down) {
            encode_comment(if is_down { DEGRADED } else { RECOVERED }, &mut out);
            return Poll::Ready(Some(out.into()));
        }
        ready!(self.poll_heartbeat(context));
        self.tally.settle(self.manner.state.as_ref());
        match self.manner.heartbeat_form {
            HeartbeatForm::Comment => encode_heartbeat_comment(&mut out),
            HeartbeatForm::Event => encode_heartbeat_event(&mut out),
        }
        Poll::Ready(Some(out.into()))
    }

    /// Writes a step; nothing at an end that needs no words.
    fn write(&mut self, step: Step) -> Option<Bytes> {
        let out = match step {
            Step::Wire(wire) => {
                self.count(wire.n_events());
                return Some(self.begin(wire));
            }
            Step::Events(batch) => {
                self.count(batch.events.len());
                return Some(self.write_batch(&batch));
            }
            Step::Missed(missed) => {
                // Before a gap that was known when the client came stands the stream's prelude.
                if missed.reason == GapReason::Overflow {
                    self.prelude = self.restate.as_ref().map(|restate| restate());
                }
                self.gap(missed)
            }
            Step::Closed(reason) => self.close(reason, reason_name(reason)),
            Step::Ended(name) => {
                self.end = Some(name);
                return None;
            }
        };
        Some(out.into())
    }

    fn count(&mut self, n_events: usize) {
        let state = self.manner.state.as_ref();
        self.tally.wrote(n_events, &self.source, state);
    }

    /// Begins what the log has encoded, which is in pieces if an event is large.
    fn begin(&mut self, wire: Wire) -> Bytes {
        let (first, rest) = wire.into_first_and_rest();
        self.rest.extend(rest.into_iter().flatten().rev());
        first
    }

    fn write_batch(&mut self, batch: &Batch) -> Bytes {
        if let [(id, frame)] = &*batch.events
            && let Some(head) = self.begin_large(*id, frame)
        {
            return head.into();
        }
        let before = self.manner.before.as_deref();
        let around = 160 + before.map_or(0, <[u8]>::len);
        let events = batch.events.iter();
        let bytes = events.map(|(_, frame)| frame.data.len() + around).sum();
        let mut out = Vec::with_capacity(bytes);
        for (id, frame) in &batch.events {
            match before {
                None => encode_frame(*id, frame, &mut out),
                Some(before) => encode_member(*id, before, &frame.data, &mut out),
            }
        }
        out.into()
    }

    /// Begins an event that comes alone because it is large. Its payload is not copied: the log counts the bytes as
    /// long as a client has not read them, and so memory is bounded however many clients are slow.
    fn begin_large(&mut self, id: Option<EventId>, frame: &EventFrame) -> Option<Vec<u8>> {
        if frame.data.len() <= Batch::MAX_BYTES {
            return None;
        }
        let (mut head, mut tail) = (Vec::with_capacity(160), Vec::with_capacity(4));
        let is_begun = match &self.manner.before {
            None => encode_around(id, frame, &mut head, &mut tail),
            Some(before) => encode_around_member(id, before, &frame.data, &mut head, &mut tail),
        };
        if !is_begun {
            return None;
        }
        self.rest = vec![tail.into(), frame.data.clone()];
        Some(head)
    }

    /// Tells the client of a gap, or at least moves its cursor over it.
    fn gap(&self, missed: Missed) -> Vec<u8> {
        if let Some(span) = self.tally.span() {
            tracing::debug!(parent: span, reason = ?missed.reason, lost = missed.lost, "gap");
        }
        if let Some(state) = &self.manner.state {
            let name = self.manner.name.clone();
            state.inner.metrics.told_gap(name, missed.reason);
        }
        let mut out = Vec::with_capacity(192);
        let gap = Gap {
            reason: missed.reason,
            from: missed.from.filter(|from| from.len() <= MAX_ECHO),
            to: missed.to.to_string(),
            lost: missed.lost,
        };
        if !self.manner.has_control || gap.encode(&mut out).is_err() {
            encode_id_only(missed.to, &mut out);
        }
        out
    }

    fn close(&mut self, reason: ClosingReason, name: &'static str) -> Vec<u8> {
        self.end = Some(name);
        self.is_cut = self.manner.is_cut_short;
        if self.is_cut {
            return Vec::new();
        }
        last_bytes(reason, self.manner.has_control)
    }

    /// Whether the user was revoked between the look at the token and the moment at which the stream was there to be
    /// ended with the others.
    fn is_revoked(&mut self) -> bool {
        let issued_ms = self.manner.tenure.issued_ms.take();
        let state = self.manner.state.as_ref();
        issued_ms.zip(state).is_some_and(|(issued_ms, state)| {
            let user = self.source.user();
            state.inner.revocations.covers(user, issued_ms)
        })
    }

    /// Ready when a drain has begun and this stream's time has come.
    fn poll_drained(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.drained.is_none() {
            let state = self.manner.state.as_ref();
            let Some(end) = state.and_then(|state| state.inner.drain.next_end()) else {
                // The log wakes every reader when a drain begins.
                return Poll::Pending;
            };
            self.drained = Some(Box::pin(sleep_until(end)));
        }
        match &mut self.drained {
            Some(drained) => drained.as_mut().poll(context),
            None => Poll::Pending,
        }
    }

    /// Ready after a whole interval of silence. The timer is moved only when it fires, not with each event.
    fn poll_heartbeat(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        if std::mem::take(&mut self.has_spoken) {
            self.silent_since = now;
        }
        while self.heartbeat.poll(context, now).is_ready() {
            let due = self.silent_since + self.manner.heartbeat;
            if due <= now {
                self.heartbeat.set(now + self.manner.heartbeat);
                return Poll::Ready(());
            }
            self.heartbeat.set(due);
        }
        Poll::Pending
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let me = &mut *self;
        let transport = transport::here();
        if me.tally.goes_by(transport, me.manner.state.as_ref()) {
            me.source.note_written(transport, 0);
        }
        let bytes = ready!(me.poll_bytes(context));
        me.has_spoken = true;
        if let Some(Ok(bytes)) = &bytes {
            me.source.note_written(transport, bytes.len());
            me.tally.sent(bytes.len(), me.manner.state.as_ref());
        }
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }
}

impl Drop for EventBody {
    fn drop(&mut self) {
        let state = self.manner.state.as_ref();
        let end = self
            .tally
            .close(self.end, &self.manner.name, &self.source, state);
        if let Some(state) = state {
            state.inner.metrics.ended(self.manner.name.clone(), end);
        }
    }
}
