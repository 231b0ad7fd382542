//! A hub that wants tokens, and tokens for it as its operator makes them.

use std::io;

use tokio::process::Command;

use crate::deadline::{PATIENCE, within};
use crate::server_process::{ServerProcess, events_binary};

/// What tokens are signed with.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef-for-tests";

/// Starts `events serve` on a free port, with [`SECRET`].
///
/// # Errors
///
/// As [`ServerProcess::events`].
///
/// # Cancel safety
///
/// As [`ServerProcess::events`].
pub async fn hub() -> io::Result<ServerProcess> {
    let arguments = ["serve", "--listen", "127.0.0.1:0"];
    ServerProcess::events(&arguments, &[("EVENTS_AUTH__SECRET", SECRET)]).await
}

/// Makes a token with `events token`; `further` are its other options.
///
/// # Errors
///
/// When the program cannot be run, or refuses.
///
/// # Cancel safety
///
/// Dropping the future kills the process.
pub async fn token(user: &str, further: &[&str]) -> io::Result<String> {
    let mut command = Command::new(events_binary().await?);
    command.args(["token", "--user", user]).args(further);
    command
        .env("EVENTS_AUTH__SECRET", SECRET)
        .kill_on_drop(true);
    let output = within("a token", PATIENCE, command.output()).await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("no token for {user}: {said}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
