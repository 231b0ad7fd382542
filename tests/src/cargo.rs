//! Cargo, from a program that cargo has started.

use std::ffi::OsString;

use tokio::process::Command;

/// What cargo tells the programs that it starts of their package.
const OF_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// Returns the cargo that runs the tests, for a command in which nothing is said of their own package.
///
/// Build scripts may look at that, as ring's does: half of all crates would be built anew each time that cargo is
/// called by a test and then by a person.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let is_of_package = |name: &OsString| {
        let name = name.to_string_lossy();
        OF_PACKAGE.iter().any(|begin| name.starts_with(begin))
    };
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(is_of_package) {
        cargo.env_remove(name);
    }
    cargo
}
