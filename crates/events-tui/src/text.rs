//! Foreign text, made fit for a cell of a terminal.
//!
//! What models, errors and names say is not trusted: it may try to move the cursor, to change colours or the title, to
//! turn the order of what is read, or to hide. Nothing of that is left, and what is left is measured as the terminal
//! draws it.

#[cfg(test)]
mod tests;

use ratatui::buffer::CellWidth as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Marks where a text was cut.
const CUT: &str = "…";
/// The longest control sequence that is taken out whole, in bytes; of a longer one only its beginning is.
const LONGEST_SEQUENCE: usize = 256;
/// Marks on one character that are kept; more of them only pile up over the lines around.
const MAX_MARKS: u8 = 2;
const ESCAPE: char = '\u{1b}';

/// Makes one line of a text: no control characters, no sequences of them, no characters that nobody sees.
pub(crate) fn line(text: &str) -> String {
    clean(text, false)
}

/// Makes lines of a text, separated by `\n`, each as [`line`] would make it.
pub(crate) fn lines(text: &str) -> String {
    clean(text, true)
}

fn clean(text: &str, keeps_lines: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    let mut n_marks = 0;
    while let Some(c) = rest.chars().next() {
        let n_bytes = sequence(rest).unwrap_or(c.len_utf8());
        let is_sequence = n_bytes > c.len_utf8();
        rest = rest.get(n_bytes..).unwrap_or_default();
        if is_sequence {
            continue;
        }
        let shown = match c {
            // The line feed behind it makes the line.
            '\r' if rest.starts_with('\n') => continue,
            '\n' | '\u{2028}' | '\u{2029}' if keeps_lines => '\n',
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' | '\u{85}' => ' ',
            ESCAPE => '␛',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c if is_hidden(c) => continue,
            c => c,
        };
        if is_mark(shown) {
            // The first would sit on what is drawn before the text.
            let has_base = clean.chars().next_back().is_some_and(|last| last != '\n');
            n_marks += 1;
            if !has_base || n_marks > MAX_MARKS {
                continue;
            }
        } else {
            n_marks = 0;
        }
        clean.push(shown);
    }
    clean
}

/// Whether a character changes others without being seen: it joins them, turns their order, chooses their look, or
/// takes a place and shows nothing.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is drawn on the one before it.
fn is_mark(c: char) -> bool {
    let mut bytes = [0; 4];
    !c.is_ascii() && c.encode_utf8(&mut bytes).cell_width() == 0
}

/// The length of the control sequence that the text begins with, in bytes, by ECMA-48.
fn sequence(text: &str) -> Option<usize> {
    let mut chars = text
        .char_indices()
        .take_while(|(at, _)| *at < LONGEST_SEQUENCE);
    let kind = match chars.next()?.1 {
        ESCAPE => chars.next()?.1,
        '\u{9b}' => '[',
        '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => ']',
        _ => return None,
    };
    let end = match kind {
        '[' => chars.find(|(_, c)| !matches!(c, ' '..='?'))?,
        ']' | 'P' | 'X' | '^' | '_' => {
            let mut was_escape = false;
            chars.find(|(_, c)| {
                let is_end = matches!(c, '\u{7}' | '\u{9c}') || (was_escape && *c == '\\');
                was_escape = *c == ESCAPE;
                is_end
            })?
        }
        ' '..='/' => chars.find(|(_, c)| !matches!(c, ' '..='/'))?,
        '0'..='~' => return Some(2),
        _ => return None,
    };
    // A character that no sequence can have: it was none.
    let is_string = matches!(kind, ']' | 'P' | 'X' | '^' | '_');
    let is_whole = is_string || matches!(end.1, '0'..='~');
    is_whole.then_some(end.0 + end.1.len_utf8())
}

/// The columns that a cleaned text of one line takes.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true).map(width_of).sum()
}

fn width_of(grapheme: &str) -> usize {
    usize::from(grapheme.cell_width())
}

/// Keeps as much of the beginning of a cleaned text as fits, with a mark where it is cut.
pub(crate) fn head(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut left = columns.saturating_sub(1);
    for grapheme in text.graphemes(true) {
        let Some(rest) = left.checked_sub(width_of(grapheme)) else {
            break;
        };
        left = rest;
        kept.push_str(grapheme);
    }
    if columns > 0 {
        kept.push_str(CUT);
    }
    kept
}

/// Keeps as much of the end of a cleaned text as fits, with a mark where it is cut.
pub(crate) fn tail(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let mut from = text.len();
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        let Some(rest) = left.checked_sub(width_of(grapheme)) else {
            break;
        };
        left = rest;
        from = at;
    }
    let kept = text.get(from..).unwrap_or_default();
    if columns == 0 {
        return String::new();
    }
    format!("{CUT}{kept}")
}

/// Breaks cleaned lines so that none is wider than `columns`, between words where it can.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    text.split('\n')
        .flat_map(|line| wrap_line(line, columns))
        .collect()
}

fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let mut broken = Vec::new();
    let mut current = String::new();
    let mut n_columns = 0;
    // Where a word begins that may go to the next line.
    let mut word = 0;
    for grapheme in line.graphemes(true) {
        let n_more = width_of(grapheme);
        if n_columns + n_more > columns {
            if grapheme == " " {
                broken.push(std::mem::take(&mut current));
                (n_columns, word) = (0, 0);
                continue;
            }
            let rest = if word > 0 {
                current.split_off(word)
            } else {
                String::new()
            };
            broken.push(current.trim_end().to_owned());
            n_columns = width(&rest);
            current = rest;
            word = 0;
            // A word that filled the line alone leaves no room for what is wide.
            if n_columns + n_more > columns {
                broken.push(std::mem::take(&mut current));
                n_columns = 0;
            }
        }
        current.push_str(grapheme);
        n_columns += n_more;
        if grapheme == " " {
            word = current.len();
        }
    }
    broken.push(current);
    broken
}

/// The largest prefix of at most `n_bytes` bytes.
pub(crate) fn prefix(text: &str, n_bytes: usize) -> &str {
    let mut end = n_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The largest suffix of at most `n_bytes` bytes.
pub(crate) fn suffix(text: &str, n_bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(n_bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}
