//! The lists.

use std::collections::HashMap;

use events_models::ModelTotals;
use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Span};

use super::{ink, put};
use crate::{
    app::{App, Chosen, running_by_model},
    column::{self, Column, View},
    model::Stream,
    text,
};

pub(super) fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let columns = column::fit(app.view.columns(), area.width);
    put(buffer, area, 0, titles(app, &columns));
    let body = Rect {
        y: area.y + 1.min(area.height),
        height: area.height.saturating_sub(1),
        ..area
    };
    if app.rows.is_empty() {
        let line = text::head(&nothing(app), usize::from(area.width));
        let line = Span::styled(line, ink::faint());
        put(buffer, body, u16::from(body.height > 2), line);
        return;
    }
    let list = app.list();
    let running = if app.view == View::Models {
        running_by_model(app.model())
    } else {
        HashMap::new()
    };
    let seen = app.rows.iter().enumerate().skip(list.offset);
    for (line, (index, row)) in (0..body.height).zip(seen) {
        let spans = match row {
            Chosen::Stream(number) => match app.model().stream(*number) {
                Some(stream) => of_stream(app, stream, &columns),
                None => continue,
            },
            Chosen::Model(provider, name) => {
                let mut known = app.model().models.iter();
                let is_it = |sums: &&ModelTotals| sums.provider == *provider && sums.model == *name;
                let key = (provider.as_deref(), name.as_str());
                let n_running = running.get(&key).copied().unwrap_or(0);
                match known.find(is_it) {
                    Some(sums) => of_model(sums, n_running, &columns),
                    None => continue,
                }
            }
        };
        put(buffer, body, line, spans);
        if index == list.cursor {
            let whole = Rect {
                y: body.y + line,
                height: 1,
                ..body
            };
            buffer.set_style(whole, ink::chosen());
        }
    }
}

fn titles(app: &App, columns: &[(Column, u16)]) -> Vec<Span<'static>> {
    let list = app.list();
    let mut spans = Vec::new();
    for (column, width) in columns {
        let is_sort = *column == list.sort;
        let mut title = column.title().to_owned();
        if is_sort {
            let mark = if column.is_falling() == list.is_inverted {
                '▲'
            } else {
                '▼'
            };
            title = text::prefix(&title, usize::from(width.saturating_sub(1))).to_owned();
            title.push(mark);
        }
        let style = if is_sort {
            ink::current(app)
        } else {
            ink::strong()
        };
        // The line below it would run on into the next column.
        let (before, after) = padding(&title, *column, *width);
        spans.push(Span::raw(before));
        spans.push(Span::styled(title, style));
        spans.push(Span::raw(after));
        spans.push(Span::raw(" "));
    }
    spans
}

fn of_stream(app: &App, stream: &Stream, columns: &[(Column, u16)]) -> Vec<Span<'static>> {
    let now = app.now();
    let mut spans = Vec::new();
    for (column, width) in columns {
        let style = match column {
            Column::State if stream.is_alerted => ink::bad(app).patch(ink::strong()),
            Column::State => ink::outcome(app, stream.outcome()),
            Column::Text | Column::Message if stream.message().is_some() => {
                ink::outcome(app, stream.outcome())
            }
            Column::Text if stream.stalled(now).is_some() => ink::doubtful(app),
            Column::Text | Column::Message | Column::Id => ink::faint(),
            _ => ink::plain(),
        };
        if *column == Column::Text && stream.message().is_none() {
            // The end of a text is what is new.
            let (first, words) = column::words(stream, now);
            let room = usize::from(*width).saturating_sub(text::width(&first));
            let content = first + &text::tail(&words, room);
            spans.extend(cell(&content, *column, *width, false, style));
            continue;
        }
        // Of an id the end tells more, for many begin alike.
        let is_end = *column == Column::Id;
        spans.extend(cell(
            &column.of(stream, now),
            *column,
            *width,
            is_end,
            style,
        ));
    }
    spans
}

fn of_model(sums: &ModelTotals, n_running: u64, columns: &[(Column, u16)]) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    for (column, width) in columns {
        let text = column.of_model(sums, n_running);
        spans.extend(cell(&text, *column, *width, false, ink::plain()));
    }
    spans
}

/// A cell of this width, and the blank behind it.
fn cell(
    content: &str,
    column: Column,
    width: u16,
    is_end: bool,
    style: Style,
) -> [Span<'static>; 2] {
    let room = usize::from(width);
    let content = if is_end {
        text::tail(content, room)
    } else {
        text::head(content, room)
    };
    let (before, after) = padding(&content, column, width);
    [
        Span::styled(format!("{before}{content}"), style),
        Span::raw(format!("{after} ")),
    ]
}

fn padding(content: &str, column: Column, width: u16) -> (String, String) {
    let room = usize::from(width).saturating_sub(text::width(content));
    let blanks = " ".repeat(room);
    if column.is_number() {
        (blanks, String::new())
    } else {
        (String::new(), blanks)
    }
}

/// What stands in an empty list.
fn nothing(app: &App) -> String {
    if app.model().since.is_none() {
        return "nothing is known yet".to_owned();
    }
    if app.n_in(app.view) > 0 {
        return "nothing matches the filter; Esc drops it".to_owned();
    }
    match app.view {
        View::Active => {
            let base = app.address.trim_end_matches('/');
            format!("no request runs; what goes through {base}/llm/… shows here")
        }
        View::Recent => "nothing has ended yet".to_owned(),
        View::Models => "no model was asked yet".to_owned(),
        View::Errors => "no errors".to_owned(),
    }
}
