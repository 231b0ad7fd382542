//! Waiting with a limit.

use std::future::Future;
use std::io;
use std::time::Duration;

/// Long enough for any step of a test on a busy machine; a step that works takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `step`, at most `limit`.
///
/// # Errors
///
/// The step's own error, or `TimedOut` that names `what` was waited for.
///
/// # Cancel safety
///
/// Dropping the future drops `step` and nothing else.
pub async fn within<T>(
    what: &str,
    limit: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| {
        let text = format!("waited {limit:?} for {what}");
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}
