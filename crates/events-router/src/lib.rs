//! One routing table from published events to the streams of a user.
//!
//! ```
//! use events_broadcast::{Attach, Batch};
//! use events_core::UserId;
//! use events_models::AgUiEventBuilder;
//! use events_router::EventRouter;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let router = EventRouter::default();
//! let ada = UserId::new("ada");
//! let mut screen = router.contexts().connect(&ada, Attach::now())?;
//!
//! let routed = router.route_agui(&ada, AgUiEventBuilder::run_started("thread", "run", None)).await?;
//! assert_eq!((routed.agui, routed.contexts), (0, 1));
//!
//! let mut batch = Batch::default();
//! screen.next(&mut batch).await;
//! assert_eq!(batch.events[0].0, routed.ids.first().copied());
//! # Ok(())
//! # }
//! ```
//!
//! An AG-UI event is given its thread, checked against the order rules of that thread, and appended to the user's
//! log. The `/agui` stream and the `/contexts` stream both read it from there.
//!
//! # What this crate does not do
//!
//! It serves no HTTP and talks to no broker and no database. It does not call agents.
//!
//! # Invariants
//!
//! 1. What goes where is said in `routes.rs` and nowhere else.
//! 2. An event that its thread's order forbids never enters the log.
//! 3. A batch is appended whole or not at all; a refused one leaves no trace in the order state.
//! 4. A message id that is known is answered with the ids that it got, before any check of order.
//! 5. Nothing outside `singletons.rs` is static; dropping an [`EventRouter`] and its clones frees everything.

mod batch;
mod config;
mod contexts;
mod event;
mod folds;
mod jumps;
mod known;
mod lane;
mod lanes;
mod memory_log;
mod order_budget;
mod overdue;
mod poison;
mod publish;
mod published;
mod refusal;
mod replica;
mod router;
mod routes;
mod run;
mod singletons;
mod snapshot;
mod subscribe;
mod task_list;
mod task_subscription;
mod tasks;
mod telling;
mod thread;
mod thread_subscription;
mod threads;

#[cfg(test)]
mod tests;

pub use config::RouterConfig;
pub use event::{BusEvent, Item, MsgId, MsgIdError};
pub use memory_log::MemoryLog;
pub use order_budget::OrderStats;
pub use published::{Published, Routed};
pub use refusal::{PublishError, Refusal};
pub use replica::{LogHealth, OpenUser, Replica, ReplicaStats};
pub use router::EventRouter;
pub use routes::{A2ABroadcaster, AgUiBroadcaster, AnalyticsBroadcaster, ContextBroadcaster};
pub use run::Run;
pub use singletons::{
    A2A_BROADCASTER, AGUI_BROADCASTER, ANALYTICS_BROADCASTER, AlreadyInstalled, CONTEXT_BROADCASTER,
};
pub use snapshot::{ThreadOverview, ThreadRetold, ThreadSnapshot, ThreadState};
pub use subscribe::Subscribe;
pub use task_list::{TaskPage, TaskQuery, TaskSnapshot};
pub use task_subscription::{TaskEnd, TaskError, TaskNext, TaskSubscription};
pub use thread_subscription::{ThreadNext, ThreadSubscription};
