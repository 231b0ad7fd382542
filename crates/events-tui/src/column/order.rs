//! How the rows of a list are sorted.

use std::cmp::Ordering;

use events_models::ModelTotals;

use super::Column;
use crate::model::Stream;

/// What a column is sorted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i128),
    Text(String),
}

impl Column {
    fn key(self, stream: &Stream, now: i64) -> Option<Key> {
        let summary = &stream.summary;
        let text = |text: Option<&str>| {
            let text = text.filter(|text| !text.is_empty())?;
            Some(Key::Text(text.to_lowercase()))
        };
        let number = |number: Option<u64>| Some(Key::Number(i128::from(number?)));
        match self {
            Self::State => Some(Key::Number(stream.outcome() as i128)),
            Self::Age | Self::Duration => Some(Key::Number(i128::from(stream.duration(now)))),
            Self::Ended => Some(Key::Number(-i128::from(summary.ended_at?))),
            Self::Id => text(Some(stream.id().as_str())),
            Self::Agent => text(summary.agent_type.as_deref()),
            Self::Provider => text(summary.provider.as_deref()),
            Self::Model => text(Some(stream.model())),
            Self::Input => number(summary.input_tokens),
            Self::Cached => number(summary.detail.cached_input_tokens),
            Self::Output => number(stream.output().map(|(count, _)| count)),
            Self::Rate | Self::Spark => number(stream.rate(now).map(|(rate, _)| rate)),
            Self::FirstToken => number(stream.first_token().map(|(time, _)| time)),
            Self::Cost => Some(Key::Number(
                i128::try_from(summary.cost_usd?.picos()).unwrap_or(i128::MAX),
            )),
            Self::Finish => text(summary.detail.finish_reason.as_deref()),
            Self::Status => number(summary.detail.http_status.map(u64::from)),
            Self::Code => text(summary.detail.error_code.as_deref()),
            Self::Text | Self::Message => text(stream.message().or(Some(&summary.text))),
            Self::Running
            | Self::Started
            | Self::Completed
            | Self::Failed
            | Self::Unpriced
            | Self::Unreported => None,
        }
    }

    fn key_of_model(self, sums: &ModelTotals, n_running: u64) -> Option<Key> {
        let totals = &sums.totals;
        let number = match self {
            Self::Provider => return Some(Key::Text(sums.provider.as_ref()?.to_lowercase())),
            Self::Model => return Some(Key::Text(sums.model.to_lowercase())),
            Self::Cost => {
                let picos = i128::try_from(totals.cost_usd.picos());
                return Some(Key::Number(picos.unwrap_or(i128::MAX)));
            }
            Self::Running => n_running,
            Self::Started => totals.started,
            Self::Completed => totals.completed,
            Self::Failed => totals.failed,
            Self::Input => totals.input_tokens,
            Self::Cached => totals.cached_input_tokens,
            Self::Output => totals.output_tokens,
            Self::Unpriced => totals.unpriced,
            Self::Unreported => totals.unreported,
            _ => return None,
        };
        Some(Key::Number(i128::from(number)))
    }

    /// Sorts requests. What is not known comes last, whichever way.
    pub(crate) fn sort(self, streams: &mut [&Stream], is_inverted: bool, now: i64) {
        let is_falling = self.is_falling() != is_inverted;
        streams.sort_by_cached_key(|stream| Place::new(self.key(stream, now), is_falling));
    }

    /// Sorts models, each with the number of its requests that run.
    pub(crate) fn sort_models(self, models: &mut [(&ModelTotals, u64)], is_inverted: bool) {
        let is_falling = self.is_falling() != is_inverted;
        models.sort_by_cached_key(|(sums, n_running)| {
            Place::new(self.key_of_model(sums, *n_running), is_falling)
        });
    }
}

/// A place in an order.
#[derive(PartialEq, Eq)]
struct Place {
    key: Option<Key>,
    is_falling: bool,
}

impl Place {
    const fn new(key: Option<Key>, is_falling: bool) -> Self {
        Self { key, is_falling }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.key, &other.key) {
            (Some(key), Some(other)) if self.is_falling => other.cmp(key),
            (Some(key), Some(other)) => key.cmp(other),
            (key, other) => other.is_some().cmp(&key.is_some()),
        }
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
