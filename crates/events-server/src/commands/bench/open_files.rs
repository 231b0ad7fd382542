//! Whether the process may have as many sockets as it is asked for.

use crate::Failure;

/// What is open beside sockets: standard streams, the runtime's own, a file that is just being read.
const RESERVED: u64 = 32;

/// Raises the limit of open files as far as it may be raised without privileges.
///
/// # Errors
///
/// [`Failure::Usage`] if it does not allow so many connections.
pub(super) fn allow(n_connections: u64) -> Result<(), Failure> {
    check(n_connections, raised_limit())
}

pub(super) fn check(n_connections: u64, limit: Option<u64>) -> Result<(), Failure> {
    let Some(limit) = limit else { return Ok(()) };
    let n_allowed = limit.saturating_sub(RESERVED);
    if n_connections <= n_allowed {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{n_connections} connections do not fit into the limit of open files, which is {limit} (ulimit -n) and leaves \
         {n_allowed}: lower --watched, --connections-per-user, --slow or --stalled, or raise the limit"
    )))
}

#[cfg(unix)]
fn raised_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

#[cfg(not(unix))]
const fn raised_limit() -> Option<u64> {
    None
}
