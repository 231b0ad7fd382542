//! The lines on top: the contact, the sums, the alerts, the names of the lists.

use events_models::AlertKind;
use ratatui::{buffer::Buffer, layout::Rect, text::Span};

use super::{ink, put, put_both};
use crate::{
    app::App,
    column::{View, tilde},
    model::{BYTES_PER_TOKEN, Contact},
    number::{self, UNKNOWN},
    text,
};

/// What stands between two facts.
const GAP: &str = "  ";

pub(super) fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let left = vec![
        Span::styled("events top", ink::strong()),
        Span::raw(GAP),
        Span::raw(&app.address),
    ];
    put_both(buffer, area, 0, left, contact(app));
    for (line, facts) in [(1, counts(app)), (2, sums(app))] {
        put(buffer, area, line, in_a_row(facts, usize::from(area.width)));
    }
}

/// The contact with the hub, and whether the picture stands still.
fn contact(app: &App) -> Vec<Span<'static>> {
    let mut spans = match &app.live().contact {
        Contact::Connecting => vec![Span::styled("◌ connecting", ink::doubtful(app))],
        Contact::Connected => vec![Span::styled("● connected", ink::good(app))],
        Contact::Lost { again_at, .. } => {
            let wait = again_at.saturating_sub(app.our_now()).max(0);
            // The last part of a second counts as one.
            let wait = number::age(wait.saturating_add(999));
            vec![Span::styled(
                format!(" ✗ reconnecting in {wait} "),
                ink::alarm(app),
            )]
        }
        Contact::Over { .. } => vec![Span::styled(" ✗ over ", ink::alarm(app))],
    };
    if let Some(since) = app.model().since {
        let up = number::age(app.now().saturating_sub(since));
        spans.push(Span::raw(format!("{GAP}up {up}")));
    }
    if app.is_paused() {
        spans.push(Span::raw(GAP));
        spans.push(Span::styled(" PAUSED ", ink::chosen()));
    }
    spans
}

type Fact = (&'static str, String, bool);

fn counts(app: &App) -> Vec<Fact> {
    let model = app.model();
    let totals = &model.totals;
    let is_known = model.since.is_some();
    let count = |count: u64| {
        if is_known {
            number::count(count)
        } else {
            UNKNOWN.to_owned()
        }
    };
    let rate = model.bytes.rate_millis(app.now(), 5) / BYTES_PER_TOKEN;
    let tokens = match rate {
        _ if !is_known => UNKNOWN.to_owned(),
        0 => "0".to_owned(),
        rate => format!("~{}", number::rate(rate)),
    };
    vec![
        ("active", count(model.n_running()), false),
        ("started", count(totals.started), false),
        ("done", count(totals.completed), false),
        ("errors", count(totals.failed), totals.failed > 0),
        ("in", count(totals.input_tokens), false),
        ("out", count(totals.output_tokens), false),
        ("tok/s", tokens, false),
    ]
}

fn sums(app: &App) -> Vec<Fact> {
    let model = app.model();
    let totals = &model.totals;
    let mut cost = if model.since.is_some() {
        number::money(totals.cost_usd)
    } else {
        UNKNOWN.to_owned()
    };
    if totals.unpriced > 0 {
        cost.push_str(&format!(" +{} unpriced", number::count(totals.unpriced)));
    }
    let hourly = model.cost.per_hour(app.now()).map_or_else(
        || UNKNOWN.to_owned(),
        |(cost, is_guess)| format!("{}{}", tilde(is_guess), number::money(cost)),
    );
    let first_tokens = model
        .first_tokens
        .percentiles(app.now(), i64::from(app.window()));
    let first_tokens = first_tokens.map_or_else(
        || UNKNOWN.to_owned(),
        |(median, high)| format!("p50 {} p95 {}", number::span(median), number::span(high)),
    );
    let lost = app.live().lost;
    vec![
        ("cost", cost, false),
        ("per hour", hourly, false),
        ("TTFT", first_tokens, false),
        ("lost", number::count(lost), lost > 0),
    ]
}

/// Names and values side by side, as many as there is room for.
fn in_a_row(facts: Vec<Fact>, width: usize) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut left = width;
    for (name, value, is_doubtful) in facts {
        let needed = name.len() + 1 + text::width(&value);
        let Some(rest) = left.checked_sub(needed) else {
            break;
        };
        left = rest.saturating_sub(GAP.len());
        let style = if is_doubtful {
            ink::strong().patch(ink::chosen())
        } else {
            ink::strong()
        };
        spans.push(Span::styled(name, ink::faint()));
        spans.push(Span::raw(" "));
        spans.push(Span::styled(value, style));
        spans.push(Span::raw(GAP));
    }
    spans
}

/// Whether there is something to be told in a line of its own.
pub(super) fn has_alert(app: &App) -> bool {
    let is_lost = matches!(
        app.live().contact,
        Contact::Lost { .. } | Contact::Over { .. }
    );
    is_lost || !app.model().alerts.is_empty()
}

/// Tells why the contact is lost, else the first alert.
pub(super) fn alert(app: &App, area: Rect, buffer: &mut Buffer) {
    let lost = match &app.live().contact {
        Contact::Lost { cause, .. } => Some(cause),
        Contact::Over { reason } => Some(reason),
        Contact::Connecting | Contact::Connected => None,
    };
    if let Some(cause) = lost {
        let cause = text::line(cause);
        let line = format!(" ✗ the picture is the last one: {cause} ");
        let line = text::head(&line, usize::from(area.width));
        put(buffer, area, 0, Span::styled(line, ink::bad(app)));
        return;
    }
    let alerts = &app.model().alerts;
    // Those of all requests tell more than those of one.
    let first = alerts.iter().rev().min_by_key(|alert| match alert.kind {
        AlertKind::HourlyCost => 0,
        AlertKind::ErrorRate => 1,
        AlertKind::StreamCost => 2,
    });
    let Some(first) = first else {
        return;
    };
    let name = match first.kind {
        AlertKind::StreamCost => "cost of a request",
        AlertKind::HourlyCost => "cost of the hour",
        AlertKind::ErrorRate => "errors",
    };
    let more = match alerts.len() - 1 {
        0 => String::new(),
        n_more => format!(" (and {n_more} more)"),
    };
    let message = text::line(&first.message);
    let line = format!(" ! {name}: {message}{more} ");
    let line = text::head(&line, usize::from(area.width));
    put(buffer, area, 0, Span::styled(line, ink::alarm(app)));
}

pub(super) fn tabs(app: &App, area: Rect, buffer: &mut Buffer) {
    let mut spans = Vec::new();
    for (number, view) in (1..).zip(View::ALL) {
        let count = app.n_in(view);
        let name = format!("{number} {} {count}", view.name());
        let style = if view == app.view {
            ink::current(app)
        } else {
            ink::plain()
        };
        spans.push(Span::styled(name, style));
        spans.push(Span::raw(GAP));
    }
    let filter = text::line(&app.filter.text);
    let mut right = Vec::new();
    if app.list().follows && app.detail.is_none() {
        right.push(Span::styled("follows the newest ", ink::faint()));
    }
    if !filter.is_empty() {
        let room = usize::from(area.width).saturating_sub(46);
        let filter = text::head(&filter, room.max(12));
        right.push(Span::styled("filter ", ink::faint()));
        right.push(Span::styled(filter, ink::strong()));
    }
    put_both(buffer, area, 0, spans, right);
}
