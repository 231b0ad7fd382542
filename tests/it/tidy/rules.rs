//! The rules, and just enough reading of Rust to keep comments and strings out of them.

/// A file with more lines than this has to say why.
const MAX_LINES: usize = 400;

/// How the top of a longer file says why it is one file.
const REASON: &str = "Over 400 lines because";

/// Headings that every `lib.rs` has.
const HEADINGS: [&str; 2] = ["# What this crate does not do", "# Invariants"];

/// The harness may wait: it is what makes time pass for the connections under test.
const MAY_SLEEP: [&str; 1] = ["tests/src/fault_proxy/pump.rs"];

/// Returns what is wrong with one file, as `PATH:LINE: TEXT`.
pub(super) fn findings(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |line: usize, what: &str| found.push(format!("{path}:{line}: {what}"));
    if path.ends_with("src/lib.rs") {
        for heading in HEADINGS {
            if !text
                .lines()
                .any(|line| line.strip_prefix("//! ") == Some(heading))
            {
                add(1, &format!("no heading '{heading}'"));
            }
        }
    }
    let n_lines = text.lines().count();
    let mut top = text
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("//"));
    if n_lines > MAX_LINES && !top.any(|line| line.contains(REASON)) {
        add(
            1,
            &format!("{n_lines} lines: split it, or say '{REASON} …' at its top"),
        );
    }
    let code = code_only(text);
    let first_test_line = first_line_of_tests(path, &code);
    for (index, line) in code.lines().enumerate() {
        let number = index + 1;
        if line.contains("#[ignore") {
            add(number, "an ignored test: find what it needs, or skip aloud");
        }
        if has_call(line, "todo!") || has_call(line, "unimplemented!") {
            add(number, "unfinished code");
        }
        if ["tokio::spawn", "task::spawn"]
            .iter()
            .any(|spawn| has_call(line, spawn))
        {
            add(
                number,
                "a bare spawn: spawn on a JoinSet that somebody owns",
            );
        }
        let is_test = first_test_line.is_some_and(|first| number >= first);
        let is_sleep = ["sleep", "sleep_until"]
            .iter()
            .any(|sleep| has_call(line, sleep));
        if is_test && is_sleep && !MAY_SLEEP.contains(&path) {
            add(
                number,
                "a test sleeps: wait for what it waits for, with a limit",
            );
        }
    }
    found
}

/// The first line (from 1) that is test code: the whole file, or from an inline module of tests on.
fn first_line_of_tests(path: &str, code: &str) -> Option<usize> {
    let is_test_file = path.starts_with("tests/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs");
    if is_test_file {
        return Some(1);
    }
    let lines: Vec<&str> = code.lines().collect();
    let is_inline = |pair: &[&str]| {
        pair.first()
            .is_some_and(|line| line.trim() == "#[cfg(test)]")
            && pair
                .last()
                .is_some_and(|line| line.contains("mod ") && line.contains('{'))
    };
    lines.windows(2).position(is_inline).map(|index| index + 1)
}

/// Whether a line calls exactly this: not a longer name, on either side.
fn has_call(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(start, _)| {
        let before = line
            .get(..start)
            .and_then(|before| before.chars().next_back());
        let after = line
            .get(start + name.len()..)
            .and_then(|after| after.chars().next());
        after == Some('(') && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Blanks comments and the insides of strings and characters; lines stay where they are.
fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut index = 0;
    while index < chars.len() {
        let is_name_before = index > 0 && (at(index - 1).is_alphanumeric() || at(index - 1) == '_');
        let end = match (at(index), at(index + 1)) {
            ('/', '/') => line_comment(&chars, index),
            ('/', '*') => block_comment(&chars, index),
            ('"', _) => string(&chars, index),
            ('r', '"' | '#') if !is_name_before || at(index - 1) == 'b' => {
                raw_string(&chars, index)
            }
            ('\'', '\\') => character(&chars, index),
            ('\'', _) if at(index + 2) == '\'' => index + 3,
            _ => index,
        };
        if end <= index {
            code.push(at(index));
            index += 1;
            continue;
        }
        for skipped in index..end {
            code.push(if at(skipped) == '\n' { '\n' } else { ' ' });
        }
        index = end;
    }
    code
}

fn line_comment(chars: &[char], start: usize) -> usize {
    (start..chars.len())
        .find(|index| chars.get(*index) == Some(&'\n'))
        .unwrap_or(chars.len())
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut index = start;
    while index < chars.len() {
        match (chars.get(index), chars.get(index + 1)) {
            (Some('/'), Some('*')) => depth += 1,
            (Some('*'), Some('/')) => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            break;
        }
    }
    index
}

fn string(chars: &[char], start: usize) -> usize {
    quoted(chars, start, '"')
}

fn character(chars: &[char], start: usize) -> usize {
    quoted(chars, start, '\'')
}

/// The index after the closing quote, escapes passed over.
fn quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut index = start + 1;
    while let Some(c) = chars.get(index) {
        if *c == quote {
            return index + 1;
        }
        index += if *c == '\\' { 2 } else { 1 };
    }
    chars.len()
}

/// The index after a raw string, or `start` when this is a raw identifier or none at all.
fn raw_string(chars: &[char], start: usize) -> usize {
    let n_hashes = chars
        .iter()
        .skip(start + 1)
        .take_while(|c| **c == '#')
        .count();
    let open = start + 1 + n_hashes;
    if chars.get(open) != Some(&'"') {
        return start;
    }
    let closing: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', n_hashes))
        .collect();
    let rest = chars.get(open + 1..).unwrap_or_default();
    rest.windows(closing.len())
        .position(|window| window == closing)
        .map_or(chars.len(), |found| open + 1 + found + closing.len())
}
