//! Per-user event logs in memory, and connections that are cursors on them.
//!
//! ```
//! use events_broadcast::{Attach, GenericBroadcaster};
//! use events_core::{EventResult, Frame, UserId};
//! use events_sse::ToSse;
//!
//! #[derive(Debug)]
//! struct Note(&'static str);
//!
//! impl ToSse for Note {
//!     fn to_frame(&self) -> EventResult<Frame> {
//!         Ok(Frame::json(format!("\"{}\"", self.0)))
//!     }
//! }
//!
//! let notes = GenericBroadcaster::<Note>::new();
//! let ada = UserId::new("ada");
//! let subscription = notes.connect(&ada, Attach::now()).expect("the first connection is below the cap");
//! let delivery = notes.publish(&ada, &Note("hello")).expect("a note is JSON");
//! assert_eq!(delivery.reached(&notes).woken, 1);
//! drop(subscription);
//! assert_eq!(notes.count(&ada), 0);
//! ```
//!
//! A publisher appends to the user's log and returns; it never waits for a reader. A connection reads the
//! log from its own position: joining, resuming after a break and catching up are the same operation. A
//! reader whose position has been evicted gets one [`Missed`] that says so, then the rest.
//!
//! # What this crate does not do
//!
//! It knows no protocol, checks no order and serves no HTTP. It spawns no task and needs no runtime:
//! everything but waiting for the next event works on a plain thread.
//!
//! # Invariants
//!
//! 1. All delivery comes out of a user's log, in its order; nothing is delivered from the publish call.
//! 2. A connection has a position, not a queue: its memory does not grow with its backlog.
//! 3. On one connection sequences strictly increase, and what is skipped is named by a [`Missed`].
//! 4. A slot is taken and freed synchronously; dropping a [`Subscription`] or a [`ConnectionGuard`] works
//!    without a runtime.
//! 5. No user's lock is held while another user's is taken, and none across an await.
//! 6. A log that is made anew starts above every sequence that this store has retired.

mod append;
mod broadcaster;
mod budget;
mod connect;
mod crowd;
mod delivery;
mod fault;
mod flush;
mod guard;
mod limits;
mod lock;
mod mirror;
mod reading;
mod shared_wires;
mod stats;
mod store;
mod subscription;
mod trim;
mod user_log;
mod view;
mod watcher;
mod wire;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub use append::LogHint;
pub use broadcaster::GenericBroadcaster;
pub use connect::{Attach, ConnectError, Start};
pub use delivery::{Delivery, Reached};
pub use flush::Flush;
pub use guard::ConnectionGuard;
pub use limits::{CapPolicy, Limits};
pub use stats::{Stats, StatsSnapshot};
pub use store::LogStore;
pub use subscription::{Batch, Missed, Next, Subscription};
pub use view::{EnvelopeRule, View};
pub use watcher::{ConnectionInfo, Transport, Written};
pub use wire::{NextWire, Wire};
