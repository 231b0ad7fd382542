//! Being asked to stop: once for a clean end, twice for an end at once.

use std::{future::pending, io};

use tokio::{sync::watch, task::JoinSet};

/// Asks a hub to stop; dropping it asks for nothing.
#[derive(Debug)]
pub struct Stop(watch::Sender<u32>);

/// The requests to stop so far, and those to come. A cheap handle; a lost [`Stop`] means that none will come.
#[derive(Clone, Debug)]
pub struct StopRequests(watch::Receiver<u32>);

/// Makes a way to ask a hub to stop.
#[must_use]
pub fn stop_channel() -> (Stop, StopRequests) {
    let (sender, receiver) = watch::channel(0);
    (Stop(sender), StopRequests(receiver))
}

impl Stop {
    /// Asks to stop; the second time, to stop at once.
    pub fn request(&self) {
        self.0
            .send_modify(|n_requests| *n_requests = n_requests.saturating_add(1));
    }
}

impl StopRequests {
    /// Waits for the first request.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn first(self) {
        self.at_least(1).await;
    }

    /// Waits for the second request.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn second(self) {
        self.at_least(2).await;
    }

    /// Whether it was asked for already.
    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow() > 0
    }

    async fn at_least(mut self, n_wanted: u32) {
        let is_lost = self
            .0
            .wait_for(|n_requests| *n_requests >= n_wanted)
            .await
            .is_err();
        if is_lost {
            pending::<()>().await;
        }
    }
}

/// Turns the system's signals (SIGTERM and SIGINT) into requests. From here on they no longer kill the process.
///
/// # Errors
///
/// The signals cannot be caught.
pub(crate) fn on_signals(tasks: &mut JoinSet<()>) -> io::Result<StopRequests> {
    let (stop, requests) = stop_channel();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tasks.spawn(async move {
            loop {
                let (came, name) = tokio::select! {
                    came = terminate.recv() => (came, "SIGTERM"),
                    came = interrupt.recv() => (came, "SIGINT"),
                };
                if came.is_none() {
                    break;
                }
                tracing::info!(signal = name, "asked to stop");
                stop.request();
            }
        });
    }
    #[cfg(not(unix))]
    tasks.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            stop.request();
        }
    });
    Ok(requests)
}
