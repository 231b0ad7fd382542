//! Tasks that somebody joins.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::timeout};

/// A set of tasks that many may add to.
#[derive(Default)]
pub(crate) struct Tasks {
    set: Mutex<JoinSet<()>>,
}

impl Tasks {
    /// Adds a task, and forgets those that are done.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.lock();
        while set.try_join_next().is_some() {}
        set.spawn(task);
    }

    /// Returns how many tasks are not done, or were not when last looked at.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits for all tasks, and returns how many had to be aborted since the limit was reached.
    pub(crate) async fn join(&self, limit: Duration) -> usize {
        let mut set = std::mem::take(&mut *self.lock());
        let all = async { while set.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_ok() {
            return 0;
        }
        let n_left = set.len();
        set.shutdown().await;
        n_left
    }

    /// Aborts all tasks.
    pub(crate) fn abort(&self) {
        self.lock().abort_all();
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("len", &self.len()).finish()
    }
}

/// Runs the tasks of the HTTP client, one for each connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionTasks(pub(crate) Arc<Tasks>);

impl<F> hyper::rt::Executor<F> for ConnectionTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
