//! One request, and what can be said about it.

use events_core::RequestId;
use events_models::{StreamState, StreamSummary};

use super::history::Seconds;
use crate::text;

/// Bytes of text in a token, roughly; the same guess as the gateway's.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;
/// Silence after which a running answer counts as stalled, in milliseconds.
const STALLED_MS: i64 = 5_000;
/// An answer whose first and last token are nearer than this came whole: its rate would be the network's.
const WHOLE_MS: u64 = 50;
/// The longest name, in bytes.
pub(super) const MAX_NAME: usize = 256;
/// The longest message, in bytes.
const MAX_MESSAGE: usize = 4_096;
/// How the gateway says that the reader of an answer left.
const READER_LEFT: &str = "client disconnected";

/// A request of the screen.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// Its place in the order of arrival.
    pub(crate) number: u64,
    /// What is known of it; texts bounded.
    pub(crate) summary: StreamSummary,
    /// Bytes of text of the last seconds.
    pub(crate) bytes: Seconds<16>,
    /// From the request to its first text, in milliseconds: no more than a guess of the time to the first token.
    pub(crate) first_text_ms: Option<u64>,
    /// Whether an alert is about it.
    pub(crate) is_alerted: bool,
}

/// What has become of a request, as a person tells it apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Outcome {
    /// Nothing has come yet.
    Waiting,
    /// It answers.
    Streaming,
    /// It is complete.
    Completed,
    /// It failed.
    Failed,
    /// Its reader left.
    Cancelled,
}

impl Outcome {
    /// A sign for it, which needs no colour.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Waiting => "◌",
            Self::Streaming => "●",
            Self::Completed => "✓",
            Self::Failed => "✗",
            Self::Cancelled => "⊘",
        }
    }

    /// A word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Streaming => "streaming",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Stream {
    pub(crate) fn new(number: u64, mut summary: StreamSummary, max_text: usize) -> Self {
        shorten(&mut summary);
        keep_end(&mut summary.text, max_text);
        Self {
            number,
            summary,
            bytes: Seconds::default(),
            first_text_ms: None,
            is_alerted: false,
        }
    }

    pub(crate) const fn id(&self) -> &RequestId {
        &self.summary.request_id
    }

    /// Appends text that was sent at `at_ms` and has come now.
    pub(crate) fn append(&mut self, more: &str, at_ms: i64, now_ms: i64, max_text: usize) {
        let summary = &mut self.summary;
        summary.state = StreamState::Streaming;
        summary.last_event_at = Some(at_ms);
        if summary.text_bytes == 0 && self.first_text_ms.is_none() {
            self.first_text_ms = u64::try_from(at_ms.saturating_sub(summary.started_at)).ok();
        }
        let n_bytes = u64::try_from(more.len()).unwrap_or(u64::MAX);
        summary.text_bytes = summary.text_bytes.saturating_add(n_bytes);
        summary.text.push_str(text::suffix(more, max_text));
        // Cut at more than the bound, so that not every piece moves the text.
        if summary.text.len() > max_text + max_text / 2 {
            keep_end(&mut summary.text, max_text);
        }
        self.bytes.add(now_ms, n_bytes);
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self.summary.state {
            StreamState::Waiting => Outcome::Waiting,
            StreamState::Streaming => Outcome::Streaming,
            StreamState::Completed => Outcome::Completed,
            StreamState::Failed => {
                let code = self.summary.detail.error_code.as_deref();
                let is_cancelled = self.summary.message.as_deref() == Some(READER_LEFT)
                    || matches!(code, Some("cancelled" | "canceled"));
                if is_cancelled {
                    Outcome::Cancelled
                } else {
                    Outcome::Failed
                }
            }
        }
    }

    /// The model that answers, as far as anybody says.
    pub(crate) fn model(&self) -> &str {
        let asked = self.summary.model.as_str();
        if asked.is_empty() {
            self.summary.detail.model.as_deref().unwrap_or_default()
        } else {
            asked
        }
    }

    /// Tokens of the answer, and whether they are a guess.
    pub(crate) fn output(&self) -> Option<(u64, bool)> {
        let summary = &self.summary;
        let guessed = || {
            let n_bytes = summary.text_bytes.saturating_add(summary.reasoning_bytes);
            (n_bytes > 0).then(|| n_bytes.div_ceil(BYTES_PER_TOKEN))
        };
        // While it goes on, a count that was reported is that of an earlier moment.
        if let (Some(reported), false) = (summary.output_tokens, summary.is_active()) {
            return Some((reported, summary.detail.partial));
        }
        let guess = summary.detail.estimated_output_tokens.or_else(guessed);
        let guess = guess.max(summary.output_tokens)?;
        Some((guess, true))
    }

    /// From the request to the first token, in milliseconds, and whether it is a guess.
    pub(crate) fn first_token(&self) -> Option<(u64, bool)> {
        match self.summary.detail.time_to_first_token_ms {
            Some(reported) => Some((reported, false)),
            None => self.first_text_ms.map(|first| (first, true)),
        }
    }

    /// How long it takes or took, in milliseconds.
    pub(crate) fn duration(&self, now_ms: i64) -> i64 {
        let reported = self.summary.detail.duration_ms;
        if let Some(reported) = reported.and_then(|reported| i64::try_from(reported).ok()) {
            return reported;
        }
        let end = self.summary.ended_at.unwrap_or(now_ms);
        end.saturating_sub(self.summary.started_at).max(0)
    }

    /// Tokens of the answer per second, in thousandths, and whether they are a guess.
    pub(crate) fn rate(&self, now_ms: i64) -> Option<(u64, bool)> {
        if self.summary.is_active() {
            let bytes = self.bytes.rate_millis(now_ms, 5);
            return (self.outcome() == Outcome::Streaming)
                .then_some((bytes / BYTES_PER_TOKEN, true));
        }
        let (tokens, is_guess) = self.output()?;
        let duration = u64::try_from(self.duration(now_ms)).unwrap_or(0);
        let answering = duration.checked_sub(self.first_token().map_or(0, |(time, _)| time))?;
        (answering >= WHOLE_MS).then(|| {
            let rate = u128::from(tokens) * 1_000_000 / u128::from(answering);
            (u64::try_from(rate).unwrap_or(u64::MAX), is_guess)
        })
    }

    /// For how long a running answer has been silent, in milliseconds, if that is long.
    pub(crate) fn stalled(&self, now_ms: i64) -> Option<i64> {
        if self.summary.state != StreamState::Streaming {
            return None;
        }
        let silent = now_ms.saturating_sub(self.summary.last_event_at?);
        (silent >= STALLED_MS).then_some(silent)
    }

    /// The message of a failure, else the note of the gateway.
    pub(crate) fn message(&self) -> Option<&str> {
        let summary = &self.summary;
        summary
            .message
            .as_deref()
            .or(summary.detail.notice.as_deref())
    }
}

/// Cuts names and messages that are too long, so that memory is bounded whatever comes.
pub(super) fn shorten(summary: &mut StreamSummary) {
    cut(&mut summary.model, MAX_NAME);
    let detail = &mut *summary.detail;
    for name in [
        &mut summary.agent_type,
        &mut summary.provider,
        &mut detail.model,
        &mut detail.response_id,
        &mut detail.finish_reason,
        &mut detail.error_code,
    ] {
        name.iter_mut().for_each(|name| cut(name, MAX_NAME));
    }
    for message in [&mut summary.message, &mut detail.notice] {
        message
            .iter_mut()
            .for_each(|message| cut(message, MAX_MESSAGE));
    }
}

fn cut(text: &mut String, n_bytes: usize) {
    if text.len() > n_bytes {
        *text = text::prefix(text, n_bytes).to_owned();
    }
}

/// Keeps the end of a text.
pub(super) fn keep_end(text: &mut String, n_bytes: usize) {
    if text.len() > n_bytes {
        *text = text::suffix(text, n_bytes).to_owned();
    }
}
