//! Erasing a user.

use events_core::{EventResult, UserId};

use crate::EventRouter;

impl EventRouter {
    /// Erases a user's events, threads, tasks and contexts, here and, with a log behind the router, on every replica.
    ///
    /// Streams of the user stay open: they go on with what is published from then on. A reader that comes back with
    /// an older cursor is told of a gap.
    ///
    /// # Errors
    ///
    /// The log cannot be reached. It may have erased a part; a retry erases the rest.
    ///
    /// # Cancel safety
    ///
    /// The user may be erased or not.
    pub async fn erase_user(&self, user: &UserId) -> EventResult<()> {
        if let Some(replica) = &self.inner.replica {
            return replica.erase(self, user).await;
        }
        if let Some(lane) = self.inner.lanes.find(user) {
            let mut state = lane.lock();
            // Under the lane's lock nothing is published.
            self.inner.store.clear(user);
            state.erase();
            state.account_folds();
        }
        self.inner.store.clear(user);
        Ok(())
    }
}
