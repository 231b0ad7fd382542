//! The wires of one user that other connections still have to be given.

use std::sync::Arc;

use crate::Wire;

/// Wires that are kept for one user.
const MAX_WIRES: usize = 4;

/// What a wire was made of: two connections that ask for the same get the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WireKey {
    pub(crate) view: usize,
    pub(crate) scope: Option<Arc<str>>,
    /// The position after which it begins.
    pub(crate) from: u64,
    /// The position up to which it goes.
    pub(crate) to: u64,
}

#[derive(Debug)]
struct SharedWire {
    key: WireKey,
    wire: Wire,
    /// Connections that may still ask for it.
    n_readers: usize,
}

impl SharedWire {
    fn cost(&self) -> usize {
        size_of::<Self>() + self.wire.held_bytes()
    }
}

/// The wires made last for a user who has several connections, the one used last at the end.
///
/// A wire is kept while connections stand where it begins, and while the log holds all that is in it. There are at
/// most four, each of one batch, and their bytes count against the bound of all logs.
#[derive(Debug, Default)]
pub(crate) struct SharedWires(Vec<SharedWire>);

impl SharedWires {
    /// Returns the wire of this range if there is one, and how many bytes that sets free.
    pub(crate) fn take(
        &mut self,
        view: usize,
        scope: Option<&Arc<str>>,
        (from, to): (u64, u64),
    ) -> Option<(Wire, usize)> {
        let is_it = |shared: &SharedWire| {
            let key = &shared.key;
            (key.from, key.to, key.view) == (from, to, view) && key.scope.as_ref() == scope
        };
        let index = self.0.iter().rposition(is_it)?;
        let shared = &mut self.0[index];
        shared.n_readers -= 1;
        if shared.n_readers > 0 {
            let wire = shared.wire.clone();
            self.0[index..].rotate_left(1);
            return Some((wire, 0));
        }
        let shared = self.0.remove(index);
        let n_freed = shared.cost();
        self.shrink();
        Some((shared.wire, n_freed))
    }

    /// Keeps a wire for so many other readers, at least one. Returns how many bytes that takes and sets free.
    pub(crate) fn keep(&mut self, key: WireKey, wire: Wire, n_readers: usize) -> (usize, usize) {
        let shared = SharedWire {
            key,
            wire,
            n_readers,
        };
        let n_taken = shared.cost();
        // Whoever stands there now will be given more than what was there before.
        let is_older = |other: &SharedWire| {
            let (other, key) = (&other.key, &shared.key);
            (other.from, other.view) == (key.from, key.view) && other.scope == key.scope
        };
        let replaced = match self.0.iter().position(is_older) {
            Some(index) => Some(self.0.remove(index)),
            None if self.0.len() == MAX_WIRES => Some(self.0.remove(0)),
            None => None,
        };
        self.0.reserve_exact(1);
        self.0.push(shared);
        (n_taken, replaced.map_or(0, |replaced| replaced.cost()))
    }

    /// Drops the wires of events up to `seq`, which leave the log, and returns how many bytes that sets free.
    pub(crate) fn drop_through(&mut self, seq: u64) -> usize {
        if self.0.is_empty() {
            return 0;
        }
        let mut n_freed = 0;
        self.0.retain(|shared| {
            let is_whole = shared.key.from >= seq;
            n_freed += if is_whole { 0 } else { shared.cost() };
            is_whole
        });
        self.shrink();
        n_freed
    }

    /// Drops them all, and returns how many bytes that sets free.
    pub(crate) fn clear(&mut self) -> usize {
        std::mem::take(&mut self.0)
            .iter()
            .map(SharedWire::cost)
            .sum()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn shrink(&mut self) {
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }
}
