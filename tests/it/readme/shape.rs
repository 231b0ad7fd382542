//! What the documents show beside what a program prints: the same words, other numbers.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Returns the first line of what is shown that nothing printed is like.
pub(super) fn first_missing<'a>(printed: &str, shown: &'a str) -> Option<&'a str> {
    let printed: BTreeSet<String> = printed.lines().map(shape).collect();
    shown.lines().find(|line| !printed.contains(&shape(line)))
}

/// Whether what is shown of a screen is on it: lines without figures as they stand, of the others what they begin with.
pub(super) fn is_on_screen(screen: &str, shown: &str) -> bool {
    shown.lines().all(|line| {
        let word = line.split(' ').next().unwrap_or_default();
        let has_figures = line.contains(|char: char| char.is_ascii_digit());
        screen.lines().any(|on_screen| {
            if has_figures {
                on_screen.starts_with(word)
            } else {
                on_screen.trim_end() == line.trim_end()
            }
        })
    })
}

/// A line without what differs from run to run.
fn shape(line: &str) -> String {
    if let Some(json) = line.strip_prefix("data: ")
        && let Ok(object) = serde_json::from_str::<Map<String, Value>>(json)
    {
        let keys: Vec<&str> = object.keys().map(String::as_str).collect();
        return format!("data: {} {}", object["type"], keys.join(" "));
    }
    if line.starts_with("id: ") {
        return "id: ".to_owned();
    }
    let mut shape = String::new();
    for word in line.split(' ') {
        let is_figure = word.starts_with(|char: char| char.is_ascii_digit() || char == '(');
        match (is_figure, word.trim_end_matches([',', ';', ')'])) {
            (true, _) => shape += "#",
            (false, "ns" | "µs" | "ms" | "s") => continue,
            (false, word) => shape += word,
        }
        shape.push(' ');
    }
    shape
}

#[test]
fn lines_with_other_figures_and_ids_are_alike() {
    let printed = "retry: 1\n\nid: a.1.b\ndata: {\"type\":\"A\",\"b\":1}\nlatency p50 853 µs, max 2 s; lost 0\n";
    assert_eq!(
        first_missing(
            printed,
            "retry: 29\n\nid: c.22.d\ndata: {\"type\":\"A\",\"b\":[]}\nlatency p50 1.5 ms, max 9 ms; lost 0\n"
        ),
        None
    );
    assert_eq!(first_missing(printed, "wait: 29\n"), Some("wait: 29"));
    let other = "data: {\"type\":\"A\",\"c\":1}";
    assert_eq!(first_missing(printed, other), Some(other));
}

#[test]
fn a_screen_has_its_headings_and_rows() {
    let screen = "top  7\nA   B\n●  9s\n";
    assert!(is_on_screen(screen, "top  http1\nA   B\n●  14s"));
    assert!(!is_on_screen(screen, "A   C"));
}
