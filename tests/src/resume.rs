//! Whether clients that come back, to whichever replica and after whatever fault, miss nothing and get nothing twice.
//!
//! A [`Plan`] starts hubs on one log, publishers that try again elsewhere after an error, and clients that move
//! between the hubs with their cursors; meanwhile [`Fault`]s happen. Then the [`verdict`] compares what publishers
//! were told with what each client was sent. The verdict knows nothing of hubs, so that it can be tested itself, with
//! logs that break their promises.

pub mod client;
pub mod engine;
pub mod events;
pub mod faults;
pub mod hubs;
pub mod publisher;
pub mod report;
pub mod screen;
pub mod trial;
pub mod verdict;

use std::time::Duration;

pub use engine::{Engine, EngineKind};
pub use events::Kind;
pub use faults::Fault;
pub use report::Report;
pub use screen::Screen;
pub use trial::Plan;
pub use verdict::{ClientRecord, Finding, PublisherRecord, Sight, What, check};

/// Lets other work go on for a while.
pub(crate) async fn rest(time: Duration) {
    // Nothing is waited for: between two tries there is only time.
    let _elapsed = tokio::time::timeout(time, std::future::pending::<()>()).await;
}
