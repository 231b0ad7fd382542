//! Which log this is, and since when.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use events_core::Epoch;

/// What tells a log from every other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// Made with the tables.
    pub(crate) log_id: u128,
    /// Of the cluster: changed by a promotion and by a restore to a point in time. Empty where it cannot be seen.
    pub(crate) timeline: String,
    /// The system identifier of the cluster. Empty where it cannot be seen.
    pub(crate) cluster: String,
}

/// The log's present life. What has to do with the one before finds that the turn is another.
#[derive(Debug)]
pub(crate) struct Life {
    keep: bool,
    present: Mutex<Identity>,
    turn: AtomicU64,
}

impl Identity {
    /// Makes the epoch: the same on every replica and in every version, so it is no hash of the standard library.
    fn epoch(&self, keep: bool) -> Epoch {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let timeline = if keep { "" } else { self.timeline.as_str() };
        let hash = self
            .log_id
            .to_be_bytes()
            .iter()
            .chain(b"/")
            .chain(timeline.as_bytes())
            .chain(b"/")
            .chain(self.cluster.as_bytes())
            .fold(OFFSET, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
            });
        Epoch::from_bits(hash ^ (hash >> 40))
    }
}

impl Life {
    pub(crate) fn new(identity: Identity, keep: bool) -> Self {
        Self {
            keep,
            present: Mutex::new(identity),
            turn: AtomicU64::new(0),
        }
    }

    fn present(&self) -> MutexGuard<'_, Identity> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.present().epoch(self.keep)
    }

    pub(crate) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    /// Takes note of whom we have met; false if it is another log than before, which is the present one from here on.
    pub(crate) fn meet(&self, identity: Identity) -> bool {
        let mut present = self.present();
        let is_same = present.epoch(self.keep) == identity.epoch(self.keep);
        *present = identity;
        if !is_same {
            self.turn.fetch_add(1, Ordering::Release);
        }
        is_same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(timeline: &str) -> Identity {
        Identity {
            log_id: 7,
            timeline: timeline.to_owned(),
            cluster: "1".to_owned(),
        }
    }

    #[test]
    fn a_promotion_is_a_new_life_unless_it_is_kept() {
        let life = Life::new(identity("00000001"), false);
        let before = life.epoch();
        assert!(life.meet(identity("00000001")));
        assert!(!life.meet(identity("00000002")));
        assert_ne!(life.epoch(), before);
        assert_eq!(life.turn(), 1);

        let kept = Life::new(identity("00000001"), true);
        assert!(kept.meet(identity("00000002")));
        assert_eq!(kept.turn(), 0);
    }

    #[test]
    fn the_epoch_is_the_same_in_every_version() {
        let life = Life::new(identity("00000001"), false);
        assert_eq!(life.epoch().to_string(), "g8mammkc");
    }
}
