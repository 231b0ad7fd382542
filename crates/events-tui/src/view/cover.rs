//! What lies over the lists, and the last line: help, menu, filter, keys.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::{ink, put};
use crate::{
    app::App,
    keys::{self, Mode},
    text,
};

/// Columns of the keys in the help.
const KEYS: usize = 16;

pub(super) fn hints(app: &App, area: Rect, buffer: &mut Buffer) {
    let room = usize::from(area.width);
    if app.mode == Mode::Filter {
        put(buffer, area, 0, filter_line(app, room));
        return;
    }
    if let Some(notice) = app.notice() {
        let notice = text::head(&text::line(notice), room);
        put(buffer, area, 0, Span::styled(notice, ink::strong()));
        return;
    }
    let hints: &[(&str, &str)] = match app.mode {
        Mode::List => &[
            ("q", "quit"),
            ("?", "help"),
            ("Enter", "open"),
            ("/", "filter"),
            ("s", "sort"),
            ("space", "pause"),
            ("f", "follow"),
            ("Tab", "panel"),
            ("c", "clear"),
            ("y", "copy id"),
            ("+ -", "window"),
        ],
        Mode::Detail => &[
            ("Esc", "back"),
            ("j k", "scroll"),
            ("f", "follow"),
            ("Tab", "text only"),
            ("y", "copy id"),
            ("space", "pause"),
            ("?", "help"),
            ("q", "quit"),
        ],
        Mode::Sort => &[("Enter", "sort"), ("i", "turn round"), ("Esc", "back")],
        Mode::Help | Mode::Filter => &[("Esc", "back")],
    };
    let mut line = Vec::new();
    let mut left = room;
    for (key, word) in hints {
        let Some(rest) = left.checked_sub(text::width(key) + 1 + word.len()) else {
            break;
        };
        left = rest.saturating_sub(2);
        line.push(Span::styled(*key, ink::strong()));
        line.push(Span::styled(format!(" {word}  "), ink::faint()));
    }
    put(buffer, area, 0, line);
}

/// The filter as it is written: its end is seen, and what is wrong with it.
fn filter_line(app: &App, room: usize) -> Vec<Span<'static>> {
    let error = app.filter.error.as_deref().unwrap_or_default();
    let error = text::head(&text::line(error), room / 2);
    let input = text::tail(
        &text::line(&app.filter.input),
        room.saturating_sub(text::width(&error) + 4),
    );
    vec![
        Span::styled("/", ink::strong()),
        Span::raw(input),
        Span::styled(" ", ink::chosen()),
        Span::styled(format!(" {error}"), ink::bad(app)),
    ]
}

pub(super) fn help(area: Rect, buffer: &mut Buffer) {
    let lines = keys::HELP.iter().map(|(key, meaning)| {
        let blanks = " ".repeat(KEYS.saturating_sub(text::width(key)));
        Line::from(vec![
            Span::styled(format!("{key}{blanks}"), ink::strong()),
            Span::raw(*meaning),
        ])
    });
    window("Help", lines.collect(), 0, area, buffer);
}

pub(super) fn menu(app: &App, area: Rect, buffer: &mut Buffer) {
    let lines = (0..).zip(app.sortable()).map(|(index, column)| {
        let mark = if column == app.list().sort {
            "• "
        } else {
            "  "
        };
        let style = if index == app.menu {
            ink::chosen()
        } else {
            ink::plain()
        };
        Line::from(Span::styled(format!("{mark}{:<12}", column.title()), style))
    });
    window("Sort by", lines.collect(), app.menu, area, buffer);
}

/// Draws lines in a box in the middle of the screen. The line `seen` is among those that are.
fn window(title: &str, lines: Vec<Line<'_>>, seen: usize, area: Rect, buffer: &mut Buffer) {
    let widest = lines.iter().map(|line| {
        let widths = line.spans.iter().map(|span| text::width(&span.content));
        widths.sum::<usize>()
    });
    let width = u16::try_from(widest.max().unwrap_or(0) + 4).unwrap_or(u16::MAX);
    let width = width.max(16).min(area.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let height = height.min(area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let inside = usize::from(width.saturating_sub(2));
    let title = text::head(&format!("─ {title} "), inside);
    let rest = "─".repeat(inside.saturating_sub(text::width(&title)));
    put(buffer, place, 0, format!("┌{title}{rest}┐"));
    let page = usize::from(height.saturating_sub(2));
    let first = (seen + 1).saturating_sub(page);
    let mut lines = lines.into_iter().skip(first);
    for at in 1..height.saturating_sub(1) {
        put(buffer, place, at, format!("│{}│", " ".repeat(inside)));
        let room = Rect {
            x: place.x + 2,
            width: width.saturating_sub(4),
            ..place
        };
        // Whatever was there before shines through no more.
        buffer.set_style(
            Rect {
                y: place.y + at,
                height: 1,
                ..place
            },
            ratatui::style::Style::reset(),
        );
        if let Some(line) = lines.next() {
            put(buffer, room, at, line);
        }
    }
    let bottom = "─".repeat(inside);
    put(
        buffer,
        place,
        height.saturating_sub(1),
        format!("└{bottom}┘"),
    );
}
