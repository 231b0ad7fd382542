//! The results as Markdown.

use std::fmt::Write as _;

use super::BenchRequest;
use super::cell::{Cell, Figure};
use super::figures::{Results, Spread};

/// Writes one table for each cell.
pub(super) fn text(all: &[(&Cell, Results)], request: &BenchRequest, notes: &[String]) -> String {
    let mut text = format!(
        "Medians of {} rounds; in brackets the least and the most. Ratios are taken within a round, to the first server \
         of each table.\n",
        request.n_rounds
    );
    if request.is_quick {
        text.push_str("A quick run: a tenth of the load, good to see that everything works.\n");
    }
    for note in notes {
        text.push_str(note);
        text.push('\n');
    }
    for (cell, results) in all {
        text.push_str(&of_cell(cell, results));
    }
    text
}

fn of_cell(cell: &Cell, results: &Results) -> String {
    let mut text = format!(
        "\n**{}** (`{}`)\n\n| server | {} | ratio | p50 | p99 | delivered a second |\n|---|---:|---:|---:|---:|---:|\n",
        cell.title,
        cell.name,
        cell.figure.text()
    );
    let base = cell.servers[0];
    for server in results.servers() {
        let spread = |number: fn(&super::figures::Sample) -> f64| results.spread(server, number);
        let figure = spread(|of| of.figure).map_or_else(String::new, |spread| {
            let Spread {
                median,
                least,
                most,
            } = spread;
            format!("{} [{} .. {}]", count(median), count(least), count(most))
        });
        let ratio = results
            .ratio(server, base)
            .map_or_else(String::new, |spread| {
                let Spread {
                    median,
                    least,
                    most,
                } = spread;
                format!("{median:.2} [{least:.2} .. {most:.2}]")
            });
        // Of connections without events there is neither.
        let of_events = |text: Option<String>| match cell.figure {
            Figure::Memory => String::new(),
            Figure::PerCpuSecond | Figure::Latency => text.unwrap_or_default(),
        };
        let p50 = of_events(spread(|of| of.p50_us as f64).map(|of| time(of.median)));
        let p99 = of_events(spread(|of| of.p99_us as f64).map(|of| time(of.median)));
        let rate = of_events(spread(|of| of.per_second).map(|of| count(of.median)));
        let faults = match results.n_faults(server) {
            0 => String::new(),
            n_faults => format!(" ({n_faults} lost, duplicated or out of order)"),
        };
        let name = server.name();
        // Writing to a string does not fail.
        let _infallible = writeln!(
            text,
            "| {name}{faults} | {figure} | {ratio} | {p50} | {p99} | {rate} |"
        );
    }
    text
}

/// Writes a number with three digits that count.
pub(super) fn count(number: f64) -> String {
    match number {
        number if number >= 999_500.0 => format!("{} M", three_digits(number / 1e6)),
        number if number >= 9_995.0 => format!("{} k", three_digits(number / 1e3)),
        number => format!("{number:.0}"),
    }
}

fn three_digits(number: f64) -> String {
    let n_decimals = match number {
        number if number >= 99.95 => 0,
        number if number >= 9.995 => 1,
        _ => 2,
    };
    format!("{number:.n_decimals$}")
}

/// Writes microseconds.
fn time(us: f64) -> String {
    if us >= 1_000.0 {
        format!("{} ms", three_digits(us / 1_000.0))
    } else {
        format!("{us:.0} µs")
    }
}
