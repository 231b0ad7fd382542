//! Whose tokens are refused although they have not expired.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use events_core::UserId;
use tokio::sync::{broadcast, watch};

/// Users that are remembered. Beyond it the oldest revocation becomes one of everybody: more is refused than need be,
/// and nothing that was revoked is let in.
const MAX_USERS: usize = 100_000;

/// Closings that a slow listener may be behind; beyond it, it ends as if it were meant.
const MAX_BEHIND: usize = 1_024;

/// Remembers until when the tokens of which users are refused.
#[derive(Debug)]
pub(crate) struct Revocations {
    known: Mutex<Known>,
    closings: broadcast::Sender<(UserId, Ended)>,
    /// Whether others revoke as well, by a log that is followed.
    is_shared: AtomicBool,
    /// The turn of the log after which all of them were read; 0 before the first time.
    read_at: AtomicU64,
    /// The same for those who wait.
    was_read: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    by_user: HashMap<UserId, i64>,
    /// In the order in which they were made, for forgetting; a user who is revoked again stands here twice.
    order: VecDeque<(i64, UserId)>,
    /// Whatever was issued up to here is refused, whoever it is for.
    of_everybody: Option<i64>,
}

/// How an operator has ended what a user had open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// What opened it is refused from now on.
    Revoked,
    /// It was open at this moment; what opened it is as good as before.
    Closed { at_ms: i64 },
}

/// Tells one listener when the streams of its user are ended.
#[derive(Debug)]
pub(crate) struct Closings {
    user: UserId,
    since_ms: i64,
    closings: broadcast::Receiver<(UserId, Ended)>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            closings: broadcast::Sender::new(MAX_BEHIND),
            is_shared: AtomicBool::new(false),
            read_at: AtomicU64::new(0),
            was_read: watch::Sender::new(0),
        }
    }
}

impl Revocations {
    /// The longest life of a token that a revocation is remembered for: those that live longer are not taken.
    pub(crate) const MAX_TTL: Duration = Duration::from_secs(30 * 24 * 3_600);

    /// Computes the most bytes that are remembered, with the tickets that are remembered as used.
    pub(crate) const fn worst_case(user_id_bytes: usize) -> usize {
        // Each name is there twice, in tables that may have grown to twice what they hold.
        let per_user = 2 * (user_id_bytes + 96);
        let per_ticket = 160;
        MAX_USERS * (per_user + per_ticket)
    }

    /// Refuses what was issued for a user up to this moment. Returns whether it could be remembered for the user alone.
    pub(crate) fn revoke(&self, user: UserId, at_ms: i64) -> bool {
        let mut known = self.lock();
        let entry = known.by_user.entry(user.clone()).or_insert(at_ms);
        *entry = at_ms.max(*entry);
        known.order.push_back((at_ms, user));
        let age_ms = i64::try_from(Self::MAX_TTL.as_millis()).unwrap_or(i64::MAX);
        while let Some((oldest_ms, _)) = known.order.front()
            && *oldest_ms < at_ms.saturating_sub(age_ms)
        {
            known.forget_oldest();
        }
        let is_full = known.order.len() > MAX_USERS;
        if is_full {
            let oldest_ms = known.forget_oldest();
            known.of_everybody = known.of_everybody.max(oldest_ms);
        }
        !is_full
    }

    /// Refuses what was issued up to this moment, whoever it is for.
    pub(crate) fn revoke_everybody(&self, at_ms: i64) {
        let mut known = self.lock();
        known.of_everybody = known.of_everybody.max(Some(at_ms));
    }

    /// Returns what is known of those users that are asked for, and up to when everybody is refused.
    pub(crate) fn list(
        &self,
        is_asked: impl Fn(&UserId) -> bool,
    ) -> (Vec<(UserId, i64)>, Option<i64>) {
        let known = self.lock();
        let users = known.by_user.iter().filter(|(user, _)| is_asked(user));
        let users = users.map(|(user, at_ms)| (user.clone(), *at_ms));
        (users.collect(), known.of_everybody)
    }

    /// Notes that others revoke as well; until their revocations are read nobody knows who is refused.
    pub(crate) fn share(&self) {
        self.is_shared.store(true, Ordering::Release);
    }

    /// Notes that all were read after this turn of the log.
    pub(crate) fn note_read(&self, turn: u64) {
        self.read_at.store(turn, Ordering::Release);
        self.was_read.send_replace(turn);
    }

    /// Tells whether all that others made before the start were read.
    pub(crate) fn were_read(&self) -> bool {
        !self.is_shared.load(Ordering::Acquire) || self.read_at.load(Ordering::Acquire) > 0
    }

    /// Tells whether there may be some that were not read, at this turn of the log.
    pub(crate) fn is_behind(&self, turn: u64) -> bool {
        self.is_shared.load(Ordering::Acquire) && self.read_at.load(Ordering::Acquire) != turn
    }

    /// Listens for their being read.
    pub(crate) fn readings(&self) -> watch::Receiver<u64> {
        self.was_read.subscribe()
    }

    /// Tells whether what was issued for the user at this time is refused.
    pub(crate) fn covers(&self, user: &UserId, issued_ms: i64) -> bool {
        let known = self.lock();
        let of_user = known.by_user.get(user).copied();
        of_user
            .max(known.of_everybody)
            .is_some_and(|revoked_ms| issued_ms <= revoked_ms)
    }

    /// Tells the listeners of a user that what the user has open is ended.
    pub(crate) fn end(&self, user: &UserId, ended: Ended) {
        // Nobody listens is no failure.
        let _n_listeners = self.closings.send((user.clone(), ended));
    }

    /// Listens from now on, for what is open since this moment.
    pub(crate) fn closings(&self, user: UserId, since_ms: i64) -> Closings {
        Closings {
            user,
            since_ms,
            closings: self.closings.subscribe(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Returns when the oldest one was made.
    fn forget_oldest(&mut self) -> Option<i64> {
        let (at_ms, user) = self.order.pop_front()?;
        // One that was made anew since stays.
        if self.by_user.get(&user) == Some(&at_ms) {
            self.by_user.remove(&user);
        }
        Some(at_ms)
    }
}

impl Closings {
    /// Waits until what the user has open is ended, and returns how.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> Ended {
        loop {
            match self.closings.recv().await {
                Ok((user, _)) if user != self.user => {}
                Ok((_, Ended::Closed { at_ms })) if at_ms < self.since_ms => {}
                Ok((_, ended)) => return ended,
                // Who comes back with what was revoked is refused.
                Err(_behind) => {
                    let at_ms = self.since_ms;
                    return Ended::Closed { at_ms };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_issued_up_to_a_revocation_is_refused_and_what_comes_after_is_not() {
        let revocations = Revocations::default();
        let (ada, bob) = (UserId::new("ada"), UserId::new("bob"));
        assert!(revocations.revoke(ada.clone(), 1_000));
        assert!(revocations.covers(&ada, 999));
        assert!(revocations.covers(&ada, 1_000));
        assert!(!revocations.covers(&ada, 1_001));
        assert!(!revocations.covers(&bob, 1));
        assert!(revocations.revoke(ada.clone(), 2_000));
        assert!(revocations.covers(&ada, 1_500));
    }

    #[test]
    fn at_the_bound_more_is_refused_and_never_less() {
        let revocations = Revocations::default();
        for n in 0..MAX_USERS {
            assert!(revocations.revoke(UserId::new(format!("u{n}")), 1_000 + n as i64));
        }
        assert!(!revocations.revoke(UserId::new("last"), 900_000));
        assert!(revocations.covers(&UserId::new("u0"), 1_000));
        assert!(revocations.covers(&UserId::new("somebody"), 1_000));
        assert!(!revocations.covers(&UserId::new("somebody"), 1_001));
        assert_eq!(revocations.lock().order.len(), MAX_USERS);
    }

    #[test]
    fn a_revocation_is_forgotten_when_no_token_can_be_that_old() {
        let revocations = Revocations::default();
        revocations.revoke(UserId::new("ada"), 0);
        let age_ms = i64::try_from(Revocations::MAX_TTL.as_millis()).unwrap();
        revocations.revoke(UserId::new("bob"), age_ms + 1);
        assert_eq!(revocations.lock().order.len(), 1);
        assert_eq!(revocations.lock().by_user.len(), 1);
    }
}
