//! By what the bytes of a stream go to their client: whoever polls a body knows it, and the body does not.
//!
//! It is said around each poll, which costs a body no place and goes through all layers that an application puts around
//! it.

use std::cell::Cell;

use events_broadcast::Transport;

thread_local! {
    static TRANSPORT: Cell<Transport> = const { Cell::new(Transport::Body) };
}

/// Returns by what goes what the body says that is polled here and now.
pub(crate) fn here() -> Transport {
    TRANSPORT.get()
}

/// Polls a body, and says meanwhile by what goes what it says.
#[cfg(feature = "serve")]
pub(crate) fn polling<T>(transport: Transport, poll: impl FnOnce() -> T) -> T {
    crate::aside::saying(&TRANSPORT, transport, poll)
}
