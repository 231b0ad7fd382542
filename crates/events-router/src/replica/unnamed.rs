//! Keys of events whose publishers have named no message id.

use std::sync::atomic::{AtomicU64, Ordering};

use events_core::MsgKey;

/// The first bits of each such key. Of hashed message ids, one in 2^48 begins so; its retries are not recognized.
const MARK: u128 = 0x756e_6e61_6d65 << REPLICA_END;
const REPLICA_END: u32 = 80;
const REPLICA_BITS: u32 = 40;
const COUNT_BITS: u32 = REPLICA_END - REPLICA_BITS;

/// Draws keys for events that nobody can repeat, since only this replica knows how they are called.
///
/// They say whether an append of which no answer came is in the log. So nobody has to remember them but who has drawn
/// them, until the publish is answered.
#[derive(Debug)]
pub(super) struct UnnamedKeys {
    /// What all keys of this replica begin with.
    replica: u128,
    count: AtomicU64,
}

impl UnnamedKeys {
    pub(super) fn new() -> Self {
        let replica = fastrand::u128(..1 << REPLICA_BITS);
        Self {
            replica: MARK | replica << COUNT_BITS,
            count: AtomicU64::new(0),
        }
    }

    pub(super) fn draw(&self) -> MsgKey {
        let count = u128::from(self.count.fetch_add(1, Ordering::Relaxed));
        MsgKey::from_bits(self.replica | count & ((1 << COUNT_BITS) - 1))
    }

    /// Tells whether this replica has drawn the key.
    pub(super) const fn are_own(&self, key: MsgKey) -> bool {
        key.bits() >> COUNT_BITS == self.replica >> COUNT_BITS
    }
}

/// Tells whether a replica has drawn the key, this one or another.
pub(crate) const fn is_unnamed(key: MsgKey) -> bool {
    key.bits() >> REPLICA_END == MARK >> REPLICA_END
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MsgId;

    #[test]
    fn keys_differ_and_tell_whose_they_are() {
        let (one, other) = (UnnamedKeys::new(), UnnamedKeys::new());
        let keys = [one.draw(), one.draw(), other.draw()];
        assert!(keys.iter().all(|key| is_unnamed(*key)));
        assert_eq!(keys.map(|key| one.are_own(key)), [true, true, false]);
        assert!(keys[0] != keys[1] && keys[1] != keys[2]);
        let named = MsgId::new("retry-1").expect("legal").key();
        assert!(!is_unnamed(named) && !one.are_own(named));
    }

    #[test]
    fn a_count_that_has_gone_round_stays_with_its_replica() {
        let keys = UnnamedKeys::new();
        keys.count.store(u64::MAX, Ordering::Relaxed);
        let (last, first) = (keys.draw(), keys.draw());
        assert!(keys.are_own(last) && keys.are_own(first) && last != first);
    }
}
