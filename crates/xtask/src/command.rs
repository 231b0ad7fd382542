//! Running other programs: printed first, quiet about nothing, errors in one line.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a command line to its end with our own output streams.
///
/// # Errors
///
/// One line: the command could not be started, or how it ended.
pub(crate) fn run(root: &Path, environment: &[(&str, &str)], line: &str) -> Result<(), String> {
    let status = command(root, environment, line)?
        .status()
        .map_err(|error| format!("cannot start '{line}': {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("'{line}' ended with {status}"))
    }
}

/// Runs a command line to its end, passing each line of its standard output on and to `each_line`.
///
/// # Errors
///
/// One line: the command could not be started, or how it ended.
pub(crate) fn run_watched(
    root: &Path,
    environment: &[(&str, &str)],
    line: &str,
    mut each_line: impl FnMut(&str),
) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot run '{line}': {error}");
    let mut child = command(root, environment, line)?
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdout = io::stdout().lock();
    if let Some(output) = child.stdout.take() {
        // Bytes, since a test may print what is not UTF-8.
        for output_line in BufReader::new(output).split(b'\n') {
            let output_line = output_line.map_err(failed)?;
            stdout
                .write_all(&output_line)
                .and_then(|()| stdout.write_all(b"\n"))
                .map_err(failed)?;
            each_line(&String::from_utf8_lossy(&output_line));
        }
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("'{line}' ended with {status}"))
    }
}

fn command(root: &Path, environment: &[(&str, &str)], line: &str) -> Result<Command, String> {
    let mut words = line.split_whitespace();
    let program = words.next().ok_or("an empty command")?;
    let variables: String = environment
        .iter()
        .map(|(name, value)| format!("{name}='{value}' "))
        .collect();
    println!("$ {variables}{line}");
    let mut command = if program == "cargo" {
        cargo()
    } else {
        Command::new(program)
    };
    command
        .args(words)
        .current_dir(root)
        .envs(environment.iter().copied());
    Ok(command)
}

/// Returns the cargo that started us rather than the first one in the path, for a command in which nothing is said of
/// our own package: build scripts may look at that, as ring's does, and half of all crates would be built anew.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_of_package = |name: &OsString| {
        let name = name.to_string_lossy();
        ["CARGO_MANIFEST_", "CARGO_PKG_"]
            .iter()
            .any(|begin| name.starts_with(begin))
    };
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(is_of_package) {
        cargo.env_remove(name);
    }
    cargo
}

/// Finds a program in the search path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
