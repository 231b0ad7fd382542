//! The timer of a stream's heartbeat.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    task::coop::has_budget_remaining,
    time::{Instant, Sleep, sleep_until},
};

/// A timer that is looked at with each event and hardly ever fires.
///
/// Asking tokio's timer whether it has fired takes it out of memory and registers the waker again. While its time has
/// not come and the same task asks, that would change nothing, so it is left alone.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    due: Instant,
    timer: Pin<Box<Sleep>>,
    /// Whom the timer wakes when it is due; nobody yet if absent.
    waits: Option<Waker>,
}

impl Heartbeat {
    pub(crate) fn new(due: Instant) -> Self {
        Self {
            due,
            timer: Box::pin(sleep_until(due)),
            waits: None,
        }
    }

    /// Ready when it is due. `now` was asked for since the task was woken: a timer that fires later wakes it once more.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        let is_same = |waits: &Waker| waits.will_wake(context.waker());
        // Before its time a timer has not fired, and so it still has the waker.
        if now < self.due && self.waits.as_ref().is_some_and(is_same) {
            return Poll::Pending;
        }
        let polled = self.timer.as_mut().poll(context);
        // Without budget it was not looked at all; the runtime polls again.
        let is_armed = polled.is_pending() && has_budget_remaining();
        self.waits = is_armed.then(|| context.waker().clone());
        polled
    }

    /// Says when it is due next.
    pub(crate) fn set(&mut self, due: Instant) {
        self.due = due;
        self.timer.as_mut().reset(due);
        self.waits = None;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
        time::Duration,
    };

    use tokio::time::advance;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    const INTERVAL: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn a_timer_wakes_the_task_that_asked_last_and_once_each_time() {
        let tasks: [Arc<Wakes>; 2] = Default::default();
        let wakers = tasks.each_ref().map(|task| Waker::from(Arc::clone(task)));
        let n_wakes = || tasks.each_ref().map(|task| task.0.load(Ordering::Relaxed));
        let mut heartbeat = Heartbeat::new(Instant::now() + INTERVAL);
        let poll = |heartbeat: &mut Heartbeat, task: usize| {
            heartbeat.poll(&mut Context::from_waker(&wakers[task]), Instant::now())
        };
        for task in [0, 0, 1, 1] {
            assert!(poll(&mut heartbeat, task).is_pending());
        }
        advance(INTERVAL + Duration::from_millis(1)).await;
        assert_eq!(n_wakes(), [0, 1]);
        assert!(poll(&mut heartbeat, 1).is_ready());

        heartbeat.set(Instant::now() + INTERVAL);
        assert!(poll(&mut heartbeat, 1).is_pending());
        advance(INTERVAL / 2).await;
        assert!(poll(&mut heartbeat, 1).is_pending());
        advance(INTERVAL).await;
        assert_eq!(n_wakes(), [0, 2]);
        assert!(poll(&mut heartbeat, 1).is_ready());
    }
}
