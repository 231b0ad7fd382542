//! One request: what is known of it, and its text as it comes.

use ratatui::{buffer::Buffer, layout::Rect, text::Span};

use super::{ink, put, put_both};
use crate::{
    app::{App, Detail},
    column::Column,
    model::Stream,
    number::{self, UNKNOWN},
    text,
};

/// Columns of a fact: its name and its value.
const FACT: u16 = 38;
const NAME: usize = 12;
/// Columns from which the facts stand beside the text.
const WIDE: u16 = 120;

/// Lines of what went wrong.
const MESSAGE: u16 = 4;

/// Where the parts are.
pub(super) struct Places {
    facts: Rect,
    message: Rect,
    title: Rect,
    pub(super) text: Rect,
}

/// Divides the room. Where the text has all of it, the facts have no height.
pub(super) fn places(app: &App, stream: &Stream, is_wide: bool, area: Rect) -> Places {
    let n_facts = u16::try_from(facts(app, stream).len()).unwrap_or(u16::MAX);
    let (facts, rest) = if is_wide {
        (Rect { height: 0, ..area }, area)
    } else if area.width >= WIDE {
        let rest = Rect {
            x: area.x + FACT + 2,
            width: area.width - FACT - 2,
            ..area
        };
        (
            Rect {
                width: FACT,
                ..area
            },
            rest,
        )
    } else {
        let n_beside = (area.width / FACT).max(1);
        // Some of the text is always seen.
        let height = n_facts
            .div_ceil(n_beside)
            .min(area.height.saturating_sub(4));
        let rest = Rect {
            y: area.y + height,
            height: area.height - height,
            ..area
        };
        (Rect { height, ..area }, rest)
    };
    let n_lines = message(stream, rest.width).len();
    let n_lines = u16::try_from(n_lines).unwrap_or(MESSAGE).min(MESSAGE);
    let message = Rect {
        height: n_lines.min(rest.height.saturating_sub(2)),
        ..rest
    };
    let rest = Rect {
        y: rest.y + message.height,
        height: rest.height - message.height,
        ..rest
    };
    Places {
        facts,
        message,
        title: Rect {
            height: rest.height.min(1),
            ..rest
        },
        text: Rect {
            y: rest.y + rest.height.min(1),
            height: rest.height.saturating_sub(1),
            ..rest
        },
    }
}

pub(super) fn draw(app: &App, detail: &Detail, stream: &Stream, area: Rect, buffer: &mut Buffer) {
    let places = places(app, stream, detail.is_wide, area);
    let n_lines = places.facts.height.max(1);
    for (index, (name, value)) in (0_u16..).zip(facts(app, stream)) {
        let place = Rect {
            x: places.facts.x + (index / n_lines) * FACT,
            width: FACT.saturating_sub(1),
            ..places.facts
        };
        // What stands beside the area has no room.
        let place = place.intersection(places.facts);
        let style = match name {
            "state" => ink::outcome(app, stream.outcome()).patch(ink::strong()),
            "code" => ink::bad(app),
            _ => ink::plain(),
        };
        let room = usize::from(place.width).saturating_sub(NAME);
        let spans = vec![
            Span::styled(format!("{name:<NAME$}"), ink::faint()),
            Span::styled(text::head(&value, room), style),
        ];
        if place.width > 0 && index % n_lines < place.height {
            put(buffer, place, index % n_lines, spans);
        }
    }
    let style = ink::outcome(app, stream.outcome()).patch(ink::strong());
    let lines = message(stream, places.message.width);
    for (at, line) in (0..places.message.height).zip(lines) {
        put(buffer, places.message, at, Span::styled(line, style));
    }
    title(detail, stream, places.title, buffer);
    body(detail, stream, places.text, buffer);
}

fn title(detail: &Detail, stream: &Stream, area: Rect, buffer: &mut Buffer) {
    let summary = &stream.summary;
    let kept = u64::try_from(summary.text.len()).unwrap_or(u64::MAX);
    let mut left = format!("── text {}", number::bytes(summary.text_bytes));
    if kept < summary.text_bytes {
        left.push_str(&format!(", the last {}", number::bytes(kept)));
    }
    let last = (detail.offset + usize::from(area.width.min(1))).max(1);
    let right = if detail.follows && summary.is_active() {
        "follows ──".to_owned()
    } else {
        format!("line {last} of {} ──", detail.lines.len().max(1))
    };
    let rest = usize::from(area.width).saturating_sub(text::width(&left) + text::width(&right) + 2);
    left.push_str(&format!(" {}", "─".repeat(rest)));
    put_both(
        buffer,
        area,
        0,
        vec![Span::styled(left, ink::faint())],
        vec![Span::styled(right, ink::faint())],
    );
}

fn body(detail: &Detail, stream: &Stream, area: Rect, buffer: &mut Buffer) {
    if detail.lines.is_empty() {
        let line = if stream.summary.is_active() {
            "no text yet"
        } else {
            "no text"
        };
        put(buffer, area, 0, Span::styled(line, ink::faint()));
        return;
    }
    let seen = detail.lines.iter().skip(detail.offset);
    for (at, line) in (0..area.height).zip(seen) {
        put(buffer, area, at, Span::raw(line.as_str()));
    }
}

/// What went wrong, or what the gateway has to say, in lines.
fn message(stream: &Stream, columns: u16) -> Vec<String> {
    let message = stream.message().map(text::line);
    message.map_or_else(Vec::new, |message| {
        text::wrap(&message, usize::from(columns))
    })
}

/// What is known, the most important first; what is only there sometimes is left out when it is not.
fn facts(app: &App, stream: &Stream) -> Vec<(&'static str, String)> {
    let (summary, now) = (&stream.summary, app.now());
    let detail = &summary.detail;
    let of = |column: Column| column.of(stream, now);
    let mut facts = vec![
        ("id", of(Column::Id)),
        ("state", state(stream, now)),
        ("model", of(Column::Model)),
        ("provider", of(Column::Provider)),
        ("agent", of(Column::Agent)),
        ("input", of(Column::Input)),
        ("cached", of(Column::Cached)),
        ("output", of(Column::Output)),
        (
            "cost",
            summary
                .cost_usd
                .map_or_else(|| UNKNOWN.to_owned(), |cost| cost.to_string()),
        ),
        ("age", number::age(now.saturating_sub(summary.started_at))),
        ("first token", of(Column::FirstToken)),
        ("took", of(Column::Duration)),
        ("tokens/s", of(Column::Rate)),
    ];
    let mut add = |name, value: Option<String>| {
        if let Some(value) = value {
            facts.push((name, value));
        }
    };
    let counted = |count: Option<u64>| count.map(number::count);
    let named = |name: &Option<String>| name.as_deref().map(text::line);
    if let (Some(answered), true) = (
        &detail.model,
        detail.model.as_deref() != Some(stream.model()),
    ) {
        add("answered by", Some(text::line(answered)));
    }
    add("cache write", counted(detail.cache_write_tokens));
    add(
        "reasoning",
        counted(detail.reasoning_tokens).map(|count| format!("{count} tokens")),
    );
    // Only pictures say these, so by now there may be more.
    let at_least = |count: u64| {
        let more = if summary.is_active() { "≥" } else { "" };
        (count > 0).then(|| format!("{more}{count}"))
    };
    add("tool calls", at_least(summary.tool_calls));
    add(
        "thoughts",
        (summary.reasoning_bytes > 0).then(|| number::bytes(summary.reasoning_bytes)),
    );
    add("finish", named(&detail.finish_reason));
    add("http", detail.http_status.map(|status| status.to_string()));
    add("code", named(&detail.error_code));
    add("answer id", named(&detail.response_id));
    add(
        "counts",
        detail
            .partial
            .then(|| "of a moment before the end".to_owned()),
    );
    facts
}

fn state(stream: &Stream, now: i64) -> String {
    let outcome = stream.outcome();
    let mut state = format!("{} {}", outcome.sign(), outcome.word());
    if let Some(silent) = stream.stalled(now) {
        state.push_str(&format!(", stalled {}", number::age(silent)));
    }
    if stream.is_alerted {
        state.push_str(" ! alert");
    }
    state
}
