//! The configuration file, flattened to keys and texts.

use std::{fs, ops::Range, path::Path};

use toml::de::{DeTable, DeValue};

use super::{ConfigError, Origin, sources::Entry};

/// Reads a file and lists its values with their lines.
pub(super) fn entries(path: &Path) -> Result<Vec<Entry>, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

/// Lists the values of a text; `path` is only named.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| ConfigError::NotToml {
        path: path.to_owned(),
        line: line_of(text, error.span().unwrap_or_default()),
        reason: error.message().replace('\n', ", "),
    })?;
    let mut flat = Flat {
        path,
        text,
        entries: Vec::new(),
    };
    flat.table("", table.get_ref());
    // In the order of the text, so that the first mistake in it is the one that is told.
    flat.entries.sort_by_key(|(position, _)| *position);
    Ok(flat.entries.into_iter().map(|(_, entry)| entry).collect())
}

struct Flat<'a> {
    path: &'a Path,
    text: &'a str,
    /// With their positions, in bytes.
    entries: Vec<(usize, Entry)>,
}

impl Flat<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            match value.get_ref() {
                // An empty table is kept, so that a misspelt name does not pass for nothing.
                DeValue::Table(inner) if !inner.is_empty() => {
                    self.table(&format!("{key}."), inner);
                }
                DeValue::Table(_) if is_table(&key) => {}
                value => {
                    let line = line_of(self.text, name.span());
                    let entry = Entry {
                        key,
                        text: show(value),
                        origin: Origin::File(self.path.to_owned(), line),
                    };
                    self.entries.push((name.span().start, entry));
                }
            }
        }
    }
}

fn is_table(key: &str) -> bool {
    matches!(key, "llm.providers" | "agui.agents")
        || super::KEYS.iter().any(|known| is_below(known.name, key))
}

fn is_below(key: &str, table: &str) -> bool {
    key.strip_prefix(table)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// Writes a value as it would stand in a variable. What no key takes is written so that none does.
fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.to_string(), |number| number.to_string()),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "[…]".to_owned(),
        DeValue::Table(_) => "{…}".to_owned(),
    }
}

/// The line of a position, counted from 1.
fn line_of(text: &str, span: Range<usize>) -> usize {
    text.bytes()
        .take(span.start)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}
