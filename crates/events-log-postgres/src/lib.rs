//! A log for several replicas of a hub, in a PostgreSQL that is there anyway.
//!
//! ```no_run
//! use events_core::{EventLog as _, UserId};
//! use events_log_postgres::{PostgresConfig, PostgresLog};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = PostgresConfig::new("postgres://events:secret@db.example/app?sslmode=verify-full");
//! config.history_events = 2_000;
//! let log = PostgresLog::open(config).await?;
//! let page = log.read(&UserId::from("ada"), 0, 1 << 20).await?;
//! println!("{} records, the last is {}", page.records.len(), page.last);
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! Each user has a row with his last place, and an append holds its lock from the number to the commit: so numbers are
//! in the order of commits, dense, and a roll-back leaves no hole. An append is one statement. Replicas learn of it by
//! a notification that a task gathers and sends after the commit, at most once in 5 ms; and, as the truth, by a look at
//! the last places of the users they follow, twice a second. A lost notification or a dead listener costs half a second
//! and never an event.
//!
//! Records go by number and size when their user's next ones are written, and by age by emptying one of eight
//! partitions. A user's last place is kept for ever, a row of some tens of bytes, so that no number is given twice.
//!
//! # Publishing from SQL
//!
//! An application publishes in its own transaction, so that an event and the change that it tells of are both there or
//! both not. It needs `usage` on the schema and `execute` on the two functions.
//!
//! ```sql
//! grant usage on schema events to app;
//! grant execute on function events.events_publish(text, text, text[], text[], text[]), events.events_ring(text) to app;
//!
//! begin;
//! update orders set state = 'paid' where id = 7;
//! select events.events_publish('ada', 'thread-1', array['agui'],
//!     array['{"type":"CUSTOM","name":"paid","value":7}'], array['order-7-paid']);  -- {42}
//! commit;
//! select events.events_ring('ada');  -- optional: now instead of within half a second
//! ```
//!
//! A message id that is known returns the place it had, so a retry is safe as long as the record is kept. Its key is the
//! first 128 bits of the SHA-256 of its text. While the transaction is open, other publishers of that user wait, those
//! of the hub at most 1.5 seconds; so the call is best made late. `events_ring` within a transaction works too, but
//! commits that notify wait for each other in the whole cluster.
//!
//! # What the server must be
//!
//! PostgreSQL 13 or newer, a database in UTF-8, and the primary. What is acknowledged is as safe as a commit is there:
//! with `synchronous_commit = off` a crash loses some, and with an asynchronous standby a promotion does. A promotion
//! changes the timeline, and so the epoch of the log, by which clients are told; see
//! [`PostgresConfig::keep_epoch`]. Replicas need roles with the same rights, because the epoch is made of what they may
//! see of the cluster. A pooler in transaction mode works with [`PostgresConfig::pooler`], for all but
//! listening.
//!
//! # What this crate does not do
//!
//! It reads no event and knows no protocol: whether an event is valid at its place is for the router. It does not
//! partition users over servers, and does not fail over by itself: it connects to whichever of its hosts is writable.
//! Client certificates and channel binding are not supported.
//!
//! # Invariants
//!
//! 1. A number is given under its user's lock and seen after the commit, so whoever has read a place never meets a
//!    lower one later.
//! 2. An error other than `Timeout` means that nothing was written.
//! 3. Notifications are hints. Nothing depends on their order or their arrival.
//! 4. Publishers never notify in the transaction of an append.
//! 5. A connection to another log than the one that was opened is not used, and ends the log for good: whoever has it
//!    opens it anew.
//! 6. No password is in a log line, an error or a `Debug` form.

mod address;
mod bell;
mod config;
mod connection;
mod counts;
mod error;
mod follows;
mod inner;
mod life;
mod listener;
mod log;
mod notice;
mod page;
mod pool;
mod schema;
mod statement;
mod tail;
mod tls;
mod value;

pub use config::PostgresConfig;
pub use error::OpenError as PostgresOpenError;
pub use log::PostgresLog;
