//! Whose logs are followed.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use events_core::UserId;
use tokio::sync::broadcast;

/// How many new ones a tail may be behind before it looks at all.
const FRESH_CAPACITY: usize = 1_024;

/// The users, and the news that there is one more.
pub(crate) struct Follows {
    users: Mutex<HashSet<UserId>>,
    fresh: broadcast::Sender<UserId>,
}

impl Follows {
    pub(crate) fn new() -> Self {
        Self {
            users: Mutex::default(),
            fresh: broadcast::channel(FRESH_CAPACITY).0,
        }
    }

    fn users(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, user: &UserId) {
        self.users().insert(user.clone());
        // Nobody may be listening.
        let _n_tails = self.fresh.send(user.clone());
    }

    pub(crate) fn remove(&self, user: &UserId) {
        self.users().remove(user);
    }

    /// Lets tails say the last place of a user again, if he is followed.
    pub(crate) fn tell_again(&self, user: &UserId) {
        if self.contains(user) {
            let _n_tails = self.fresh.send(user.clone());
        }
    }

    pub(crate) fn contains(&self, user: &UserId) -> bool {
        self.users().contains(user)
    }

    pub(crate) fn all(&self) -> Vec<UserId> {
        self.users().iter().cloned().collect()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<UserId> {
        self.fresh.subscribe()
    }
}
