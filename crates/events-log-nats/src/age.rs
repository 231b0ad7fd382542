//! Letting go of records by their age, user by user, so that the last append of each stays: by it a user's last place
//! is known, however long nothing comes.

use std::{
    collections::HashMap,
    sync::{PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use events_core::{EventResult, UserId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use crate::{counters::add, erase, log::Inner};

/// How many users are looked after at once; of more, records stay until their next append.
const MAX_USERS: usize = 65_536;
/// How many users are done by one sweep, and how many at the same time.
const MAX_TRIMS: usize = 1_024;
const TRIMS_AT_ONCE: usize = 8;

/// Appends of this replica from which a user's older records are let go, when they are old enough themselves.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    users: HashMap<UserId, Age>,
}

#[derive(Clone, Copy, Debug)]
struct Age {
    mark: (Instant, u64),
    last: (Instant, u64),
}

impl Ages {
    /// Takes note of an append. Tells whether there was room.
    fn note(&mut self, user: &UserId, now: Instant, sequence: u64) -> bool {
        if let Some(age) = self.users.get_mut(user) {
            age.last = (now, sequence);
            return true;
        }
        if self.users.len() >= MAX_USERS {
            return false;
        }
        let at = (now, sequence);
        self.users.insert(user.clone(), Age { mark: at, last: at });
        true
    }

    /// Takes out what is due: for each user the message before which everything is too old.
    fn due(&mut self, now: Instant, age: Duration) -> Vec<(UserId, u64)> {
        let is_due = |mark: Instant| now.duration_since(mark) > age;
        let due: Vec<(UserId, u64)> = self
            .users
            .iter()
            .filter(|(_, age)| is_due(age.mark.0))
            .take(MAX_TRIMS)
            .map(|(user, age)| {
                // The last one may be old enough too.
                let (_, sequence) = if is_due(age.last.0) {
                    age.last
                } else {
                    age.mark
                };
                (user.clone(), sequence)
            })
            .collect();
        for (user, sequence) in &due {
            let Some(age) = self.users.get_mut(user) else {
                continue;
            };
            if age.last.1 == *sequence {
                self.users.remove(user);
            } else {
                age.mark = age.last;
            }
        }
        due
    }
}

impl Inner {
    /// Takes note of an append of this replica.
    pub(crate) fn note_append(&self, user: &UserId, sequence: u64) {
        let mut ages = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        if !ages.note(user, Instant::now(), sequence) {
            add(&self.counters.untracked, 1);
        }
    }

    /// The sequence up to which the tail has handed out everything.
    pub(crate) fn handed(&self) -> u64 {
        self.handed.load(Relaxed)
    }
}

/// Lets go of what is too old, of the users that this replica appended to.
pub(crate) async fn sweep(inner: &Inner) -> EventResult<()> {
    inner.check_life()?;
    let due = {
        let mut ages = inner.ages.lock().unwrap_or_else(PoisonError::into_inner);
        ages.due(Instant::now(), inner.config.age)
    };
    let trims = due.into_iter().map(|(user, sequence)| async move {
        let subject = inner.names.of_user(&user);
        erase::purge(inner, &inner.names.stream, &subject, Some(sequence)).await?;
        add(&inner.counters.trimmed, 1);
        Ok(())
    });
    stream::iter(trims)
        .buffer_unordered(TRIMS_AT_ONCE)
        .try_collect()
        .await
}
