//! Bounds that an operator sets on money and failures, and whether they are kept.

#[cfg(test)]
mod tests;
mod window;

use std::{collections::VecDeque, time::Duration};

use events_core::RequestId;
use events_models::{AlertKind, StreamAlert, Usd};

use window::Window;

/// When an operator wants to be told. A bound that is `None` is not watched.
///
/// An alert is raised once when its bound is crossed, and cleared once when the value is well below it again: nine
/// tenths of it for money, eight tenths for failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertLimits {
    /// The cost of one request. It is told when it ends, since its tokens are known then.
    pub stream_cost: Option<Usd>,
    /// The cost of all requests that ended in the last hour, to the minute.
    pub hourly_cost: Option<Usd>,
    /// The share of requests that failed, in percent. A request whose client left has not failed.
    pub error_percent: Option<u8>,
    /// Over how long that share is taken, at most an hour; to the minute. Default: 5 min.
    pub error_window: Duration,
    /// Of how many ended requests at least; a share of fewer says nothing. Default: 10.
    pub error_requests: u64,
}

impl Default for AlertLimits {
    /// Watches nothing.
    fn default() -> Self {
        Self {
            stream_cost: None,
            hourly_cost: None,
            error_percent: None,
            error_window: Duration::from_secs(300),
            error_requests: 10,
        }
    }
}

/// The most requests over the bound for one that are listed as raised.
const MAX_STREAM_ALERTS: usize = 32;

/// The value of each bound, in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    limits: AlertLimits,
    window: Window,
    hourly_cost: Option<StreamAlert>,
    error_rate: Option<StreamAlert>,
    /// Requests that cost too much; forgotten with the requests themselves.
    stream_costs: VecDeque<StreamAlert>,
    /// How often each bound was crossed.
    raised: [u64; AlertKind::ALL.len()],
}

impl Alerts {
    pub(crate) fn new(limits: AlertLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes the end of a request, and returns what is to be told.
    pub(crate) fn ended(
        &mut self,
        request_id: &RequestId,
        cost: Option<Usd>,
        has_failed: bool,
        now_ms: i64,
    ) -> Vec<StreamAlert> {
        self.window
            .add(now_ms, cost.unwrap_or_default(), has_failed);
        let mut told = Vec::new();
        if let (Some(cost), Some(limit)) = (cost, self.limits.stream_cost)
            && cost > limit
        {
            let alert = StreamAlert {
                kind: AlertKind::StreamCost,
                is_raised: true,
                request_id: Some(request_id.clone()),
                message: format!("the request cost {cost}, more than {limit}"),
                timestamp: now_ms,
            };
            if self.stream_costs.len() >= MAX_STREAM_ALERTS {
                self.stream_costs.pop_front();
            }
            self.stream_costs.push_back(alert.clone());
            told.push(alert);
        }
        told.extend(self.check(now_ms));
        self.count(&told);
        told
    }

    /// Looks at what time alone changes, and returns what is to be told.
    pub(crate) fn tick(&mut self, now_ms: i64) -> Vec<StreamAlert> {
        let told = self.check(now_ms);
        self.count(&told);
        told
    }

    fn count(&mut self, told: &[StreamAlert]) {
        for alert in told.iter().filter(|alert| alert.is_raised) {
            for (count, kind) in self.raised.iter_mut().zip(AlertKind::ALL) {
                *count += u64::from(kind == alert.kind);
            }
        }
    }

    fn check(&mut self, now_ms: i64) -> Vec<StreamAlert> {
        let mut told = Vec::new();
        if let Some(limit) = self.limits.hourly_cost {
            let cost = self.window.last(now_ms, 60).cost;
            let is_over = cost > limit;
            let is_well_below = cost.picos() <= limit.picos() / 10 * 9;
            let message = || format!("{cost} in the last hour, the limit is {limit}");
            let kind = AlertKind::HourlyCost;
            told.extend(turn(
                &mut self.hourly_cost,
                is_over,
                is_well_below,
                now_ms,
                kind,
                message,
            ));
        }
        if let Some(percent) = self.limits.error_percent {
            let n_minutes = self.limits.error_window.as_secs().div_ceil(60).clamp(1, 60);
            let sums = self.window.last(now_ms, n_minutes.cast_signed());
            let percent = u64::from(percent);
            let is_over = sums.ended >= self.limits.error_requests.max(1)
                && sums.failed * 100 >= percent * sums.ended
                && sums.failed > 0;
            let is_well_below = sums.failed * 1_000 < percent * 8 * sums.ended || sums.failed == 0;
            let message = || {
                format!(
                    "{} of {} requests failed in the last {n_minutes} min, the limit is {percent} %",
                    sums.failed, sums.ended
                )
            };
            let kind = AlertKind::ErrorRate;
            told.extend(turn(
                &mut self.error_rate,
                is_over,
                is_well_below,
                now_ms,
                kind,
                message,
            ));
        }
        told
    }

    /// Returns what is raised now. What was said of single requests is kept for this long.
    pub(crate) fn active(&mut self, now_ms: i64, kept_for: Duration) -> Vec<StreamAlert> {
        let kept_ms = i64::try_from(kept_for.as_millis()).unwrap_or(i64::MAX);
        let oldest = now_ms.saturating_sub(kept_ms);
        self.stream_costs.retain(|alert| alert.timestamp >= oldest);
        let lasting = self.hourly_cost.iter().chain(&self.error_rate);
        lasting.chain(&self.stream_costs).cloned().collect()
    }

    /// Returns how often each bound was crossed, and whether it is crossed now.
    pub(crate) fn state(&self) -> [(AlertKind, u64, bool); AlertKind::ALL.len()] {
        let is_raised = |kind| match kind {
            AlertKind::StreamCost => !self.stream_costs.is_empty(),
            AlertKind::HourlyCost => self.hourly_cost.is_some(),
            AlertKind::ErrorRate => self.error_rate.is_some(),
        };
        let mut index = 0;
        AlertKind::ALL.map(|kind| {
            let n_raised = self.raised.get(index).copied().unwrap_or_default();
            index += 1;
            (kind, n_raised, is_raised(kind))
        })
    }
}

/// Raises or clears an alert, if that is a change.
fn turn(
    raised: &mut Option<StreamAlert>,
    is_over: bool,
    is_well_below: bool,
    now_ms: i64,
    kind: AlertKind,
    message: impl FnOnce() -> String,
) -> Option<StreamAlert> {
    let is_raised = match raised {
        None if is_over => true,
        Some(_) if is_well_below => false,
        _ => return None,
    };
    let alert = StreamAlert {
        kind,
        is_raised,
        request_id: None,
        message: message(),
        timestamp: now_ms,
    };
    *raised = is_raised.then(|| alert.clone());
    Some(alert)
}
