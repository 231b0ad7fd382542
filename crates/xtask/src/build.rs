//! Building a program and finding it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::command::cargo;

/// Runs cargo and returns the executables that it says it has made of the targets of these names.
///
/// # Errors
///
/// One line: that they could not be built.
pub(crate) fn executables<const N: usize>(
    root: &Path,
    arguments: &[&str],
    names: [&str; N],
) -> Result<[PathBuf; N], String> {
    println!("$ cargo {}", arguments.join(" "));
    let output = cargo()
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo ended with {}", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut found = names.map(|_| PathBuf::new());
    for (path, name) in found.iter_mut().zip(names) {
        *path = find(&messages, name)
            .ok_or_else(|| format!("cargo names no executable of '{name}'"))?;
    }
    Ok(found)
}

pub(crate) fn find(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        if message["target"]["name"] != name {
            return None;
        }
        message["executable"].as_str().map(PathBuf::from)
    })
}
