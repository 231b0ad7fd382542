//! The charts below the lists.

use ratatui::{buffer::Buffer, layout::Rect, text::Span};

use super::{ink, put};
use crate::{
    app::{App, Panel},
    model::BYTES_PER_TOKEN,
    number, text,
};

/// Columns from which both charts are shown side by side.
const WIDE: u16 = 110;

pub(super) fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    if area.height < 2 {
        return;
    }
    if area.width < WIDE {
        match app.panel {
            Panel::Rate => rate(app, area, buffer),
            Panel::FirstTokens => first_tokens(app, area, buffer),
            Panel::Hidden => {}
        }
        return;
    }
    let width = area.width / 2 - 1;
    let right = Rect {
        x: area.x + area.width - width,
        width,
        ..area
    };
    rate(app, Rect { width, ..area }, buffer);
    first_tokens(app, right, buffer);
}

fn rate(app: &App, area: Rect, buffer: &mut Buffer) {
    let (n_bars, seconds) = bars(app, area);
    let model = app.model();
    let rates: Vec<u64> = model
        .bytes
        .parts(app.now(), n_bars, seconds)
        .iter()
        .map(|bytes| bytes.saturating_mul(1_000) / BYTES_PER_TOKEN / u64::from(seconds.max(1)))
        .collect();
    let now = model.bytes.rate_millis(app.now(), 5) / BYTES_PER_TOKEN;
    let most = rates.iter().copied().max().unwrap_or(0).max(now);
    let title = if most == 0 {
        "tokens/s: none".to_owned()
    } else {
        format!(
            "tokens/s: ~{} now, ~{} at most",
            number::rate(now),
            number::rate(most),
        )
    };
    frame(app, &title, area, buffer);
    columns(app, &rates, area, buffer);
}

fn first_tokens(app: &App, area: Rect, buffer: &mut Buffer) {
    let (n_bars, seconds) = bars(app, area);
    let times = &app.model().first_tokens;
    let longest = times.parts(app.now(), n_bars, seconds);
    let title = match times.percentiles(app.now(), i64::from(app.window())) {
        Some((median, high)) => format!(
            "time to first token: p50 {}, p95 {}, {} at most",
            number::span(median),
            number::span(high),
            number::span(longest.iter().copied().max().unwrap_or(0)),
        ),
        None => "time to first token: -".to_owned(),
    };
    frame(app, &title, area, buffer);
    columns(app, &longest, area, buffer);
}

/// How many bars there are, and how many seconds each is.
fn bars(app: &App, area: Rect) -> (usize, u16) {
    let seconds = app.window().div_ceil(area.width.max(1)).max(1);
    (usize::from(app.window() / seconds), seconds)
}

fn frame(app: &App, title: &str, area: Rect, buffer: &mut Buffer) {
    let last = app.window() / 60;
    let title = format!("── {title} · {last} min ");
    let title = text::head(&title, usize::from(area.width));
    let rest = usize::from(area.width).saturating_sub(text::width(&title));
    let line = format!("{title}{}", "─".repeat(rest));
    put(buffer, area, 0, Span::styled(line, ink::faint()));
}

/// Draws bars below the title, the last at the right.
fn columns(app: &App, amounts: &[u64], area: Rect, buffer: &mut Buffer) {
    const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let most = amounts.iter().copied().max().unwrap_or(0).max(1);
    let height = usize::from(area.height.saturating_sub(1));
    let n_wide = (usize::from(area.width) / amounts.len().max(1)).max(1);
    let n_all = n_wide * amounts.len();
    let left = usize::from(area.width).saturating_sub(n_all);
    for line in 0..height {
        // Eighths of a line that are below this one.
        let below = (height - 1 - line) * 8;
        let mut bars = " ".repeat(left);
        for amount in amounts {
            let eighths = u128::from(*amount) * (height as u128) * 8 / u128::from(most);
            let eighths = usize::try_from(eighths).unwrap_or(0);
            // What is there is seen, however little it is.
            let eighths = eighths.max(usize::from(*amount > 0)).saturating_sub(below);
            let bar = EIGHTHS.get(eighths).unwrap_or(&EIGHTHS[8]);
            bars.push_str(&bar.repeat(n_wide));
        }
        let line = u16::try_from(line + 1).unwrap_or(u16::MAX);
        put(buffer, area, line, Span::styled(bars, ink::bar(app)));
    }
}
