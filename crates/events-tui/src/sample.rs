//! Frames and screens for the tests, at a time that stands still.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use events_models::{
    ActiveStreams, AlertKind, ModelTotals, StreamAlert, StreamFeedFrame, StreamState,
    StreamSummary, StreamTotals, TuiStreamEvent, Usd,
};
use ratatui::layout::Rect;

use crate::{
    app::{App, Effect},
    model::Contact,
};

/// The time of all tests: the gateway's clock and ours are the same.
pub(crate) const NOW: i64 = 1_782_302_400_000;

pub(crate) const SMALL: Rect = Rect::new(0, 0, 80, 24);
pub(crate) const LARGE: Rect = Rect::new(0, 0, 140, 40);

pub(crate) fn usd(dollars: f64) -> Usd {
    Usd::from_dollars(dollars).unwrap()
}

/// A request that answers since some seconds.
pub(crate) fn running(id: &str, model: &str, seconds: i64) -> StreamSummary {
    let mut summary = StreamSummary::new(id.into(), model, NOW - seconds * 1_000);
    summary.provider = Some("anthropic".to_owned());
    summary.agent_type = Some("cook".to_owned());
    summary.state = StreamState::Streaming;
    summary.last_event_at = Some(NOW - 400);
    summary.text = "First, chop the onions as finely as you can".to_owned();
    summary.text_bytes = 2_043;
    summary
}

/// A request that is complete since some seconds.
pub(crate) fn completed(id: &str, model: &str, seconds: i64) -> StreamSummary {
    let mut summary = running(id, model, seconds + 12);
    summary.state = StreamState::Completed;
    summary.ended_at = Some(NOW - seconds * 1_000);
    summary.input_tokens = Some(9_140);
    summary.output_tokens = Some(511);
    summary.cost_usd = Some(usd(0.05754975));
    let detail = &mut summary.detail;
    detail.cached_input_tokens = Some(9_000);
    detail.reasoning_tokens = Some(64);
    detail.finish_reason = Some("end_turn".to_owned());
    detail.response_id = Some("msg_01Abc".to_owned());
    detail.time_to_first_token_ms = Some(812);
    detail.duration_ms = Some(12_004);
    summary
}

/// A request that failed some seconds ago.
pub(crate) fn failed(id: &str, seconds: i64, message: &str, code: Option<&str>) -> StreamSummary {
    let mut summary = running(id, "gpt-5.2", seconds + 3);
    summary.provider = Some("openai".to_owned());
    summary.state = StreamState::Failed;
    summary.ended_at = Some(NOW - seconds * 1_000);
    summary.message = Some(message.to_owned());
    summary.detail.error_code = code.map(str::to_owned);
    summary.detail.http_status = code.map(|_| 429);
    summary.detail.duration_ms = Some(3_210);
    summary
}

/// A picture with these requests, and with sums that fit them.
pub(crate) fn picture(streams: Vec<StreamSummary>) -> ActiveStreams {
    let mut totals = StreamTotals::default();
    let mut models: Vec<ModelTotals> = Vec::new();
    for stream in &streams {
        let known = models
            .iter_mut()
            .position(|known| known.model == stream.model && known.provider == stream.provider);
        let index = known.unwrap_or_else(|| {
            models.push(ModelTotals {
                provider: stream.provider.clone(),
                model: stream.model.clone(),
                totals: StreamTotals::default(),
            });
            models.len() - 1
        });
        for sums in [&mut totals, &mut models[index].totals] {
            sums.started += 1;
            match stream.state {
                StreamState::Completed => sums.completed += 1,
                StreamState::Failed => sums.failed += 1,
                StreamState::Waiting | StreamState::Streaming => continue,
            }
            sums.input_tokens += stream.input_tokens.unwrap_or(0);
            sums.cached_input_tokens += stream.detail.cached_input_tokens.unwrap_or(0);
            sums.output_tokens += stream.output_tokens.unwrap_or(0);
            sums.cost_usd = sums.cost_usd + stream.cost_usd.unwrap_or_default();
            sums.unpriced += u64::from(stream.cost_usd.is_none());
            sums.unreported += u64::from(stream.output_tokens.is_none());
        }
    }
    ActiveStreams {
        at: NOW,
        since: NOW - 8_040_000,
        streams,
        totals,
        models,
        alerts: Vec::new(),
        lost: 0,
    }
}

pub(crate) fn alert(message: &str, is_raised: bool) -> StreamAlert {
    StreamAlert {
        kind: AlertKind::HourlyCost,
        is_raised,
        request_id: None,
        message: message.to_owned(),
        timestamp: NOW,
    }
}

pub(crate) fn delta(id: &str, text: &str, timestamp: i64) -> StreamFeedFrame {
    StreamFeedFrame::Event(TuiStreamEvent::TextDelta {
        request_id: id.into(),
        text: text.to_owned(),
        timestamp: Some(timestamp),
    })
}

/// A screen that is connected and knows nothing yet.
pub(crate) fn app() -> App {
    let mut app = App::new("http://127.0.0.1:4000", true, NOW);
    app.live_mut().contact = Contact::Connected;
    app
}

/// A screen with a picture.
pub(crate) fn showing(streams: Vec<StreamSummary>) -> App {
    let mut app = app();
    app.apply(StreamFeedFrame::Active(picture(streams)));
    app.settle(SMALL);
    app
}

/// Some of everything.
pub(crate) fn mixed() -> App {
    let mut waiting = running("req_0d44", "claude-opus-4-5", 1);
    waiting.state = StreamState::Waiting;
    waiting.text.clear();
    waiting.text_bytes = 0;
    let mut stalled = running("req_0e55", "gpt-5.2", 95);
    stalled.provider = Some("openai".to_owned());
    stalled.last_event_at = Some(NOW - 12_000);
    let mut app = showing(vec![
        completed("req_0a11", "claude-opus-4-5", 40),
        failed(
            "req_0b22",
            30,
            "Number of request tokens has exceeded your per-minute rate limit; try again in 17 seconds",
            Some("rate_limit_error"),
        ),
        failed("req_0c33", 20, "client disconnected", None),
        waiting,
        stalled,
        running("req_0f66", "claude-opus-4-5", 21),
    ]);
    // Some seconds of life.
    for second in (1..=20).rev() {
        app.tick(NOW - second * 1_000);
        let text = "word ".repeat(usize::try_from(second % 7 * 12).unwrap());
        app.apply(delta("req_0f66", &text, NOW - second * 1_000));
    }
    app.tick(NOW);
    app.settle(SMALL);
    app
}

/// Presses keys: a word for each, or a character.
pub(crate) fn press(app: &mut App, keys: &str, area: Rect) -> Effect {
    let mut effect = Effect::None;
    for word in keys.split(' ') {
        let named = match word {
            "enter" => Some(KeyCode::Enter),
            "esc" => Some(KeyCode::Esc),
            "tab" => Some(KeyCode::Tab),
            "space" => Some(KeyCode::Char(' ')),
            "pagedown" => Some(KeyCode::PageDown),
            "pageup" => Some(KeyCode::PageUp),
            "left" => Some(KeyCode::Left),
            "right" => Some(KeyCode::Right),
            _ => None,
        };
        let codes = match named {
            Some(code) => vec![code],
            None => word.chars().map(KeyCode::Char).collect(),
        };
        for code in codes {
            effect = app.key(KeyEvent::new(code, KeyModifiers::NONE));
            app.settle(area);
        }
    }
    effect
}

/// Loses the hub.
pub(crate) fn disconnect(app: &mut App) {
    let after = Duration::from_millis(2_300);
    app.live_mut()
        .disconnected(NOW, after, "connection refused".to_owned());
}
