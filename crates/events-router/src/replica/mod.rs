//! A router whose events are kept by a log elsewhere, which other replicas may share.
//!
//! A user's log is read when somebody asks for him ([`mirror`], [`reading`]): from then on the router holds his
//! threads, tasks and last events as one without such a log does, and everything that changes them comes out of the
//! log, in its order ([`applying`]). Publishing asks the log first ([`publishing`]). What a user's log has led to is
//! saved from time to time ([`saving`]), since the log forgets.

mod applying;
mod erasing;
mod follow;
mod health;
mod live;
mod mirror;
mod note;
mod parts;
mod publishing;
mod reading;
mod refused;
mod saving;
mod staging;
mod stats;
mod unnamed;
mod work;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicI64},
};

use events_core::{EventLog, UserId};
use tokio::sync::{Semaphore, mpsc};

pub use follow::Replica;
pub use health::LogHealth;
pub use mirror::OpenUser;
pub use stats::ReplicaStats;

pub(crate) use note::Note;
pub(crate) use publishing::{Enqueued, split_live};
pub(crate) use reading::PAGE_BYTES;
pub(crate) use unnamed::is_unnamed;

use health::Health;
use mirror::Mirror;
use stats::ReplicaCounters;
use unnamed::UnnamedKeys;

/// What a router and the work behind it share.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn EventLog>,
    /// Tells this replica from others, by what it passes on.
    id: u128,
    unnamed: UnnamedKeys,
    users: Mutex<HashMap<UserId, Arc<Mirror>>>,
    /// Users for whom there is something to do. Each is in it at most once, so its length is bounded by theirs.
    starts: mpsc::Sender<Arc<Mirror>>,
    reads: Semaphore,
    pub(crate) health: Health,
    pub(crate) counters: ReplicaCounters,
    max_users: usize,
    /// When users were let go early because there were too many, in milliseconds.
    made_room_ms: AtomicI64,
}

impl Shared {
    pub(crate) fn new(
        log: Arc<dyn EventLog>,
        max_users: usize,
        reads_at_once: usize,
    ) -> (Arc<Self>, mpsc::Receiver<Arc<Mirror>>) {
        let (starts, started) = mpsc::channel(max_users.clamp(1, Semaphore::MAX_PERMITS));
        let shared = Self {
            log,
            id: fastrand::u128(..),
            unnamed: UnnamedKeys::new(),
            users: Mutex::default(),
            starts,
            reads: Semaphore::new(reads_at_once.clamp(1, Semaphore::MAX_PERMITS)),
            health: Health::default(),
            counters: ReplicaCounters::default(),
            max_users,
            made_room_ms: AtomicI64::new(i64::MIN),
        };
        (Arc::new(shared), started)
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Arc<Mirror>>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, user: &UserId) -> Option<Arc<Mirror>> {
        self.users().get(user).cloned()
    }

    /// Lists the users that are followed.
    fn mirrors(&self) -> Vec<Arc<Mirror>> {
        self.users().values().cloned().collect()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}
