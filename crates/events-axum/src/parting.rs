//! What a connection knows of its end and the body that it writes does not: bodies are dropped without a word.
//!
//! Whoever drops a body says it around the drop, and the body asks while it is dropped. That costs nothing before the
//! end, needs no place in the body, and goes through all layers that an application puts around it.

use std::cell::Cell;

/// How the connection of a stream has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parting {
    /// The stream had its socket to itself.
    pub(crate) is_taken_over: bool,
    /// The client has acknowledged nothing for too long, so the system has given it up.
    pub(crate) is_unacknowledged: bool,
}

thread_local! {
    static PARTING: Cell<Parting> = const { Cell::new(Parting { is_taken_over: false, is_unacknowledged: false }) };
}

impl Parting {
    /// Returns what is known of the connection whose body is being dropped here and now.
    pub(crate) fn here() -> Self {
        PARTING.get()
    }
}

#[cfg(feature = "serve")]
impl Parting {
    /// Of a stream that had its socket to itself.
    pub(crate) const TAKEN_OVER: Self = Self {
        is_taken_over: true,
        is_unacknowledged: false,
    };

    /// Of a client that was given up.
    pub(crate) const UNACKNOWLEDGED: Self = Self {
        is_taken_over: false,
        is_unacknowledged: true,
    };

    /// Drops something that holds a body, and says this meanwhile, beside what is being said already.
    pub(crate) fn of_dropping<T>(self, thing: T) {
        let before = Self::here();
        let now = Self {
            is_taken_over: before.is_taken_over || self.is_taken_over,
            is_unacknowledged: before.is_unacknowledged || self.is_unacknowledged,
        };
        crate::aside::saying(&PARTING, now, || drop(thing));
    }
}
