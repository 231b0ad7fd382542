//! Inputs as they should be, from which others are made.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::read;

/// One input that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Where it comes from.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Example {
    /// Makes an example.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let (name, bytes) = (name.into(), bytes.into());
        Self { name, bytes }
    }
}

/// Returns each file of a folder as an example, by name, without what is written about them (`.md`).
///
/// # Panics
///
/// If the folder cannot be read.
#[must_use]
pub fn files(folder: &Path) -> Vec<Example> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => panic!("{} cannot be read: {error}", folder.display()),
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.is_file() && path.extension().is_none_or(|ending| ending != "md"));
    paths.sort();
    let example = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Example::new(name, read(path))
    };
    paths.iter().map(example).collect()
}

/// Returns what each line of a JSON-lines file has under a member, as JSON; a text as it is.
///
/// # Panics
///
/// If the file cannot be read, or a line is no JSON. Lines without the member are left out.
#[must_use]
pub fn json_lines(file: &Path, member: &str) -> Vec<Example> {
    let text = read(file);
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let example = |line: &[u8]| {
        let line: Value = match serde_json::from_slice(line) {
            Ok(line) => line,
            Err(error) => panic!("{}: {error}", file.display()),
        };
        let name = line["name"].as_str().or_else(|| line["id"].as_str());
        let name = name.unwrap_or("line").to_owned();
        let bytes = match line.get(member)? {
            Value::String(text) => text.clone().into_bytes(),
            Value::Array(events) => {
                let lines: Vec<_> = events.iter().map(Value::to_string).collect();
                lines.join("\n").into_bytes()
            }
            other => other.to_string().into_bytes(),
        };
        Some(Example { name, bytes })
    };
    lines.filter_map(example).collect()
}
