//! Which log this is, and since when.

use std::sync::atomic::{AtomicBool, Ordering};

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

/// The life that was opened, and whether it has ended.
///
/// Whoever keeps ids of it must not get numbers of another one; so it ends once and for all.
#[derive(Debug)]
pub(crate) struct Life {
    keep: bool,
    epoch: Epoch,
    is_over: AtomicBool,
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
    pub(crate) fn new(identity: &Identity, keep: bool) -> Self {
        Self {
            keep,
            epoch: identity.epoch(keep),
            is_over: AtomicBool::new(false),
        }
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Takes note of whom we have met, and ends the life if it is another log; false if the life is over.
    pub(crate) fn meet(&self, identity: &Identity) -> bool {
        if identity.epoch(self.keep) != self.epoch {
            self.is_over.store(true, Ordering::Release);
        }
        !self.is_over()
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
    fn a_promotion_ends_a_life_for_good_unless_it_is_kept() {
        let life = Life::new(&identity("00000001"), false);
        assert!(life.meet(&identity("00000001")));
        assert!(!life.meet(&identity("00000002")));
        assert!(!life.meet(&identity("00000001")));
        assert_ne!(
            life.epoch(),
            Life::new(&identity("00000002"), false).epoch()
        );

        let kept = Life::new(&identity("00000001"), true);
        assert!(kept.meet(&identity("00000002")));
    }

    #[test]
    fn the_epoch_is_the_same_in_every_version() {
        let life = Life::new(&identity("00000001"), false);
        assert_eq!(life.epoch().to_string(), "g8mammkc");
    }
}
