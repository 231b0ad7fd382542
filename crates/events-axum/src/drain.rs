//! Ending all streams before the process does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// Tells streams that the process is going away. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    begun: Arc<watch::Sender<Option<Instant>>>,
    /// The place in the window that was given last, as a fraction of 2^64.
    place: Arc<AtomicU64>,
    /// The same without a lock, for those who ask with each event.
    has_begun: Arc<AtomicBool>,
    window: Duration,
}

/// 2^64 divided by the golden ratio: multiples of it, each without its whole part, divide a circle more evenly than
/// those of any other number, however many there are (Knuth, The Art of Computer Programming, volume 3, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Drain {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            begun: Arc::new(watch::Sender::new(None)),
            place: Arc::new(AtomicU64::new(fastrand::u64(..))),
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

    /// Whether the whole window is over: whoever is still there has not read its end.
    pub(crate) fn is_over(&self) -> bool {
        self.begun
            .borrow()
            .is_some_and(|begun| begun.elapsed() >= self.window)
    }

    /// Waits until the drain begins.
    pub(crate) async fn begun(&self) {
        let mut begun = self.begun.subscribe();
        // The sender lives as long as this handle.
        let _ = begun.wait_for(Option::is_some).await;
    }

    /// Gives one stream its end, once the drain has begun: within nine tenths of the window, so that clients do not
    /// all come back at once. It counts from the beginning of the drain, however late a stream learns of it.
    ///
    /// The ends lie evenly, which those that are drawn do not, and neighbours are far apart.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        if !self.has_begun.load(Ordering::Acquire) {
            return None;
        }
        let begun = (*self.begun.borrow())?;
        let place = self.place.fetch_add(GOLDEN, Ordering::Relaxed);
        // The upper half is exact in an `f64`, and more than enough.
        let place = f64::from(u32::try_from(place >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        Some(begun + self.window.mul_f64(0.9 * place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ends_are_even_however_many_there_are() {
        for n_streams in [40_u32, 500, 5_000] {
            let drain = Drain::new(Duration::from_secs(10));
            assert_eq!(drain.next_end(), None);
            drain.begin();
            let now = Instant::now();
            let mut n_ends = vec![0_u32; 18];
            for _ in 0..n_streams {
                let after = drain.next_end().unwrap() - now;
                let at = usize::try_from(after.as_millis() / 500).unwrap();
                n_ends[at.min(17)] += 1;
            }
            let most = *n_ends.iter().max().unwrap();
            // Of drawn ends 40 streams have six in some half second, and 5,000 have 320.
            assert!(most <= n_streams / 18 + 3, "{n_streams}: {n_ends:?}");
        }
    }
}
