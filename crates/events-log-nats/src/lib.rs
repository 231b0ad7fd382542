//! A log of events in NATS JetStream, which many replicas share.
//!
//! ```no_run
//! use events_core::{EventLog as _, UserId};
//! use events_log_nats::{NatsLog, NatsLogConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = NatsLogConfig::new("nats://127.0.0.1:4222");
//! config.replicas = 3;
//! let log = NatsLog::open(config).await?;
//! let page = log.read(&UserId::new("ada"), 0, 64 * 1024).await?;
//! println!("{} records up to place {}", page.records.len(), page.last);
//! # Ok(())
//! # }
//! ```
//!
//! **What is where.** One stream has the records: a subject for each user, a message for each append, and a few
//! neighbouring messages, stored at once, for one that is larger than the server's `max_payload`. A second stream has
//! checkpoints. Users' ids stand in the messages, hashes of them in the subjects. NATS server 2.11 or newer; appends
//! larger than one message need 2.12.
//!
//! **What the engine itself may lose.** An acknowledged append is on as many servers as `replicas` says, but by
//! default not on their disks: servers write them out every two minutes. A killed process loses nothing. When a
//! machine without replicas, or most machines of a cluster, lose power, the last appends can be lost, unless the
//! servers have `sync_interval: always`.
//!
//! **What is known of a user of whom nothing new comes.** Records leave by number and age, but the last append of a
//! user stays for `idle_age`, so his last place is known. After that, or when `max_bytes` pushes it out, he is as one
//! who never was: his last place is 0 for who asks from the beginning. For who asks from a place that the stream no
//! longer reaches back to, the answer is the stream's own floor: something may have been lost, and it is said so.
//!
//! # What this crate does not do
//!
//! It does not run or configure servers, and it changes no stream that is there: it says what differs. It keeps
//! nothing in memory that a replica reads again; what is live is the router's. It does not read the bytes it moves.
//!
//! # Invariants
//!
//! 1. An append is compared with the user's last message by the server, in the same step in which it is stored.
//! 2. A place is the sequence of the append's last message and an index; the last index of every append is the same.
//! 3. What is said to be last was said by a leader. A server that is behind makes a read slower, never shorter.
//! 4. The tail leaves nothing out after `Started`: a message that is missing makes it begin again behind the last one.
//! 5. An append that got no answer is sent again only with its id, or after it was looked for.
//! 6. No password, token or credential is in an error, a log line or a `Debug`.
//! 7. Nothing runs in the background but the client's own connection: the tail works while it is polled.

mod age;
mod api;
mod append;
mod checkpoints;
mod config;
mod counters;
mod erase;
mod error;
mod feed;
mod link;
mod live;
mod log;
mod open;
mod packet;
mod place;
mod read;
mod streams;
mod subject;
mod tail;
mod tls;

#[cfg(test)]
mod tests;

pub use config::NatsLogConfig;
pub use error::NatsLogOpenError;
pub use log::NatsLog;
