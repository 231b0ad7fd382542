//! Ending all streams before the process does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// Tells streams that the process is going away. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    begun: Arc<watch::Sender<Option<Instant>>>,
    /// The same without a lock, for those who ask with each event.
    has_begun: Arc<AtomicBool>,
    window: Duration,
}

impl Drain {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            begun: Arc::new(watch::Sender::new(None)),
            has_begun: Arc::default(),
            window,
        }
    }

    pub(crate) fn begin(&self) {
        // The window counts from the first call.
        self.begun
            .send_if_modified(|begun| begun.is_none() && begun.replace(Instant::now()).is_none());
        self.has_begun.store(true, Ordering::Release);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.borrow().is_some()
    }

    /// Waits until the drain begins.
    pub(crate) async fn begun(&self) {
        let mut begun = self.begun.subscribe();
        // The sender lives as long as this handle.
        let _ = begun.wait_for(Option::is_some).await;
    }

    /// Draws when one stream ends, once the drain has begun: within nine tenths of the window, so that clients do not
    /// all come back at once. It counts from the beginning of the drain, however late a stream learns of it.
    pub(crate) fn draw_end(&self) -> Option<Instant> {
        if !self.has_begun.load(Ordering::Acquire) {
            return None;
        }
        let begun = (*self.begun.borrow())?;
        Some(begun + self.window.mul_f64(0.9 * fastrand::f64()))
    }
}
