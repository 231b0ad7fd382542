//! How many connections begin before all others have had their turn.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::ready,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore},
    task::yield_now,
};

/// Connections of one worker that begin in a pass.
const FOR_A_WORKER: usize = 2;

/// Looks of a worker at its sockets in a pass, with as many tasks between two of them as [`super::Server::EVENT_INTERVAL`].
const LOOKS: usize = 4;

/// Lets a few connections begin, then everything else that is due, then the next few.
///
/// To begin a stream takes ten times as long as to write an event to one that is open, and for the runtime they are
/// alike. When a thousand clients come at once, as after an outage, an event would wait until all of them are served;
/// so they wait in a line of their own.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Pass>);

/// What is done between two looks of the workers at everything that is due.
#[derive(Debug)]
struct Pass {
    /// Turns that are left in this pass.
    left: Semaphore,
    most: usize,
    /// A turn was taken.
    is_used: Notify,
}

impl Turns {
    /// Makes turns for the workers of the runtime that this is called on.
    ///
    /// # Panics
    ///
    /// Not called on a runtime.
    pub(super) fn of_workers() -> Self {
        let most = FOR_A_WORKER * Handle::current().metrics().num_workers();
        Self(Arc::new(Pass {
            left: Semaphore::new(most),
            most,
            is_used: Notify::new(),
        }))
    }

    /// Begins a new pass each time one was used and the worker has been through what was due, sockets too. Never ends.
    pub(super) async fn renew(self) {
        loop {
            self.0.is_used.notified().await;
            for _ in 0..LOOKS {
                yield_now().await;
            }
            let n_left = self.0.left.available_permits();
            self.0.left.add_permits(self.0.most.saturating_sub(n_left));
        }
    }

    /// Runs a future that is polled in turn only.
    ///
    /// # Cancel safety
    ///
    /// That of the future.
    pub(super) async fn run<F: Future>(self, future: F) -> F::Output {
        let pass = &*self.0;
        let mut future = pin!(future);
        let mut turn = pin!(pass.left.acquire());
        poll_fn(|context| {
            // The semaphore is never closed.
            if let Ok(taken) = ready!(turn.as_mut().poll(context)) {
                taken.forget();
                pass.is_used.notify_one();
            }
            turn.set(pass.left.acquire());
            future.as_mut().poll(context)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::JoinSet;

    use super::*;

    /// Begins ten connections at once, then has something else to do; says in which order all was done.
    async fn order(turns: Turns) -> Vec<&'static str> {
        let done = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let say = |what: &'static str| {
            let done = Arc::clone(&done);
            async move { done.lock().expect("not poisoned").push(what) }
        };
        for _ in 0..10 {
            tasks.spawn(turns.clone().run(say("begun")));
        }
        tasks.spawn(say("event"));
        tasks.join_all().await;
        done.lock().expect("not poisoned").clone()
    }

    #[tokio::test]
    async fn an_event_waits_for_a_few_of_those_that_begin() {
        let turns = Turns::of_workers();
        let mut passes = JoinSet::new();
        passes.spawn(turns.clone().renew());
        let order = order(turns).await;
        assert_eq!(order.len(), 11);
        let at = order.iter().position(|what| *what == "event");
        assert_eq!(at, Some(FOR_A_WORKER), "{order:?}");
    }

    #[tokio::test]
    async fn a_turn_is_for_one_poll() {
        let turns = Turns::of_workers();
        let two_polls = async {
            yield_now().await;
        };
        // One pass, which is never renewed.
        turns.clone().run(two_polls).await;
        assert_eq!(turns.0.left.available_permits(), FOR_A_WORKER - 2);
    }

    #[tokio::test]
    async fn who_leaves_the_line_takes_nobodys_turn() {
        let turns = Turns::of_workers();
        let mut tasks = JoinSet::new();
        for _ in 0..FOR_A_WORKER {
            turns.clone().run(async {}).await;
        }
        tasks.spawn(turns.clone().run(async {}));
        yield_now().await;
        tasks.shutdown().await;
        let mut passes = JoinSet::new();
        passes.spawn(turns.clone().renew());
        turns.run(async {}).await;
    }
}
