//! Draws the state of the screen. Nothing here changes anything.

mod chart;
mod cover;
mod detail;
mod head;
mod ink;
mod table;
#[cfg(test)]
mod tests;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use crate::{
    app::{App, Detail, Panel},
    keys::Mode,
    text,
};

/// The smallest screen that anything is drawn on, in columns and lines.
const SMALLEST: (u16, u16) = (24, 6);

/// Where things are.
struct Places {
    head: Rect,
    alert: Rect,
    tabs: Rect,
    body: Rect,
    panel: Rect,
    hints: Rect,
}

/// Divides the screen; what has no room has no height.
fn places(app: &App, area: Rect) -> Places {
    let mut left = area;
    let mut take = |wanted: u16| {
        let height = wanted.min(left.height);
        let taken = Rect { height, ..left };
        left.y += height;
        left.height -= height;
        taken
    };
    let is_low = area.height < 16;
    let head = take(if is_low { 1 } else { 3 });
    let alert = take(u16::from(head::has_alert(app)));
    let tabs = take(1);
    let is_list = app.detail.is_none();
    let panel_height = match area.height {
        _ if !is_list || app.panel == Panel::Hidden => 0,
        0..20 => 0,
        20..36 => 6,
        _ => 10,
    };
    let body_height = left_over(area, &[head, alert, tabs], panel_height);
    let body = take(body_height);
    let panel = take(panel_height);
    let hints = take(1);
    Places {
        head,
        alert,
        tabs,
        body,
        panel,
        hints,
    }
}

fn left_over(area: Rect, above: &[Rect], below: u16) -> u16 {
    let above: u16 = above.iter().map(|place| place.height).sum();
    area.height.saturating_sub(above + below + 1)
}

/// The number of rows of the list that fit.
pub(crate) fn list_page(app: &App, area: Rect) -> usize {
    usize::from(places(app, area).body.height.saturating_sub(1))
}

/// The columns and lines that the text of a request has.
pub(crate) fn text_room(app: &App, detail: &Detail, area: Rect) -> (u16, usize) {
    let body = places(app, area).body;
    let stream = app.model().stream(detail.number);
    let room = stream.map_or(body, |stream| {
        detail::places(app, stream, detail.is_wide, body).text
    });
    (room.width.max(1), usize::from(room.height))
}

/// Draws everything. The state has been settled for the same area.
pub(crate) fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        put(buffer, area, 0, "the terminal is too small");
        return;
    }
    let places = places(app, area);
    head::draw(app, places.head, buffer);
    head::alert(app, places.alert, buffer);
    head::tabs(app, places.tabs, buffer);
    match (&app.detail, app.detailed()) {
        (Some(detail), Some(stream)) => detail::draw(app, detail, stream, places.body, buffer),
        _ => {
            table::draw(app, places.body, buffer);
            chart::draw(app, places.panel, buffer);
        }
    }
    cover::hints(app, places.hints, buffer);
    match app.mode {
        Mode::Help => cover::help(area, buffer),
        Mode::Sort => cover::menu(app, area, buffer),
        Mode::List | Mode::Detail | Mode::Filter => {}
    }
}

/// Writes a line into one line of an area, as far as there is room.
fn put<'a>(buffer: &mut Buffer, area: Rect, line: u16, content: impl Into<Line<'a>>) {
    if line < area.height {
        buffer.set_line(area.x, area.y + line, &content.into(), area.width);
    }
}

/// Puts spans to the left and to the right of a line; the left ones give way.
fn put_both<'a>(
    buffer: &mut Buffer,
    area: Rect,
    line: u16,
    left: Vec<Span<'a>>,
    right: Vec<Span<'a>>,
) {
    let right = Line::from(right);
    let n_right = right
        .spans
        .iter()
        .map(|span| text::width(&span.content))
        .sum::<usize>();
    let n_right = u16::try_from(n_right).unwrap_or(u16::MAX).min(area.width);
    let n_left = area.width - n_right;
    put(
        buffer,
        Rect {
            width: n_left.saturating_sub(1),
            ..area
        },
        line,
        left,
    );
    let place = Rect {
        x: area.x + n_left,
        width: n_right,
        ..area
    };
    put(buffer, place, line, right);
}
