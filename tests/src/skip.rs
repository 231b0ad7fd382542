//! Tests that need something from outside: found, skipped aloud, or failed.

use std::io::Write;
use std::path::PathBuf;

/// The variable with which a missing engine or client is a failure.
pub const REQUIRE_ALL: &str = "EVENTS_REQUIRE_ALL";

/// Hands on what a test needs; when it is not there, says so in one line.
///
/// ```
/// let Some(node) = events_tests::skip::require("a_test", "Node.js", Some("/usr/bin/node")) else {
///     return;
/// };
/// assert_eq!(node, "/usr/bin/node");
/// ```
///
/// # Panics
///
/// When it is missing and `EVENTS_REQUIRE_ALL` is `1`.
pub fn require<T>(name: &str, what: &str, found: Option<T>) -> Option<T> {
    let is_required = std::env::var_os(REQUIRE_ALL).is_some_and(|value| value == "1");
    decide(name, what, found, is_required, &mut std::io::stderr())
}

fn decide<T>(
    name: &str,
    what: &str,
    found: Option<T>,
    is_required: bool,
    output: &mut impl Write,
) -> Option<T> {
    if found.is_none() {
        assert!(
            !is_required,
            "{name} needs {what}, and {REQUIRE_ALL}=1 (run `cargo xtask setup`)"
        );
        // Written to the stream itself: the test runner swallows what passing tests print.
        // Without a standard error there is nobody to tell.
        drop(writeln!(output, "skipped: {name} needs {what}"));
    }
    found
}

/// Returns the workspace's root folder.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or_else(|| tests.clone(), PathBuf::from)
}

/// Finds Node.js.
#[must_use]
pub fn node() -> Option<PathBuf> {
    program("node")
}

/// Finds the folder with the packages of an official client, such as `agui-1.0`: under
/// `EVENTS_CLIENTS`, or where `cargo xtask setup` puts it.
#[must_use]
pub fn client_packages(client: &str) -> Option<PathBuf> {
    let folder = clients().join(client);
    folder.join("node_modules").is_dir().then_some(folder)
}

/// Finds the Python that has the packages of an official client, such as `a2a-py`: where
/// [`client_packages`] looks.
#[must_use]
pub fn client_python(client: &str) -> Option<PathBuf> {
    let python = clients().join(client).join("bin/python");
    python.is_file().then_some(python)
}

/// Finds a NATS server: where [`client_packages`] looks, or in the search path.
#[must_use]
pub fn nats_server() -> Option<PathBuf> {
    let installed = clients().join("nats/bin/nats-server");
    installed
        .is_file()
        .then_some(installed)
        .or_else(|| program("nats-server"))
}

fn clients() -> PathBuf {
    std::env::var_os("EVENTS_CLIENTS")
        .map_or_else(|| workspace_root().join("target/xtask"), PathBuf::from)
}

/// Finds a browser: the one that `EVENTS_CHROMIUM` names, or one of the Chromium family.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("EVENTS_CHROMIUM") {
        return Some(PathBuf::from(path));
    }
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ]
    .into_iter()
    .find_map(program)
}

/// Finds a program in the search path.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_one_line() {
        let mut output = Vec::new();
        assert_eq!(
            decide::<u8>("a_test", "an engine", None, false, &mut output),
            None
        );
        assert_eq!(output, b"skipped: a_test needs an engine\n");
    }

    #[test]
    fn what_is_there_is_handed_on_silently() {
        let mut output = Vec::new();
        assert_eq!(
            decide("a_test", "an engine", Some(1), true, &mut output),
            Some(1)
        );
        assert_eq!(output, b"");
    }

    #[test]
    #[should_panic(expected = "a_test needs an engine")]
    fn what_is_missing_is_a_failure_when_everything_is_required() {
        decide::<u8>("a_test", "an engine", None, true, &mut Vec::new());
    }
}
