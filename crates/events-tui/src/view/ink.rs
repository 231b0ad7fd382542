//! Colours, and what stands for them where there are none.

use ratatui::style::{Color, Modifier, Style};

use crate::{app::App, model::Outcome};

fn coloured(app: &App, colour: Color) -> Style {
    if app.is_colourful {
        Style::new().fg(colour)
    } else {
        Style::new()
    }
}

pub(super) const fn plain() -> Style {
    Style::new()
}

pub(super) const fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// For what is less important.
pub(super) const fn faint() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// For the row of the cursor, and what is chosen.
pub(super) const fn chosen() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

/// For the name of a list that is shown, and of the column it is sorted by.
pub(super) fn current(app: &App) -> Style {
    coloured(app, Color::Cyan)
        .add_modifier(Modifier::BOLD)
        .add_modifier(Modifier::UNDERLINED)
}

/// For what somebody should look at now.
pub(super) fn alarm(app: &App) -> Style {
    coloured(app, Color::Red)
        .add_modifier(Modifier::BOLD)
        .add_modifier(Modifier::REVERSED)
}

pub(super) fn bad(app: &App) -> Style {
    coloured(app, Color::Red)
}

pub(super) fn doubtful(app: &App) -> Style {
    coloured(app, Color::Yellow)
}

pub(super) fn good(app: &App) -> Style {
    coloured(app, Color::Green)
}

pub(super) fn bar(app: &App) -> Style {
    coloured(app, Color::Cyan)
}

pub(super) fn outcome(app: &App, outcome: Outcome) -> Style {
    match outcome {
        Outcome::Waiting | Outcome::Cancelled => doubtful(app),
        Outcome::Streaming => good(app),
        Outcome::Completed => plain(),
        Outcome::Failed => bad(app),
    }
}
