//! Processes and accounts of the system.

use std::{
    fs, io,
    process::{Command, Stdio},
};

use crate::{
    deadline::{PATIENCE, within},
    standstill,
};

/// The account that the server runs as; it refuses to be root's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Root's tests run the server as `postgres`, or as `nobody`.
pub(super) fn account() -> io::Result<Option<Account>> {
    if id(&["-u"])? != Some(0) {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Some(uid), Some(gid)) = (id(&["-u", name])?, id(&["-g", name])?) {
            return Ok(Some(Account { uid, gid }));
        }
    }
    Err(io::Error::other("no account that PostgreSQL can run as"))
}

pub(super) fn id(arguments: &[&str]) -> io::Result<Option<u32>> {
    let output = Command::new("id")
        .args(arguments)
        .stderr(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().ok())
}

/// The process and its children.
pub(super) fn processes(id: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|child| child.parse().ok());
    std::iter::once(id).chain(children).collect()
}

/// A process that has ended and that nobody has waited for does not run.
pub(super) fn is_running(id: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    state
        .rsplit(')')
        .next()
        .is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty())
}

/// Signals the server, the first of them, and its children.
pub(super) async fn signal(name: &str, ids: &[u32]) -> io::Result<()> {
    let kill = async |id: u32| {
        let mut kill = Command::new("kill");
        run(kill.args(["-s", name, &id.to_string()])).await
    };
    for (at, id) in ids.iter().copied().enumerate() {
        if let Err(error) = kill(id).await {
            // A child may have ended since it was listed, as backends do when their client leaves.
            if at == 0 || is_running(id) {
                return Err(error);
            }
        }
    }
    for id in ids {
        standstill::after_signal(name, *id).await?;
    }
    Ok(())
}

/// Runs a program to its end and returns its output.
pub(super) async fn run(command: &mut Command) -> io::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let command = std::mem::replace(command, Command::new(&name));
    let mut command: tokio::process::Command = command.into();
    let output = command.kill_on_drop(true).output();
    let output = within(&name, PATIENCE * 3, output).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{name}: {}", text.trim_end())))
}
