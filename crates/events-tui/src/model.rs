//! What is known of all requests, from the frames of the feed.
//!
//! Times are in milliseconds since the Unix epoch by the gateway's clock; [`Model::now`] makes them of our own.

mod events;
mod history;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use events_core::RequestId;
use events_models::{
    ActiveStreams, AlertKind, ModelTotals, StreamAlert, StreamFeedFrame, StreamSummary,
    StreamTotals, Usd,
};

pub(crate) use history::{FirstTokens, HourOfCost, Seconds};
pub(crate) use stream::{BYTES_PER_TOKEN, Outcome, Stream};

/// Running requests that are kept; as many as a gateway lists.
const MAX_ACTIVE: usize = 4_096;
/// Ended requests that are kept.
const MAX_ENDED: usize = 1_024;
/// How much of the end of each text is kept, in bytes.
const MAX_TEXT: usize = 4 << 10;
/// How much of the end of the text that somebody reads is kept, in bytes.
const MAX_READ_TEXT: usize = 64 << 10;
/// Models whose sums are kept.
const MAX_MODELS: usize = 512;
/// Alerts that are kept.
const MAX_ALERTS: usize = 64;
/// The longest id of a request that is listed, in bytes.
const MAX_ID: usize = 256;
/// The longest text of an alert, in bytes.
const MAX_ALERT: usize = 512;
/// Seconds of history.
pub(crate) const HISTORY: usize = 1_800;
/// A step of the gateway's clock, against ours, that makes the history void, in milliseconds.
const CLOCK_STEP: i64 = 2_000;

/// The contact with the hub.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Contact {
    /// The first attempt is on its way.
    #[default]
    Connecting,
    /// Frames come.
    Connected,
    /// It is lost, and looked for again at this time of our clock, in milliseconds.
    Lost { again_at: i64, cause: String },
    /// It is over for good.
    Over { reason: String },
}

/// All requests, and their sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    streams: BTreeMap<u64, Stream>,
    numbers: HashMap<RequestId, u64>,
    /// Those that ended, in that order.
    ended: VecDeque<u64>,
    n_streams: u64,
    /// Since when the gateway counts; `None` before the first frame.
    pub(crate) since: Option<i64>,
    pub(crate) totals: StreamTotals,
    pub(crate) models: Vec<ModelTotals>,
    pub(crate) alerts: VecDeque<StreamAlert>,
    /// Events that we were too slow for.
    pub(crate) lost: u64,
    pub(crate) contact: Contact,
    /// Bytes of text of all answers, by second.
    pub(crate) bytes: Seconds<HISTORY>,
    pub(crate) cost: HourOfCost,
    pub(crate) first_tokens: FirstTokens,
    /// What the gateway's clock shows more than ours.
    clock_ahead: i64,
    /// What ended before is not wanted any more.
    cleared_at: i64,
    /// Whose text somebody reads.
    read: Option<u64>,
}

impl Model {
    /// The time by the gateway's clock, of the one by ours.
    pub(crate) const fn now(&self, our_ms: i64) -> i64 {
        our_ms.saturating_add(self.clock_ahead)
    }

    /// Returns a request by its number.
    pub(crate) fn stream(&self, number: u64) -> Option<&Stream> {
        self.streams.get(&number)
    }

    /// Returns all requests in the order of their arrival.
    pub(crate) fn streams(&self) -> impl DoubleEndedIterator<Item = &Stream> {
        self.streams.values()
    }

    /// Requests that run now, by the gateway's count.
    pub(crate) const fn n_running(&self) -> u64 {
        let ended = self.totals.completed.saturating_add(self.totals.failed);
        self.totals.started.saturating_sub(ended)
    }

    /// Says that the contact is lost, and when it is looked for again.
    pub(crate) fn disconnected(&mut self, our_ms: i64, after: Duration, cause: String) {
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let again_at = our_ms.saturating_add(after);
        self.contact = Contact::Lost { again_at, cause };
    }

    /// Counts events that did not reach us.
    pub(crate) const fn miss(&mut self, n_events: u64) {
        self.lost = self.lost.saturating_add(n_events);
    }

    /// Keeps more of the text of this request, and less of the one before.
    pub(crate) fn read(&mut self, number: Option<u64>) {
        if self.read == number {
            return;
        }
        let before = std::mem::replace(&mut self.read, number);
        if let Some(stream) = before.and_then(|number| self.streams.get_mut(&number)) {
            stream::keep_end(&mut stream.summary.text, MAX_TEXT);
        }
    }

    /// Forgets the requests that have ended.
    pub(crate) fn clear_ended(&mut self, our_ms: i64) {
        self.cleared_at = self.now(our_ms);
        for number in std::mem::take(&mut self.ended) {
            self.remove(number);
        }
    }

    /// Takes a frame that has come at `our_ms`, by our clock.
    pub(crate) fn apply(&mut self, frame: StreamFeedFrame, our_ms: i64) {
        match frame {
            StreamFeedFrame::Active(active) => self.replace(active, our_ms),
            StreamFeedFrame::Alert(alert) => self.alert(alert),
            StreamFeedFrame::Event(event) => self.event(event, self.now(our_ms)),
        }
    }

    /// Takes the picture of a moment. What has ended stays known; what ran and is not in the picture does not.
    fn replace(&mut self, active: ActiveStreams, our_ms: i64) {
        let clock_ahead = active.at.saturating_sub(our_ms);
        if clock_ahead.abs_diff(self.clock_ahead) > CLOCK_STEP.unsigned_abs() {
            self.bytes = Seconds::default();
            self.cost = HourOfCost::default();
            self.first_tokens = FirstTokens::default();
        }
        self.clock_ahead = clock_ahead;
        let now = active.at;
        let spent = active.totals.cost_usd.picos();
        match self.since {
            // What was spent while nobody was told.
            Some(since) if since == active.since => {
                let known = self.totals.cost_usd.picos();
                self.cost
                    .add(now, Usd::from_picos(spent.saturating_sub(known)));
            }
            _ => self.cost.begin(now),
        }
        self.since = Some(active.since);
        self.totals = active.totals;
        self.models = active.models;
        self.models.truncate(MAX_MODELS);
        for sums in &mut self.models {
            sums.model = events::short(&sums.model).to_owned();
            sums.provider = sums
                .provider
                .as_deref()
                .map(|name| events::short(name).to_owned());
        }
        self.miss(active.lost);
        let running: Vec<u64> = self
            .streams()
            .filter(|stream| stream.summary.is_active())
            .map(|stream| stream.number)
            .collect();
        let mut before: HashMap<RequestId, Stream> = HashMap::new();
        for number in running {
            if let Some(stream) = self.remove(number) {
                before.insert(stream.id().clone(), stream);
            }
        }
        for summary in active.streams {
            let known = before.remove(&summary.request_id);
            self.list(summary, known, now);
        }
        self.alerts.clear();
        for alert in active.alerts {
            self.alert(alert);
        }
    }

    /// Lists a request of a picture; `known` is what was known of it as it ran.
    fn list(&mut self, summary: StreamSummary, known: Option<Stream>, now: i64) {
        let is_cleared = summary.ended_at.is_some_and(|at| at <= self.cleared_at);
        let is_active = summary.is_active();
        match self.numbers.get(&summary.request_id).copied() {
            // An id of an earlier life of the gateway.
            Some(number) if is_active => self.forget(number),
            Some(_) => return,
            None if is_cleared => return,
            None => {}
        }
        if let (None, Some(time), Some(ended)) = (
            &known,
            summary.detail.time_to_first_token_ms,
            summary.ended_at,
        ) {
            self.first_tokens.add(ended.min(now), time);
        }
        let Some(number) = self.insert(summary, known.as_ref().map(|known| known.number)) else {
            return;
        };
        if let (Some(stream), Some(known)) = (self.streams.get_mut(&number), known) {
            // The picture has only the end of the text.
            if known.summary.text_bytes == stream.summary.text_bytes {
                stream.summary.text = known.summary.text;
            }
            stream.bytes = known.bytes;
            stream.first_text_ms = known.first_text_ms;
            stream.is_alerted = known.is_alerted;
        }
        if !is_active {
            self.note_end(number);
        }
    }

    /// Gives a request a place; `None` where there is no room.
    fn insert(&mut self, summary: StreamSummary, number: Option<u64>) -> Option<u64> {
        let n_active = self.streams.len().saturating_sub(self.ended.len());
        let is_full = summary.is_active() && n_active >= MAX_ACTIVE;
        if is_full || summary.request_id.as_str().len() > MAX_ID {
            return None;
        }
        let number = number.unwrap_or_else(|| {
            self.n_streams += 1;
            self.n_streams
        });
        self.numbers.insert(summary.request_id.clone(), number);
        let max_text = self.max_text(number);
        self.streams
            .insert(number, Stream::new(number, summary, max_text));
        Some(number)
    }

    fn max_text(&self, number: u64) -> usize {
        if self.read == Some(number) {
            MAX_READ_TEXT
        } else {
            MAX_TEXT
        }
    }

    fn remove(&mut self, number: u64) -> Option<Stream> {
        let stream = self.streams.remove(&number)?;
        self.numbers.remove(stream.id());
        Some(stream)
    }

    /// Removes a request that may have ended.
    fn forget(&mut self, number: u64) {
        self.ended.retain(|ended| *ended != number);
        self.remove(number);
    }

    fn note_end(&mut self, number: u64) {
        self.ended.push_back(number);
        if self.ended.len() > MAX_ENDED
            && let Some(oldest) = self.ended.pop_front()
        {
            self.remove(oldest);
        }
    }

    fn alert(&mut self, mut alert: StreamAlert) {
        alert.message = crate::text::prefix(&alert.message, MAX_ALERT).to_owned();
        let number = alert
            .request_id
            .as_ref()
            .and_then(|id| self.numbers.get(id));
        if let Some(stream) = number.and_then(|number| self.streams.get_mut(number)) {
            stream.is_alerted = alert.is_raised;
        }
        self.alerts
            .retain(|known| (known.kind, &known.request_id) != (alert.kind, &alert.request_id));
        if alert.is_raised {
            self.alerts.push_back(alert);
            if self.alerts.len() > MAX_ALERTS {
                // Those of single requests are never taken back.
                let of_request = |alert: &StreamAlert| alert.kind == AlertKind::StreamCost;
                let oldest = self.alerts.iter().position(of_request).unwrap_or(0);
                self.alerts.remove(oldest);
            }
        }
    }
}
