//! What a rig says of itself: one line, the same in the short form and in the long one.

use std::fmt;

/// What every such line begins with; `cargo xtask soak` collects them.
pub const MARK: &str = "soak: ";

/// Tells whether this is the long form.
#[must_use]
pub fn is_soak() -> bool {
    std::env::var_os("EVENTS_SOAK").is_some_and(|value| value == "1")
}

/// Prints the line of a rig. Its columns are parted by ` | `, the first is its name.
#[expect(clippy::print_stdout, reason = "whoever runs the rig reads it")]
pub fn say(line: &impl fmt::Display) {
    println!("{MARK}{line}");
}
