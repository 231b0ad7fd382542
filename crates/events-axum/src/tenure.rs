//! For how long an answer may go on.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::RequestContext;

/// The longest time that is waited for; whatever holds longer is as good as for ever.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Since when and until when somebody may do what they do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tenure {
    /// In milliseconds since the Unix epoch: a later revocation ends it.
    pub(crate) issued_ms: Option<i64>,
    pub(crate) until: Option<Instant>,
}

impl Tenure {
    /// Reads a context, at this time in milliseconds since the Unix epoch.
    pub(crate) fn of(context: &RequestContext, now_ms: i64) -> Self {
        let left = |expires_ms: i64| {
            let left_ms = expires_ms.saturating_sub(now_ms).max(0);
            Duration::from_millis(left_ms.unsigned_abs())
        };
        let left = context.expires_ms().map(left);
        Self {
            issued_ms: context.issued_ms(),
            until: left
                .filter(|left| *left <= MAX_WAIT)
                .map(|left| Instant::now() + left),
        }
    }

    /// Waits for the end.
    pub(crate) async fn ended(self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => pending().await,
        }
    }
}
