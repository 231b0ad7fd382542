//! How many connections the process can hold.

/// What is left for files, logs and engines, in percent.
const RESERVE_PERCENT: u64 = 20;

/// A process without a limit of its own stops here.
const UNLIMITED: u64 = 1_000_000;

/// Returns how many connections fit into the limit of open files (`ulimit -n`).
pub(super) fn max_connections() -> usize {
    of_open_files(open_files())
}

#[cfg(unix)]
fn open_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
const fn open_files() -> Option<u64> {
    None
}

fn of_open_files(limit: Option<u64>) -> usize {
    let limit = limit.unwrap_or(UNLIMITED).min(UNLIMITED);
    usize::try_from(limit - limit * RESERVE_PERCENT / 100)
        .unwrap_or(usize::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_open_files_is_kept() {
        assert_eq!(of_open_files(Some(1_024)), 820);
        assert_eq!(of_open_files(Some(256)), 205);
        assert_eq!(of_open_files(Some(0)), 1);
        assert_eq!(of_open_files(None), 800_000);
        assert_eq!(of_open_files(Some(u64::MAX)), 800_000);
    }
}
