//! The columns of the lists: what stands in them, how they are sorted, and which are left out where there is no room.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use events_models::{ModelTotals, Usd};

use crate::{
    model::{Outcome, Stream},
    number::{self, UNKNOWN},
    text,
};

/// One of the four lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum View {
    /// What runs now.
    #[default]
    Active,
    /// What has ended.
    Recent,
    /// Sums of each model.
    Models,
    /// What has failed.
    Errors,
}

impl View {
    pub(crate) const ALL: [Self; 4] = [Self::Active, Self::Recent, Self::Models, Self::Errors];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Recent => "Recent",
            Self::Models => "Models",
            Self::Errors => "Errors",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Active => 0,
            Self::Recent => 1,
            Self::Models => 2,
            Self::Errors => 3,
        }
    }

    /// Its columns from left to right, each with its rank: those with high ranks are left out first.
    pub(crate) const fn columns(self) -> &'static [(Column, u8)] {
        use Column as C;
        match self {
            Self::Active => &[
                (C::State, 0),
                (C::Age, 1),
                (C::Id, 8),
                (C::Agent, 9),
                (C::Provider, 10),
                (C::Model, 0),
                (C::Input, 7),
                (C::Cached, 12),
                (C::Output, 2),
                (C::Rate, 3),
                (C::Spark, 11),
                (C::FirstToken, 6),
                (C::Cost, 4),
                (C::Text, 5),
            ],
            Self::Recent => &[
                (C::State, 0),
                (C::Ended, 1),
                (C::Id, 9),
                (C::Agent, 10),
                (C::Provider, 11),
                (C::Model, 0),
                (C::Duration, 3),
                (C::Input, 5),
                (C::Cached, 12),
                (C::Output, 2),
                (C::Rate, 6),
                (C::FirstToken, 7),
                (C::Cost, 4),
                (C::Finish, 8),
                (C::Text, 13),
            ],
            Self::Models => &[
                (C::Provider, 9),
                (C::Model, 0),
                (C::Running, 1),
                (C::Started, 2),
                (C::Completed, 7),
                (C::Failed, 4),
                (C::Input, 5),
                (C::Cached, 8),
                (C::Output, 6),
                (C::Cost, 3),
                (C::Unpriced, 10),
                (C::Unreported, 11),
            ],
            Self::Errors => &[
                (C::State, 0),
                (C::Ended, 1),
                (C::Id, 5),
                (C::Agent, 8),
                (C::Provider, 6),
                (C::Model, 0),
                (C::Status, 3),
                (C::Code, 4),
                (C::Duration, 7),
                (C::Cost, 9),
                (C::Message, 2),
            ],
        }
    }

    /// The column that it is sorted by at first.
    pub(crate) const fn first_sort(self) -> Column {
        match self {
            Self::Active => Column::Age,
            Self::Recent | Self::Errors => Column::Ended,
            Self::Models => Column::Started,
        }
    }
}

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

/// What a column is sorted by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i128),
    Text(String),
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

/// Chooses the columns that fit side by side, by rank, and gives each its width.
pub(crate) fn fit(columns: &[(Column, u8)], width: u16) -> Vec<(Column, u16)> {
    let mut by_rank: Vec<_> = columns.to_vec();
    by_rank.sort_by_key(|(_, rank)| *rank);
    let mut left = i32::from(width) + 1;
    let mut last_rank = None;
    for (column, rank) in by_rank {
        let needed = i32::from(column.width().0) + 1;
        // At least one column is there, however narrow it is.
        if needed > left && last_rank.is_some() {
            break;
        }
        left -= needed;
        last_rank = Some(rank);
    }
    // Of the columns of the lowest rank all are there.
    let last_rank = last_rank.unwrap_or(0);
    let mut fitting: Vec<(Column, u16)> = columns
        .iter()
        .filter(|(_, rank)| *rank <= last_rank)
        .map(|(column, _)| (*column, column.width().0))
        .collect();
    let left = u16::try_from(left.max(0)).unwrap_or(0);
    // The names take half of what is left at most, where there is a text for the rest.
    let is_text = |column: Column| matches!(column, Column::Text | Column::Message);
    let share = if fitting.iter().any(|(column, _)| is_text(*column)) {
        left / 2
    } else {
        left
    };
    let mut of_names = share;
    for wide in [
        Column::Model,
        Column::Agent,
        Column::Code,
        Column::Provider,
        Column::Finish,
    ] {
        if let Some((column, width)) = fitting.iter_mut().find(|(column, _)| *column == wide) {
            let more = of_names.min(column.width().1 - *width);
            *width += more;
            of_names -= more;
        }
    }
    let rest = left - (share - of_names);
    if let Some((_, width)) = fitting.iter_mut().find(|(column, _)| is_text(*column)) {
        *width += rest;
    }
    fitting
}
