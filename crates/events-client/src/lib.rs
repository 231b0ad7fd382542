//! Follows a hub's streams with a cursor that survives every cut, and publishes with retries that repeat nothing.
//!
//! ```no_run
//! use events_client::{Client, Item, Publish, PublishKind, StreamKind, Subscribe};
//! use futures_util::StreamExt;
//!
//! # async fn example() -> Result<(), events_client::Error> {
//! let client = Client::new("http://127.0.0.1:4000")?;
//! let request = Publish::to(PublishKind::AgUi, "ada").thread("t");
//! let published = client
//!     .publish(&request, [r#"{"type":"RUN_STARTED","threadId":"t","runId":"r"}"#])
//!     .await?;
//! assert_eq!(published.ids.len(), 1);
//!
//! let mut stream = client.subscribe(Subscribe::to(StreamKind::AgUi).user("ada").thread("t"))?;
//! while let Some(item) = stream.next().await {
//!     if let Item::Event { data, .. } = item? {
//!         // One AG-UI event as JSON.
//!         drop(data);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate does not do
//!
//! It does not look into events: what it takes and gives is JSON text. It drops no duplicates and fills no gaps;
//! the hub promises each event once per cursor, and says with a [`Item::Gap`] when it cannot. It spawns no task:
//! a stream moves while it is polled. Requests need a tokio runtime with time and I/O enabled. Addresses that
//! begin with `https` need the feature `tls`. It follows no redirect: where a hub has moved to is in the error.
//!
//! # Invariants
//!
//! 1. A stream's cursor is that of the last item given to the caller: what was received and not given comes again
//!    after a cut.
//! 2. A stream ends only with a fatal error, with the allowed number of reconnects used up, or with a closing
//!    frame that does not want the client back.
//! 3. All attempts to publish one batch carry the same message id, and no two batches of a call share one.
//! 4. No token and no event is logged, or shown by `Debug`.

mod backoff;
mod client;
mod error;
mod http;
mod line;
mod live;
mod publish;
mod subscribe;
#[cfg(test)]
mod test_server;
#[cfg(feature = "tls")]
mod tls;

pub use client::{Client, ClientBuilder, PublishKind, StreamKind};
pub use error::{Cause, Error, Problem};
pub use events_sse::{Closing, ClosingReason, Gap, GapReason};
pub use line::{EventLine, Json};
pub use live::{LivePublisher, Receipt};
pub use publish::{Publish, Published, Retry};
pub use subscribe::{EventStream, Item, Subscribe};
