//! Who joins a thread late, comes back to it or has lost events of it ends up as who was there all along.

mod invariants;
mod judge;
mod official;
mod threads;
