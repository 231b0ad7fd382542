//! Identifiers, event ids, frames and the traits that the other `events` crates implement.
//!
//! ```
//! use events_core::{Epoch, EventId, UserId};
//!
//! let user = UserId::new("ada");
//! let id = EventId::new(Epoch::generate(), 42, 7);
//! assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
//! assert_eq!(user.as_str(), "ada");
//! ```
//!
//! # What this crate does not do
//!
//! It knows no protocol (AG-UI, A2A), serves no HTTP, holds no connection and talks to no database.
//! axum is used for one type only: the [`axum::response::sse::Event`] that [`EventSender`] names.
//!
//! # Invariants
//!
//! 1. An [`EventId`] prints to at most 40 ASCII bytes and parses back to itself.
//! 2. Sequences of one user are strictly increasing within one [`Epoch`].
//! 3. A [`Frame`]'s data is shared: cloning a frame copies no payload byte.

mod broadcaster;
mod bus;
mod clock;
mod entry;
mod error;
mod event_id;
mod event_log;
mod fold;
mod frame;
mod ids;
mod log;

pub use broadcaster::{Broadcaster, EventSender, SSE_BUFFER};
pub use bus::EventBus;
pub use clock::{Clock, ManualClock, SystemClock};
pub use entry::{Entry, EntryError};
pub use error::{EventError, EventResult};
pub use event_id::{Epoch, EventId, ParseEventIdError, Tag};
pub use event_log::{Checkpoint, EventLog, LogCounter, Logged, MsgKey, Page, Tail, Tailed};
pub use fold::Fold;
pub use frame::{Envelope, Frame};
pub use ids::{
    ConnectionId, ContextId, MessageId, RequestId, TaskId, ThreadId, ToolCallId, UserId,
};
pub use log::{Channel, Channels, Record, RecordIds};
