//! What single events change.

use events_core::RequestId;
use events_models::{
    ModelTotals, StreamDetail, StreamState, StreamSummary, StreamTotals, TuiStreamEvent, Usd,
};

use super::{MAX_MODELS, Model, stream};

impl Model {
    pub(super) fn event(&mut self, event: TuiStreamEvent, now: i64) {
        let at = event.timestamp().unwrap_or(now);
        match event {
            TuiStreamEvent::Started {
                request_id,
                model,
                agent_type,
                provider,
                ..
            } => {
                let mut summary = StreamSummary::new(request_id, model, at);
                summary.agent_type = agent_type;
                summary.provider = provider;
                self.begin(summary);
            }
            TuiStreamEvent::TextDelta {
                request_id, text, ..
            } => {
                let n_bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
                self.bytes.add(now, n_bytes);
                let number = self.numbers.get(&request_id).copied().unwrap_or_default();
                let max_text = self.max_text(number);
                if let Some(stream) = self.streams.get_mut(&number)
                    && stream.summary.is_active()
                {
                    stream.append(&text, at, now, max_text);
                }
            }
            TuiStreamEvent::Completed {
                request_id,
                input_tokens,
                output_tokens,
                cost_usd,
                detail,
                ..
            } => self.end(
                &request_id,
                End {
                    message: None,
                    input: input_tokens,
                    output: output_tokens,
                    cost: cost_usd,
                    detail,
                },
                at,
                now,
            ),
            TuiStreamEvent::Error {
                request_id,
                message,
                input_tokens,
                output_tokens,
                cost_usd,
                detail,
                ..
            } => self.end(
                &request_id,
                End {
                    message: Some(message),
                    input: input_tokens,
                    output: output_tokens,
                    cost: cost_usd,
                    detail,
                },
                at,
                now,
            ),
        }
    }

    fn begin(&mut self, summary: StreamSummary) {
        let is_known = self.numbers.get(&summary.request_id).copied();
        count_one(&mut self.totals.started);
        let sums = self.sums(summary.provider.as_deref(), &summary.model);
        if let Some(sums) = sums {
            count_one(&mut sums.started);
        }
        if let Some(number) = is_known {
            self.forget(number);
        }
        self.insert(summary, None);
    }

    fn end(&mut self, request_id: &RequestId, end: End, at: i64, now: i64) {
        end.count(&mut self.totals);
        if let Some(cost) = end.cost {
            self.cost.add(now, cost);
        }
        if let Some(time) = end.detail.time_to_first_token_ms {
            self.first_tokens.add(now, time);
        }
        let Some(number) = self.numbers.get(request_id).copied() else {
            return;
        };
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        if !stream.summary.is_active() {
            return;
        }
        let summary = &mut stream.summary;
        summary.ended_at = Some(at);
        summary.state = if end.message.is_some() {
            StreamState::Failed
        } else {
            StreamState::Completed
        };
        let (provider, model) = (summary.provider.clone(), summary.model.clone());
        if let Some(sums) = self.sums(provider.as_deref(), &model) {
            end.count(sums);
        }
        if let Some(stream) = self.streams.get_mut(&number) {
            let summary = &mut stream.summary;
            summary.input_tokens = end.input.or(summary.input_tokens);
            summary.output_tokens = end.output.or(summary.output_tokens);
            summary.cost_usd = end.cost;
            summary.message = end.message;
            summary.detail = end.detail;
            stream::shorten(summary);
        }
        self.note_end(number);
    }

    /// The sums of a model; `None` where there is no room for another.
    fn sums(&mut self, provider: Option<&str>, model: &str) -> Option<&mut StreamTotals> {
        let (provider, model) = (provider.map(short), short(model));
        let known = self
            .models
            .iter()
            .position(|sums| sums.provider.as_deref() == provider && sums.model == model);
        let index = match known {
            Some(index) => index,
            None if self.models.len() < MAX_MODELS => {
                self.models.push(ModelTotals {
                    provider: provider.map(str::to_owned),
                    model: model.to_owned(),
                    totals: StreamTotals::default(),
                });
                self.models.len() - 1
            }
            None => return None,
        };
        self.models.get_mut(index).map(|sums| &mut sums.totals)
    }
}

/// A name as it is kept.
pub(super) fn short(name: &str) -> &str {
    crate::text::prefix(name, stream::MAX_NAME)
}

const fn count_one(sum: &mut u64) {
    *sum = sum.saturating_add(1);
}

/// How a request ended.
struct End {
    message: Option<String>,
    input: Option<u64>,
    output: Option<u64>,
    cost: Option<Usd>,
    detail: Box<StreamDetail>,
}

impl End {
    fn count(&self, totals: &mut StreamTotals) {
        if self.message.is_some() {
            count_one(&mut totals.failed);
        } else {
            count_one(&mut totals.completed);
        }
        for (sum, more) in [
            (&mut totals.input_tokens, self.input),
            (
                &mut totals.cached_input_tokens,
                self.detail.cached_input_tokens,
            ),
            (&mut totals.output_tokens, self.output),
        ] {
            *sum = sum.saturating_add(more.unwrap_or(0));
        }
        if self.input.is_none() && self.output.is_none() {
            count_one(&mut totals.unreported);
        }
        match self.cost {
            Some(cost) => totals.cost_usd = totals.cost_usd + cost,
            None => count_one(&mut totals.unpriced),
        }
    }
}
