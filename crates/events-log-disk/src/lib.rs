//! The events log in one file on disk, for one process: what was acknowledged is there after a crash.
//!
//! ```
//! use events_core::{Channel, EventLog as _, Record, UserId};
//! use events_log_disk::{DiskConfig, DiskLog};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("log");
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let log = DiskLog::open(DiskConfig::new(path))?;
//! let record = Record {
//!     channel: Channel::new(0),
//!     scope: None,
//!     name: None,
//!     json: "{\"hello\":1}".into(),
//!     tag: 0,
//!     key: None,
//!     note: Default::default(),
//! };
//! let ada = UserId::new("ada");
//! // It is on the disk when this returns.
//! let place = log.append(&ada, &[record], 1_763_750_000_000, Some(0)).await?;
//! let page = log.read(&ada, 0, 64 * 1024).await?;
//! assert_eq!((page.records.len(), page.last), (1, place));
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # How it works
//!
//! The file is a [redb](https://docs.rs/redb) database: a copy-on-write B-tree that is never half written. One thread
//! writes. It takes all that waits, up to [`DiskConfig::max_batch`] appends, into one transaction, and answers when
//! that is on the disk: so one sync serves many, and who is alone does not wait for others.
//! Reads run beside it, on the threads that the runtime has for what blocks.
//!
//! When the disk is full, or fails, appends say so and nothing of them is kept; reads go on, of what was written
//! before. The file is opened anew when there is room again, about once a second, when somebody writes or sweeps.
//!
//! # What it may lose
//!
//! Nothing that was acknowledged, by a crash of the process or of the machine, as far as the disk keeps what it said
//! it has synced. A file that is copied back from a backup has the same epoch, and its places are given anew: delete
//! the file instead, or clients take new events for those they have seen.
//!
//! # What this crate does not do
//!
//! It reads no event. It has no replicas: a second process on the same file is refused. It gives no room back to the
//! file system: room of records that are gone, erased ones too, is used for new ones, and until then their bytes are in
//! the file. It keeps a user's last place for ever, some
//! hundred bytes for each user that ever was, and checkpoints until they are ended or the user is erased.
//!
//! # Invariants
//!
//! 1. An append is answered with its place after the transaction that has it is on the disk, and told by tails then.
//! 2. Places of a user are dense; they go on after everything is trimmed, erased, or the process has died.
//! 3. Nothing is trimmed that a bound does not ask for. Whoever follows a user needs what comes after the last
//!    checkpoints, which are saved far more often than a sensible bound trims.
//! 4. What waits is bounded by number and bytes; beyond that appends are refused at once.
//! 5. After an append that failed in the file the file is opened anew before the next one.

mod change;
mod config;
mod counters;
mod log;
mod medium;
mod open_error;
mod opening;
mod page;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod trim;
mod writer;

pub use config::DiskConfig;
pub use log::DiskLog;
pub use open_error::DiskOpenError;
