//! The results as a picture: for each cell one bar for each server, drawn to the longest of the cell.

use std::fmt::Write as _;

use super::cell::{Cell, Figure};
use super::figures::Results;
use super::server::Server;
use super::table::count;

const WIDTH: u32 = 760;
const MARGIN: u32 = 16;
/// Where bars begin, and how long the longest is.
const BARS: u32 = 210;
const LONGEST: u32 = 420;
const BAR: u32 = 18;
const TITLE: u32 = 34;
const BETWEEN: u32 = 12;

/// Text takes the colour of the page's mode; the colours of bars are read on both.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}.s{fill:#57606a}\
                     .o{fill:#8c959f}.e{fill:#2f81f7}\
                     @media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9da7b3}.o{fill:#6e7681}}";

/// Draws all cells below each other.
pub(super) fn svg(all: &[(&Cell, Results)]) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    for (cell, results) in all {
        y += TITLE;
        draw(&mut body, y, cell, results);
        let n_bars = u32::try_from(results.servers().count()).unwrap_or(0);
        y += n_bars * (BAR + 4) + BETWEEN;
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\"><title>Servers under the same load</title><style>{STYLE}</style>\n{body}</svg>\n"
    )
}

fn draw(body: &mut String, y: u32, cell: &Cell, results: &Results) {
    let is_less_better = cell.figure != Figure::PerCpuSecond;
    let better = if is_less_better {
        "less is better"
    } else {
        "more is better"
    };
    // Writing to a string does not fail.
    let _infallible = writeln!(
        body,
        "<text class=\"t\" x=\"{MARGIN}\" y=\"{}\">{}</text>\n<text class=\"s\" x=\"{MARGIN}\" y=\"{}\">{}; {better}</text>",
        y - 20,
        escape(cell.title),
        y - 4,
        escape(cell.figure.text()),
    );
    let median = |server: Server| {
        let spread = results.spread(server, |sample| sample.figure);
        spread.map_or(0.0, |spread| spread.median)
    };
    let longest = results.servers().map(median).fold(0.0, f64::max);
    for (number, server) in (0..).zip(results.servers()) {
        let top = y + 4 + number * (BAR + 4);
        let value = median(server);
        let length = if longest > 0.0 {
            value / longest * f64::from(LONGEST)
        } else {
            0.0
        };
        let is_ours = server.name().starts_with("events");
        let class = if is_ours { "e" } else { "o" };
        let (middle, end) = (top + 13, f64::from(BARS) + length + 6.0);
        let _infallible = writeln!(
            body,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text><rect class=\"{class}\" x=\"{BARS}\" \
             y=\"{top}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/><text x=\"{end:.1}\" y=\"{middle}\">{}</text>",
            BARS - 8,
            escape(server.name()),
            count(value),
        );
    }
}

/// Writes text so that XML takes it as text.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
