//! The end of an exchange: how it ended, what it cost, what is measured and told of it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Instant, SystemTime},
};

use events_models::{StreamDetail, TuiStreamEvent, Usd};
use tracing::warn;

use super::{CLIENT_LEFT, Cause, Session};
use crate::{Ending, PriceQuery, StreamFailure, metrics::Finished};

/// Bytes of text in a token, roughly, for estimates.
const BYTES_PER_TOKEN: u64 = 4;

impl Session {
    /// Says what went wrong, if something did, and whether more was to come.
    pub(super) fn outcome(&mut self, cause: Cause) -> (Option<StreamFailure>, bool) {
        let cut = |code: Option<&str>, message: &str| {
            let failure = StreamFailure {
                message: message.to_owned(),
                code: code.map(str::to_owned),
                kind: None,
            };
            (Some(failure), true)
        };
        if let Some(failure) = self.failure.take() {
            return (Some(failure), false);
        }
        let has_finished = self.has_end_mark || self.finish_reason.is_some();
        // Many clients close the connection when they have read the end mark.
        let is_whole = self.has_end_mark || (has_finished && self.usage.is_some());
        match cause {
            Cause::NotAnswered(message) => cut(Some("no_answer"), &message),
            Cause::BodyEnded if self.http_status.is_some_and(|status| status >= 400) => {
                let status = self.http_status.unwrap_or_default();
                let (failure, _) = cut(
                    None,
                    &format!("the provider answered with HTTP status {status}"),
                );
                (failure, false)
            }
            Cause::BodyEnded if has_finished || !self.is_known || self.notice.is_some() => {
                (None, false)
            }
            Cause::BodyEnded => cut(
                Some("incomplete_answer"),
                "the answer ended before it was complete",
            ),
            Cause::ReaderLeft | Cause::BodyFailed if has_finished => (None, !is_whole),
            Cause::ReaderLeft => cut(Some(CLIENT_LEFT), "client disconnected"),
            Cause::BodyFailed => cut(
                Some("provider_disconnected"),
                "the connection to the provider failed in the middle of the answer",
            ),
        }
    }

    pub(super) fn cost(&self) -> Option<Usd> {
        let model = self.model.as_ref().or(self.request.model.as_ref())?;
        let query = PriceQuery {
            provider: self.request.provider,
            vendor: self.request.vendor.as_deref(),
            model,
            usage: self.usage.as_ref()?,
            at: SystemTime::now(),
        };
        catch_unwind(AssertUnwindSafe(|| self.prices.price(&query))).unwrap_or(None)
    }

    pub(super) fn measure(&mut self, ending: &Ending) {
        self.metrics.add_chunk_times(&mut self.chunk_times);
        let usage = ending.usage.as_ref();
        let model = self.request.model.as_ref().or(ending.model.as_ref());
        let of_stream = |instant: Option<Instant>| instant.filter(|_| self.is_stream);
        let first = of_stream(self.first_output);
        let finished = Finished {
            protocol: self.request.provider,
            vendor: self.request.vendor.as_deref(),
            model: model.map_or("", String::as_str),
            failure: ending.failure.as_ref(),
            http_status: self.http_status.filter(|status| *status >= 400),
            input_tokens: usage.and_then(|usage| usage.input_tokens),
            output_tokens: usage.and_then(|usage| usage.output_tokens),
            cost: ending.cost,
            duration: self.began.elapsed(),
            to_first_token: first.map(|first| first.saturating_duration_since(self.began)),
            of_tokens: first
                .zip(self.last_output)
                .map(|(first, last)| last.saturating_duration_since(first)),
        };
        let metrics = &self.metrics;
        // Nothing that is measured may end the answer.
        if catch_unwind(AssertUnwindSafe(|| metrics.finish(&finished))).is_err() {
            warn!(request_id = %self.request.request_id, "an answer was not measured");
        }
    }

    pub(super) fn terminal_event(&self, ending: Ending) -> TuiStreamEvent {
        let millis = |instant: Instant| {
            let since = instant.saturating_duration_since(self.began).as_millis();
            u64::try_from(since).unwrap_or(u64::MAX)
        };
        let usage = ending.usage.unwrap_or_default();
        let is_guess = usage.output_tokens.is_none() && self.n_output_bytes > 0;
        let failure = ending.failure.as_ref();
        let detail = Box::new(StreamDetail {
            model: ending.model,
            response_id: ending.response_id,
            cached_input_tokens: usage.cached_input_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            estimated_output_tokens: is_guess
                .then(|| self.n_output_bytes.div_ceil(BYTES_PER_TOKEN)),
            finish_reason: ending.finish_reason,
            error_code: failure.and_then(|failure| failure.kind.clone().or(failure.code.clone())),
            http_status: self.http_status.filter(|status| *status >= 400),
            time_to_first_token_ms: self.first_output.map(millis),
            duration_ms: Some(millis(Instant::now())),
            notice: self.notice.clone(),
            partial: ending.is_partial,
        });
        let request_id = self.request.request_id.clone();
        let timestamp = Some(self.broadcaster.now_ms());
        match ending.failure {
            Some(failure) => TuiStreamEvent::Error {
                request_id,
                message: failure.message,
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cost_usd: ending.cost,
                detail,
                timestamp,
            },
            None => TuiStreamEvent::Completed {
                request_id,
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cost_usd: ending.cost,
                detail,
                timestamp,
            },
        }
    }
}
