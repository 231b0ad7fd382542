//! Building a program and finding it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs cargo and returns the executable that it says it has made of the target of this name.
///
/// # Errors
///
/// One line: that it could not be built.
pub(super) fn executable(root: &Path, name: &str, arguments: &[&str]) -> Result<PathBuf, String> {
    println!("$ cargo {}", arguments.join(" "));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cannot build '{name}': cargo ended with {}",
            output.status
        ));
    }
    find(&String::from_utf8_lossy(&output.stdout), name)
        .ok_or_else(|| format!("cargo names no executable of '{name}'"))
}

pub(super) fn find(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        if message["target"]["name"] != name {
            return None;
        }
        message["executable"].as_str().map(PathBuf::from)
    })
}
