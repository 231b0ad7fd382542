//! What is measured of requests, under the names that OpenTelemetry gave to generative AI.
//!
//! The names are those of its semantic conventions (status: development), as Prometheus writes them: underscores, and
//! the unit at the end. Times to a token are named as for servers, since the conventions have a metric for tokens
//! only there. What the conventions do not have begins with `events_llm_`.

mod chunk_times;
#[cfg(feature = "gateway")]
mod gateway;
mod labels;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use events_models::Usd;
use prometheus_client::{
    encoding::text::encode_registry,
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use crate::{GiveUp, Provider, StreamEventBroadcaster, StreamFailure};

use chunk_times::ChunkTimes;
pub(crate) use chunk_times::LocalTimes;
use labels::{Known, Of, OfAlert, OfError, OfOutcome, OfReason, OfToken, error_type};

const TOKEN_BUCKETS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

const DURATION_BUCKETS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

const FIRST_TOKEN_BUCKETS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Those of the conventions, and a smaller one for fast models.
const PER_TOKEN_BUCKETS: [f64; 14] = [
    0.001, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// What is known of a request at its end.
#[derive(Debug)]
pub(crate) struct Finished<'f> {
    pub(crate) protocol: Option<Provider>,
    pub(crate) vendor: Option<&'f str>,
    pub(crate) model: &'f str,
    pub(crate) failure: Option<&'f StreamFailure>,
    pub(crate) http_status: Option<u16>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) cost: Option<Usd>,
    pub(crate) duration: Duration,
    /// From the request to the first token, where the answer is a stream.
    pub(crate) to_first_token: Option<Duration>,
    /// From the first to the last token, where the answer is a stream.
    pub(crate) of_tokens: Option<Duration>,
}

/// Counts and times requests. Labels have a bounded number of values, and none is a text, a user or an id of a request.
pub struct LlmMetrics {
    known: Mutex<Known>,
    requests: Family<OfOutcome, Counter>,
    tokens: Histograms<OfToken>,
    durations: Histograms<OfError>,
    first_tokens: Histograms<Of>,
    per_token: Histograms<Of>,
    costs: Family<Of, Counter<f64>>,
    unpriced: Counter,
    give_ups: Family<OfReason, Counter>,
    chunk_times: ChunkTimes,
}

impl Default for LlmMetrics {
    fn default() -> Self {
        let metrics = Self {
            known: Mutex::default(),
            requests: Family::default(),
            tokens: Family::new_with_constructor(|| Histogram::new(TOKEN_BUCKETS)),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            first_tokens: Family::new_with_constructor(|| Histogram::new(FIRST_TOKEN_BUCKETS)),
            per_token: Family::new_with_constructor(|| Histogram::new(PER_TOKEN_BUCKETS)),
            costs: Family::default(),
            unpriced: Counter::default(),
            give_ups: Family::default(),
            chunk_times: ChunkTimes::default(),
        };
        // A counter that is there from the beginning can be watched for its first step.
        for reason in labels::GIVE_UPS {
            drop(metrics.give_ups.get_or_create(&OfReason::new(reason)));
        }
        metrics
    }
}

impl LlmMetrics {
    pub(crate) fn count_give_up(&self, give_up: GiveUp) {
        self.give_ups
            .get_or_create(&OfReason::new(labels::of_give_up(give_up)))
            .inc();
    }

    pub(crate) fn count_oversized(&self) {
        self.give_ups
            .get_or_create(&OfReason::new(labels::OVERSIZED))
            .inc();
    }

    pub(crate) fn add_chunk_times(&self, times: &mut LocalTimes) {
        self.chunk_times.take(times);
    }

    /// Measures a request that has ended.
    pub(crate) fn finish(&self, finished: &Finished<'_>) {
        let of = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.labels(finished.protocol, finished.vendor, finished.model)
        };
        let outcome = if finished.failure.is_none() {
            "completed"
        } else {
            "failed"
        };
        let of_outcome = OfOutcome {
            of: of.clone(),
            outcome,
        };
        self.requests.get_or_create(&of_outcome).inc();
        for (token_type, tokens) in [
            ("input", finished.input_tokens),
            ("output", finished.output_tokens),
        ] {
            // What is not known must not be reported: an unknown count is no count of zero.
            if let Some(tokens) = tokens {
                let of_token = OfToken {
                    of: of.clone(),
                    gen_ai_token_type: token_type,
                };
                self.tokens.get_or_create(&of_token).observe(tokens as f64);
            }
        }
        let error_type = finished
            .failure
            .map(|failure| error_type(failure, finished.http_status));
        let of_error = OfError {
            of: of.clone(),
            error_type,
        };
        let seconds = finished.duration.as_secs_f64();
        self.durations.get_or_create(&of_error).observe(seconds);
        if let Some(time) = finished.to_first_token {
            self.first_tokens
                .get_or_create(&of)
                .observe(time.as_secs_f64());
        }
        // The first token has a time of its own.
        let further = finished
            .output_tokens
            .and_then(|tokens| tokens.checked_sub(1));
        if let (Some(time), Some(further @ 1..)) = (finished.of_tokens, further)
            && finished.failure.is_none()
        {
            let each = time.as_secs_f64() / further as f64;
            self.per_token.get_or_create(&of).observe(each);
        }
        match finished.cost {
            Some(cost) => drop(self.costs.get_or_create(&of).inc_by(cost.dollars())),
            None if finished.input_tokens.or(finished.output_tokens).is_some() => {
                self.unpriced.inc();
            }
            None => {}
        }
    }

    /// Appends all values in the text form of OpenMetrics, without the mark of the end.
    pub fn write(&self, broadcaster: &StreamEventBroadcaster, out: &mut String) {
        write_registry(&self.registry(broadcaster), out);
    }

    fn registry(&self, broadcaster: &StreamEventBroadcaster) -> Registry {
        let mut registry = Registry::default();
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens of a request, as the provider reports them",
            self.tokens.clone(),
        );
        registry.register_with_unit(
            "gen_ai_client_operation_duration",
            "Time from a request to the end of its answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_to_first_token",
            "Time from a request to the first text, reasoning or tool call of a stream",
            Unit::Seconds,
            self.first_tokens.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_per_output_token",
            "Time for each token after the first of a complete stream",
            Unit::Seconds,
            self.per_token.clone(),
        );
        let own = registry.sub_registry_with_prefix("events_llm");
        own.register(
            "requests",
            "Ended requests by outcome",
            self.requests.clone(),
        );
        own.register(
            "cost_dollars",
            "What the requests cost whose price is known",
            self.costs.clone(),
        );
        own.register(
            "unpriced",
            "Ended requests that reported tokens and whose price is not known",
            self.unpriced.clone(),
        );
        own.register(
            "give_ups",
            "Answers that were not read to their end, or an event of them not; their bytes went on",
            self.give_ups.clone(),
        );
        own.register_with_unit(
            "tap_chunk",
            "Time that reading a chunk took, after it was handed on",
            Unit::Seconds,
            self.chunk_times.clone(),
        );
        let active = Gauge::<i64>::default();
        active.set(i64::try_from(broadcaster.counts().active).unwrap_or(i64::MAX));
        own.register("active", "Running requests", active);
        own.register(
            "lagged_events",
            "Events that watchers were too slow for; each then got everything anew",
            ConstCounter::new(broadcaster.lagged()),
        );
        let (raised, active) = (
            Family::<OfAlert, Counter>::default(),
            Family::<OfAlert, Gauge>::default(),
        );
        for (kind, n_raised, is_raised) in broadcaster.alert_state() {
            let of_alert = OfAlert {
                kind: kind.as_str(),
            };
            raised.get_or_create(&of_alert).inc_by(n_raised);
            active.get_or_create(&of_alert).set(i64::from(is_raised));
        }
        own.register(
            "alerts_raised",
            "Times a bound of the operator was crossed",
            raised,
        );
        own.register("alert_active", "Whether it is crossed now", active);
        registry
    }
}

/// Appends a page without the mark of its end.
pub(crate) fn write_registry(registry: &Registry, out: &mut String) {
    let n_written = out.len();
    if encode_registry(out, registry).is_err() {
        // A string takes everything, so this does not happen; half a page would be worse than none.
        out.truncate(n_written);
    }
}

impl fmt::Debug for LlmMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmMetrics").finish_non_exhaustive()
    }
}
