//! What is said aside: a word for whoever runs inside a call, on this thread and for as long as the call lasts.

use std::{cell::Cell, thread::LocalKey};

/// Calls, and says a word meanwhile; what was said before is said again behind it, also after a panic.
pub(crate) fn saying<W: Copy + 'static, T>(
    place: &'static LocalKey<Cell<W>>,
    word: W,
    call: impl FnOnce() -> T,
) -> T {
    let _restored = Restored(place, place.replace(word));
    call()
}

struct Restored<W: Copy + 'static>(&'static LocalKey<Cell<W>>, W);

impl<W: Copy + 'static> Drop for Restored<W> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}
