//! What is known of one exchange, and its one end.

mod ending;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use events_models::TuiStreamEvent;
use tracing::{debug, warn};

use crate::{
    Ending, Extraction, LlmMetrics, Observer, PriceSource, RequestInfo, StreamEventBroadcaster,
    StreamFailure, Usage, metrics::LocalTimes,
};

/// The code of an exchange whose client left.
pub(crate) const CLIENT_LEFT: &str = "client_disconnected";

/// Why an exchange ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The body came to its end.
    BodyEnded,
    /// Whoever read the answer, or waited for it, is gone.
    ReaderLeft,
    /// The provider's connection failed in the middle.
    BodyFailed,
    /// There was no answer.
    NotAnswered(String),
}

/// Folds extractions, tells watchers, and ends once.
pub(crate) struct Session {
    request: RequestInfo,
    broadcaster: Arc<StreamEventBroadcaster>,
    prices: Arc<dyn PriceSource>,
    metrics: Arc<LlmMetrics>,
    chunk_times: LocalTimes,
    observers: Vec<Box<dyn Observer>>,
    began: Instant,
    first_output: Option<Instant>,
    last_output: Option<Instant>,
    /// Whether the answer comes in pieces, so that times between them mean something.
    is_stream: bool,
    has_started: bool,
    has_finished: bool,
    model: Option<String>,
    response_id: Option<String>,
    usage: Option<Usage>,
    finish_reason: Option<String>,
    failure: Option<StreamFailure>,
    notice: Option<String>,
    http_status: Option<u16>,
    has_end_mark: bool,
    /// Whether the answer was understood at all.
    is_known: bool,
    n_output_bytes: u64,
}

impl Session {
    pub(crate) fn begin(
        request: RequestInfo,
        broadcaster: Arc<StreamEventBroadcaster>,
        prices: Arc<dyn PriceSource>,
        metrics: Arc<LlmMetrics>,
    ) -> Self {
        let mut session = Self {
            request,
            broadcaster,
            prices,
            metrics,
            chunk_times: LocalTimes::default(),
            observers: Vec::new(),
            began: Instant::now(),
            first_output: None,
            last_output: None,
            is_stream: false,
            has_started: false,
            has_finished: false,
            model: None,
            response_id: None,
            usage: None,
            finish_reason: None,
            failure: None,
            notice: None,
            http_status: None,
            has_end_mark: false,
            is_known: false,
            n_output_bytes: 0,
        };
        if session.request.model.is_some() {
            session.start();
        }
        session
    }

    pub(crate) const fn request(&self) -> &RequestInfo {
        &self.request
    }

    pub(crate) fn observe(&mut self, observer: Box<dyn Observer>) {
        self.observers.push(observer);
    }

    pub(crate) const fn set_http_status(&mut self, status: u16) {
        self.http_status = Some(status);
    }

    /// Says that the answer comes in pieces.
    pub(crate) const fn set_stream(&mut self) {
        self.is_stream = true;
    }

    /// Counts how long it took to read a chunk.
    pub(crate) fn count_chunk(&mut self, time: Duration) {
        if self.chunk_times.add(time) {
            self.metrics.add_chunk_times(&mut self.chunk_times);
        }
    }

    /// Says that an answer was to come, so that an end without one is a cut.
    pub(crate) const fn expect_more(&mut self) {
        self.is_known = true;
    }

    pub(crate) const fn has_failure(&self) -> bool {
        self.failure.is_some()
    }

    /// Tells watchers of the request, once: with the model that was asked for or, if that is not known, with the
    /// one that answers.
    fn start(&mut self) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let model = self.request.model.as_ref().or(self.model.as_ref());
        self.broadcaster.send(TuiStreamEvent::Started {
            request_id: self.request.request_id.clone(),
            model: model.cloned().unwrap_or_default(),
            agent_type: self.request.agent_type.clone(),
            provider: self.request.provider_name(),
            timestamp: Some(self.broadcaster.now_ms()),
        });
    }

    /// Takes what was read.
    pub(crate) fn take(&mut self, extraction: Extraction) {
        if self.has_finished {
            return;
        }
        self.is_known = true;
        if extraction.is_output() {
            let now = Instant::now();
            self.first_output.get_or_insert(now);
            self.last_output = Some(now);
        }
        let request_id = self.request.request_id.clone();
        self.tell(|observer| observer.extraction(&extraction));
        match extraction {
            Extraction::Answer { id, model } => {
                self.response_id = id.or(self.response_id.take());
                if let Some(model) = model {
                    self.broadcaster.note(&request_id, |summary| {
                        summary.detail.model = Some(model.clone());
                    });
                    self.model = Some(model);
                    self.start();
                }
            }
            Extraction::Restarted => {
                self.usage = None;
                self.finish_reason = None;
                self.has_end_mark = false;
            }
            Extraction::Text { choice, delta } | Extraction::Refusal { choice, delta } => {
                self.n_output_bytes += delta.len() as u64;
                if choice == 0 {
                    self.start();
                    self.broadcaster.send_text(&request_id, &delta);
                }
            }
            Extraction::Reasoning { delta, .. } => {
                let n_bytes = delta.len() as u64;
                self.n_output_bytes += n_bytes;
                self.broadcaster
                    .note(&request_id, |summary| summary.reasoning_bytes += n_bytes);
            }
            Extraction::ToolCallStarted { .. } => {
                self.broadcaster
                    .note(&request_id, |summary| summary.tool_calls += 1);
            }
            Extraction::ToolCallArguments { delta, .. } => {
                self.n_output_bytes += delta.len() as u64;
            }
            Extraction::Usage(usage) => {
                let (input, output) = (usage.input_tokens, usage.output_tokens);
                self.broadcaster.note(&request_id, |summary| {
                    summary.input_tokens = input.or(summary.input_tokens);
                    summary.output_tokens = output.or(summary.output_tokens);
                });
                self.usage = Some(usage);
            }
            Extraction::Finished { choice: 0, reason } => self.finish_reason = Some(reason),
            Extraction::Failed(failure) => {
                self.failure.get_or_insert(failure);
            }
            Extraction::Ended => self.has_end_mark = true,
            Extraction::Oversized { bytes } => {
                self.metrics.count_oversized();
                self.note(format!(
                    "an event of {bytes} bytes was too large to be read"
                ));
            }
            Extraction::GaveUp(reason) => {
                self.metrics.count_give_up(reason);
                self.note(format!("reading stopped: {reason}"));
            }
            Extraction::ReasoningEnded { .. }
            | Extraction::Encrypted { .. }
            | Extraction::ToolCallEnded { .. }
            | Extraction::ToolCallResult { .. }
            | Extraction::Finished { .. } => {}
        }
    }

    /// Remembers the first thing that kept the answer from being read.
    fn note(&mut self, notice: String) {
        warn!(request_id = %self.request.request_id, notice, "an answer is not read to its end; its bytes flow on");
        self.notice.get_or_insert(notice);
    }

    /// Ends the exchange; a second end does nothing.
    pub(crate) fn end(&mut self, cause: Cause) {
        if std::mem::replace(&mut self.has_finished, true) {
            return;
        }
        self.start();
        let (failure, is_cut) = self.outcome(cause);
        let cost = self.cost();
        let has_counts = failure.is_some() && self.usage.is_some();
        let is_partial = is_cut || self.notice.is_some() || has_counts;
        let ending = Ending {
            failure,
            finish_reason: self.finish_reason.take(),
            model: self.model.take(),
            response_id: self.response_id.take(),
            usage: self.usage.take(),
            cost,
            is_partial,
        };
        debug!(
            request_id = %self.request.request_id,
            is_complete = ending.failure.is_none(),
            is_partial,
            "an exchange with a provider ended"
        );
        self.tell(|observer| observer.ending(&ending));
        self.measure(&ending);
        let event = self.terminal_event(ending);
        self.broadcaster.send(event);
    }

    /// Tells all observers; one that panics is told nothing more.
    fn tell(&mut self, mut tell: impl FnMut(&mut dyn Observer)) {
        self.observers.retain_mut(|observer| {
            let is_well = catch_unwind(AssertUnwindSafe(|| tell(observer.as_mut()))).is_ok();
            if !is_well {
                warn!(request_id = %self.request.request_id, "an observer of an answer panicked and is left out");
            }
            is_well
        });
    }
}
