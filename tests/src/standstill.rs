//! Processes that are made to stand still.

use std::time::Duration;
use std::{fs, io};

use tokio::time::interval;

use crate::deadline::{PATIENCE, within};

/// Waits until every thread of a process stands still, if this signal is the one that makes it so: `kill` comes back
/// before a thread on another processor has taken the signal, and in that moment it may still answer.
///
/// # Errors
///
/// `TimedOut` when it goes on.
///
/// # Cancel safety
///
/// Nothing is changed.
pub(crate) async fn after_signal(name: &str, id: u32) -> io::Result<()> {
    if name != "STOP" {
        return Ok(());
    }
    let mut ticks = interval(Duration::from_millis(1));
    within("a process that stands still", PATIENCE, async {
        while threads(id).iter().any(|state| is_going_on(state)) {
            ticks.tick().await;
        }
        Ok(())
    })
    .await
}

/// What the system says of each thread; nothing of a process that has ended.
fn threads(id: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{id}/task"));
    let threads = threads.into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok())
        .collect()
}

fn is_going_on(state: &str) -> bool {
    let letter = state
        .rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next());
    !matches!(letter, Some('T' | 't' | 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_runs_or_sleeps_goes_on() {
        for (state, goes_on) in [
            ("7 (nats-server) S 1 7", true),
            ("7 (a) T) R 1 7", true),
            ("7 (nats-server) T 1 7", false),
            ("7 (nats-server) Z 1 7", false),
        ] {
            assert_eq!(is_going_on(state), goes_on, "{state}");
        }
        assert!(
            threads(std::process::id())
                .iter()
                .any(|state| is_going_on(state))
        );
    }
}
