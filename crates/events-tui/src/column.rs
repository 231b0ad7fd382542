//! The columns of the lists: what stands in them, how they are sorted, and which are left out where there is no room.

mod list_columns;
mod order;
#[cfg(test)]
mod tests;

pub(crate) use list_columns::{View, fit};

use events_models::{ModelTotals, Usd};

use crate::{
    model::{Outcome, Stream},
    number::{self, UNKNOWN},
    text,
};

/// What stands in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    State,
    Age,
    Ended,
    Duration,
    Id,
    Agent,
    Provider,
    Model,
    Input,
    Cached,
    Output,
    Rate,
    Spark,
    FirstToken,
    Cost,
    Finish,
    Status,
    Code,
    Text,
    Message,
    Running,
    Started,
    Completed,
    Failed,
    Unpriced,
    Unreported,
}

impl Column {
    /// Its title, and the word for it in the menu.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::State => "S",
            Self::Age => "AGE",
            Self::Ended => "AGO",
            Self::Duration => "TOOK",
            Self::Id => "ID",
            Self::Agent => "AGENT",
            Self::Provider => "PROVIDER",
            Self::Model => "MODEL",
            Self::Input => "IN",
            Self::Cached => "CACHED",
            Self::Output => "OUT",
            Self::Rate => "TOK/S",
            Self::Spark => "LAST 8S",
            Self::FirstToken => "TTFT",
            Self::Cost => "COST",
            Self::Finish => "FINISH",
            Self::Status => "HTTP",
            Self::Code => "CODE",
            Self::Text => "TEXT",
            Self::Message => "MESSAGE",
            Self::Running => "RUN",
            Self::Started => "STARTED",
            Self::Completed => "DONE",
            Self::Failed => "FAILED",
            Self::Unpriced => "UNPRICED",
            Self::Unreported => "NO COUNT",
        }
    }

    /// Its columns on the screen: the least, and the most where there is room.
    pub(crate) const fn width(self) -> (u16, u16) {
        match self {
            Self::State => (2, 2),
            Self::Age | Self::Ended | Self::Duration | Self::Running => (5, 5),
            Self::Input | Self::Cached | Self::FirstToken | Self::Failed => (6, 6),
            Self::Output | Self::Rate => (6, 6),
            Self::Status => (4, 4),
            Self::Cost => (7, 7),
            Self::Started
            | Self::Completed
            | Self::Id
            | Self::Spark
            | Self::Unpriced
            | Self::Unreported => (8, 8),
            Self::Provider | Self::Finish => (9, 10),
            Self::Agent => (8, 12),
            Self::Code => (12, 18),
            Self::Model => (16, 28),
            Self::Text => (12, u16::MAX),
            Self::Message => (28, u16::MAX),
        }
    }

    pub(crate) const fn is_number(self) -> bool {
        !matches!(
            self,
            Self::State
                | Self::Id
                | Self::Agent
                | Self::Provider
                | Self::Model
                | Self::Spark
                | Self::Finish
                | Self::Code
                | Self::Text
                | Self::Message
        )
    }

    /// Whether the largest come first, before anybody turns the order round.
    pub(crate) const fn is_falling(self) -> bool {
        // Long ago is a large number, and what was last comes first.
        self.is_number() && !matches!(self, Self::Ended)
    }

    /// The text in the column for a request.
    pub(crate) fn of(self, stream: &Stream, now: i64) -> String {
        let summary = &stream.summary;
        let name = |name: Option<&str>| match name {
            Some(name) if !name.is_empty() => text::line(name),
            _ => UNKNOWN.to_owned(),
        };
        let count = |count: Option<u64>| number::guess(count.map(|count| (count, false)));
        match self {
            Self::State if stream.is_alerted => format!("{}!", stream.outcome().sign()),
            Self::State => stream.outcome().sign().to_owned(),
            Self::Age => number::age(stream.duration(now)),
            Self::Ended => summary.ended_at.map_or_else(
                || UNKNOWN.to_owned(),
                |at| number::age(now.saturating_sub(at)),
            ),
            Self::Duration => number::span(u64::try_from(stream.duration(now)).unwrap_or(0)),
            Self::Id => text::line(stream.id().as_str()),
            Self::Agent => name(summary.agent_type.as_deref()),
            Self::Provider => name(summary.provider.as_deref()),
            Self::Model => name(Some(stream.model())),
            Self::Input => count(summary.input_tokens),
            Self::Cached => count(summary.detail.cached_input_tokens),
            Self::Output => number::guess(stream.output()),
            Self::Rate => stream.rate(now).map_or_else(
                || UNKNOWN.to_owned(),
                |(rate, is_guess)| format!("{}{}", tilde(is_guess), number::rate(rate)),
            ),
            Self::Spark => spark(&stream.bytes.parts(now, 8, 1)),
            Self::FirstToken => stream.first_token().map_or_else(
                || UNKNOWN.to_owned(),
                |(time, is_guess)| format!("{}{}", tilde(is_guess), number::span(time)),
            ),
            Self::Cost => summary
                .cost_usd
                .map_or_else(|| UNKNOWN.to_owned(), number::money),
            Self::Finish => name(summary.detail.finish_reason.as_deref()),
            Self::Status => summary
                .detail
                .http_status
                .map_or_else(|| UNKNOWN.to_owned(), |status| status.to_string()),
            Self::Code => name(summary.detail.error_code.as_deref()),
            Self::Text | Self::Message => {
                let (first, words) = words(stream, now);
                first + &words
            }
            Self::Running
            | Self::Started
            | Self::Completed
            | Self::Failed
            | Self::Unpriced
            | Self::Unreported => UNKNOWN.to_owned(),
        }
    }

    /// The text in the column for a model, of whose requests `n_running` run.
    pub(crate) fn of_model(self, sums: &ModelTotals, n_running: u64) -> String {
        let totals = &sums.totals;
        let count = match self {
            Self::Provider => {
                let provider = sums.provider.as_deref();
                return provider.map_or_else(|| UNKNOWN.to_owned(), text::line);
            }
            Self::Model if sums.model.is_empty() => return UNKNOWN.to_owned(),
            Self::Model => return text::line(&sums.model),
            Self::Cost if totals.cost_usd == Usd::ZERO && totals.unpriced > 0 => {
                return UNKNOWN.to_owned();
            }
            Self::Cost => return number::money(totals.cost_usd),
            Self::Running => n_running,
            Self::Started => totals.started,
            Self::Completed => totals.completed,
            Self::Failed => totals.failed,
            Self::Input => totals.input_tokens,
            Self::Cached => totals.cached_input_tokens,
            Self::Output => totals.output_tokens,
            Self::Unpriced => totals.unpriced,
            Self::Unreported => totals.unreported,
            _ => return UNKNOWN.to_owned(),
        };
        number::count(count)
    }
}

pub(crate) const fn tilde(is_guess: bool) -> &'static str {
    if is_guess { "~" } else { "" }
}

/// The last words of a request: what went wrong, or the end of its text; first what must not be cut off.
pub(crate) fn words(stream: &Stream, now: i64) -> (String, String) {
    /// More than any screen is wide.
    const LONGEST: usize = 2_048;
    if let Some(message) = stream.message() {
        return (String::new(), text::line(text::prefix(message, LONGEST)));
    }
    let end = text::line(text::suffix(&stream.summary.text, LONGEST));
    let end = end.split_whitespace().collect::<Vec<_>>().join(" ");
    match stream.stalled(now) {
        Some(silent) => (format!("stalled {} ", number::age(silent)), end),
        None if end.is_empty() && stream.outcome() == Outcome::Waiting => {
            (String::new(), "waiting".to_owned())
        }
        None => (String::new(), end),
    }
}

/// A small picture of amounts.
fn spark(amounts: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = amounts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |amount: &u64| {
        if *amount == 0 {
            return ' ';
        }
        let height = u128::from(*amount) * 7 / u128::from(most);
        usize::try_from(height)
            .ok()
            .and_then(|height| BARS.get(height).copied())
            .unwrap_or('█')
    };
    amounts.iter().map(bar).collect()
}
