//! The requests that run now, and those that have just ended.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use events_core::RequestId;
use events_models::{
    ActiveStreams, StreamAlert, StreamDetail, StreamState, StreamSummary, TuiStreamEvent, Usd,
};

use crate::{
    AlertLimits,
    alerts::Alerts,
    boundary,
    session::CLIENT_LEFT,
    totals::{Ended, ModelKey, Totals},
};

/// Bounds of what is kept of streams. With the defaults that is at most about 20 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryLimits {
    /// Running requests that are kept; further ones are counted, and their events sent all the same. Default: 4096.
    pub max_active: usize,
    /// Ended requests that are kept. Default: 256.
    pub max_finished: usize,
    /// For how long an ended request is kept. Default: 60 s.
    pub finished_for: Duration,
    /// How much of the end of each text is kept, in bytes. Default: 2048.
    pub max_text_bytes: usize,
    /// Models with sums of their own; the rest is added up under the name `other`. Default: 64.
    pub max_models: usize,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self {
            max_active: 4_096,
            max_finished: 256,
            finished_for: Duration::from_secs(60),
            max_text_bytes: 2_048,
            max_models: 64,
        }
    }
}

/// How many requests there were, since the broadcaster was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamCounts {
    /// Running now.
    pub active: usize,
    /// Begun.
    pub started: u64,
    /// Ended with a complete answer.
    pub completed: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// Begun beyond the bound of running requests, so that no snapshot shows them.
    pub unlisted: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    summary: StreamSummary,
    /// Under which its model is counted.
    key: ModelKey,
}

/// The fold of all stream events.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    limits: RegistryLimits,
    active: HashMap<RequestId, Entry>,
    finished: VecDeque<Entry>,
    counts: StreamCounts,
    totals: Totals,
    alerts: Alerts,
}

impl Registry {
    pub(crate) fn new(limits: RegistryLimits) -> Self {
        Self {
            limits,
            totals: Totals::new(limits.max_models),
            ..Self::default()
        }
    }

    pub(crate) fn set_alerts(&mut self, limits: AlertLimits) {
        self.alerts = Alerts::new(limits);
    }

    pub(crate) const fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Looks at what time alone changes.
    pub(crate) fn tick(&mut self, now_ms: i64) -> Vec<StreamAlert> {
        self.forget(now_ms);
        self.alerts.tick(now_ms)
    }

    /// Takes what happened, at this time in milliseconds since the Unix epoch, and returns what else is to be told.
    pub(crate) fn apply(&mut self, event: &TuiStreamEvent, now_ms: i64) -> Vec<StreamAlert> {
        match event {
            TuiStreamEvent::Started {
                request_id,
                model,
                agent_type,
                provider,
                timestamp,
            } => {
                let mut summary =
                    StreamSummary::new(request_id.clone(), model, timestamp.unwrap_or(now_ms));
                summary.agent_type.clone_from(agent_type);
                summary.provider.clone_from(provider);
                self.begin(summary);
                Vec::new()
            }
            TuiStreamEvent::TextDelta {
                request_id, text, ..
            } => {
                self.text(request_id, text, now_ms);
                Vec::new()
            }
            TuiStreamEvent::Completed {
                request_id,
                input_tokens,
                output_tokens,
                cost_usd,
                detail,
                ..
            } => {
                self.counts.completed += 1;
                let ended = Ended {
                    is_complete: true,
                    input_tokens: *input_tokens,
                    output_tokens: *output_tokens,
                    ..Ended::of(detail, *cost_usd)
                };
                self.end(
                    request_id,
                    StreamState::Completed,
                    &ended,
                    now_ms,
                    |summary| {
                        summary.detail.clone_from(detail);
                    },
                );
                self.alerts.ended(request_id, *cost_usd, false, now_ms)
            }
            TuiStreamEvent::Error {
                request_id,
                message,
                input_tokens,
                output_tokens,
                cost_usd,
                detail,
                ..
            } => {
                self.counts.failed += 1;
                let ended = Ended {
                    input_tokens: *input_tokens,
                    output_tokens: *output_tokens,
                    ..Ended::of(detail, *cost_usd)
                };
                self.end(request_id, StreamState::Failed, &ended, now_ms, |summary| {
                    summary.message = Some(message.clone());
                    summary.detail.clone_from(detail);
                });
                // Who leaves before the end is no fault of anybody.
                let has_failed = detail.error_code.as_deref() != Some(CLIENT_LEFT);
                self.alerts.ended(request_id, *cost_usd, has_failed, now_ms)
            }
        }
    }

    fn begin(&mut self, summary: StreamSummary) {
        self.counts.started += 1;
        let key = self.totals.begin(ModelKey {
            provider: summary.provider.clone(),
            model: summary.model.clone(),
        });
        let is_known = self.active.contains_key(&summary.request_id);
        if !is_known && self.active.len() >= self.limits.max_active {
            self.counts.unlisted += 1;
            return;
        }
        let number = self.counts.started;
        let request_id = summary.request_id.clone();
        let entry = Entry {
            number,
            summary,
            key,
        };
        self.active.insert(request_id, entry);
    }

    /// Appends text of a running request.
    pub(crate) fn text(&mut self, request_id: &RequestId, text: &str, now_ms: i64) {
        let max = self.limits.max_text_bytes;
        self.update(request_id, now_ms, |summary| {
            summary.text_bytes += text.len() as u64;
            // A text that alone is too long is cut before it is copied.
            let skip = boundary::ceil(text, text.len().saturating_sub(max));
            summary.text.push_str(text.get(skip..).unwrap_or_default());
            // Cut at twice the bound, so that not every delta moves the text.
            if summary.text.len() > 2 * max {
                cut_front(&mut summary.text, max);
            }
        });
    }

    /// Changes a running request from which something was heard.
    pub(crate) fn update(
        &mut self,
        request_id: &RequestId,
        now_ms: i64,
        change: impl FnOnce(&mut StreamSummary),
    ) {
        if let Some(entry) = self.active.get_mut(request_id) {
            entry.summary.state = StreamState::Streaming;
            entry.summary.last_event_at = Some(now_ms);
            change(&mut entry.summary);
        }
    }

    fn end(
        &mut self,
        request_id: &RequestId,
        state: StreamState,
        ended: &Ended,
        now_ms: i64,
        change: impl FnOnce(&mut StreamSummary),
    ) {
        let entry = self.active.remove(request_id);
        self.totals
            .end(entry.as_ref().map(|entry| &entry.key), ended);
        if let Some(mut entry) = entry {
            let summary = &mut entry.summary;
            summary.input_tokens = ended.input_tokens.or(summary.input_tokens);
            summary.output_tokens = ended.output_tokens.or(summary.output_tokens);
            summary.cost_usd = ended.cost_usd;
            change(summary);
            entry.summary.state = state;
            entry.summary.ended_at = Some(now_ms);
            cut_front(&mut entry.summary.text, self.limits.max_text_bytes);
            self.finished.push_back(entry);
        }
        self.forget(now_ms);
    }

    /// Forgets ended requests that are old or too many.
    fn forget(&mut self, now_ms: i64) {
        let kept_ms = i64::try_from(self.limits.finished_for.as_millis()).unwrap_or(i64::MAX);
        let oldest = now_ms.saturating_sub(kept_ms);
        while let Some(first) = self.finished.front() {
            let is_old = first.summary.ended_at.is_some_and(|ended| ended < oldest);
            if !is_old && self.finished.len() <= self.limits.max_finished {
                break;
            }
            self.finished.pop_front();
        }
    }

    /// All requests in the order of their beginning, ended ones included.
    pub(crate) fn snapshot(&mut self, now_ms: i64) -> Vec<StreamSummary> {
        self.forget(now_ms);
        let mut entries: Vec<&Entry> = self.finished.iter().chain(self.active.values()).collect();
        entries.sort_by_key(|entry| entry.number);
        let max = self.limits.max_text_bytes;
        let summary = |entry: &Entry| {
            let mut summary = entry.summary.clone();
            cut_front(&mut summary.text, max);
            summary
        };
        entries.into_iter().map(summary).collect()
    }

    /// Everything as it is now.
    pub(crate) fn active(&mut self, since: i64, now_ms: i64) -> ActiveStreams {
        let streams = self.snapshot(now_ms);
        ActiveStreams {
            at: now_ms,
            since,
            streams,
            totals: self.totals.all(),
            models: self.totals.models(),
            alerts: self.alerts.active(now_ms, self.limits.finished_for),
            lost: 0,
        }
    }

    pub(crate) fn counts(&self) -> StreamCounts {
        StreamCounts {
            active: self.active.len(),
            ..self.counts
        }
    }
}

impl Ended {
    /// Takes what an end says beside its counts.
    fn of(detail: &StreamDetail, cost_usd: Option<Usd>) -> Self {
        Self {
            is_refused: detail.http_status.is_some_and(|status| status >= 400),
            cached_input_tokens: detail.cached_input_tokens,
            cost_usd,
            ..Self::default()
        }
    }
}

/// Keeps the last bytes of a text, whole characters of it.
fn cut_front(text: &mut String, max: usize) {
    if text.len() > max {
        let start = boundary::ceil(text, text.len() - max);
        text.drain(..start);
    }
}
