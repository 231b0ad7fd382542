//! The requests that run now, and those that have just ended.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use events_core::RequestId;
use events_models::{StreamState, StreamSummary, TuiStreamEvent};

use crate::boundary;

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
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self {
            max_active: 4_096,
            max_finished: 256,
            finished_for: Duration::from_secs(60),
            max_text_bytes: 2_048,
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
}

/// The fold of all stream events.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    limits: RegistryLimits,
    active: HashMap<RequestId, Entry>,
    finished: VecDeque<Entry>,
    counts: StreamCounts,
}

impl Registry {
    pub(crate) fn new(limits: RegistryLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes what happened, at this time in milliseconds since the Unix epoch.
    pub(crate) fn apply(&mut self, event: &TuiStreamEvent, now_ms: i64) {
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
            }
            TuiStreamEvent::TextDelta {
                request_id, text, ..
            } => {
                self.text(request_id, text, now_ms);
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
                self.end(request_id, StreamState::Completed, now_ms, |summary| {
                    summary.input_tokens = input_tokens.or(summary.input_tokens);
                    summary.output_tokens = output_tokens.or(summary.output_tokens);
                    summary.cost_usd = *cost_usd;
                    summary.detail.clone_from(detail);
                });
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
                self.end(request_id, StreamState::Failed, now_ms, |summary| {
                    summary.input_tokens = input_tokens.or(summary.input_tokens);
                    summary.output_tokens = output_tokens.or(summary.output_tokens);
                    summary.cost_usd = *cost_usd;
                    summary.message = Some(message.clone());
                    summary.detail.clone_from(detail);
                });
            }
        }
    }

    fn begin(&mut self, summary: StreamSummary) {
        self.counts.started += 1;
        let is_known = self.active.contains_key(&summary.request_id);
        if !is_known && self.active.len() >= self.limits.max_active {
            self.counts.unlisted += 1;
            return;
        }
        let number = self.counts.started;
        let request_id = summary.request_id.clone();
        self.active.insert(request_id, Entry { number, summary });
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
        now_ms: i64,
        change: impl FnOnce(&mut StreamSummary),
    ) {
        if let Some(mut entry) = self.active.remove(request_id) {
            change(&mut entry.summary);
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

    pub(crate) fn counts(&self) -> StreamCounts {
        StreamCounts {
            active: self.active.len(),
            ..self.counts
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
