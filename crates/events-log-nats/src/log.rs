//! The log: what all its parts share, and the contract.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use async_trait::async_trait;
use events_core::{
    Checkpoint, Epoch, EventError, EventLog, EventResult, LogCounter, Page, Record, Tail, UserId,
};
use tokio::sync::Semaphore;

use crate::{
    NatsLogConfig, NatsLogOpenError, age::Ages, api::Api, append, checkpoints,
    config::IN_FLIGHT_UNIT, counters::Counters, erase, error::unavailable, link::LinkListener,
    live, open, read, subject::Names, tail,
};

/// An [`EventLog`] in NATS JetStream. All its clones are one log, with one connection.
#[derive(Clone)]
pub struct NatsLog {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: NatsLogConfig,
    pub(crate) api: Api,
    pub(crate) names: Names,
    pub(crate) listener: Arc<LinkListener>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) epoch: Epoch,
    /// When the stream was made, as the server writes it.
    pub(crate) created: String,
    /// Whether several messages can be stored as one.
    pub(crate) has_batches: bool,
    /// One for each [`IN_FLIGHT_UNIT`] of appends under way.
    pub(crate) permits: Semaphore,
    pub(crate) n_permits: usize,
    /// The sequence up to which everything was handed out by the tail that was begun last.
    pub(crate) handed: AtomicU64,
    /// Counts tails; only the last one says what was handed out.
    pub(crate) tail_turn: AtomicU64,
    /// Whether the stream was found to be another one.
    pub(crate) is_replaced: AtomicBool,
    pub(crate) ages: Mutex<Ages>,
    /// Tells our live events from those of other replicas.
    pub(crate) origin: u128,
}

/// Room that a message needs besides its records: headers, and what stands before the entry.
const MESSAGE_ROOM: usize = 1_024;

impl NatsLog {
    /// Connects, makes the streams if they are not there, and compares their settings if they are.
    ///
    /// # Errors
    ///
    /// See [`NatsLogOpenError`]; each says what was wrong and what to do.
    ///
    /// # Cancel safety
    ///
    /// Streams may have been made; opening again finds them.
    pub async fn open(config: NatsLogConfig) -> Result<Self, NatsLogOpenError> {
        open::open(config).await
    }
}

impl Inner {
    /// The most bytes that the body of one message can have.
    pub(crate) fn max_body(&self) -> usize {
        self.api.client.max_payload().saturating_sub(MESSAGE_ROOM)
    }

    /// Refuses work on a stream whose numbers mean something else.
    pub(crate) fn check_life(&self) -> EventResult<()> {
        if self.is_replaced.load(Relaxed) {
            let stream = &self.names.stream;
            return Err(unavailable(format!(
                "stream {stream} was made anew; open the log again"
            )));
        }
        Ok(())
    }
}

/// Refuses users whose id does not fit into a message's head.
pub(crate) fn check_user(user: &UserId) -> EventResult<()> {
    const MAX_USER_BYTES: usize = 512;
    let size = user.as_str().len();
    if size > MAX_USER_BYTES {
        return Err(EventError::Rejected(Box::new(crate::error::Fault(
            format!("the user's id has {size} bytes, the log takes {MAX_USER_BYTES}"),
        ))));
    }
    Ok(())
}

#[async_trait]
impl EventLog for NatsLog {
    fn engine(&self) -> &'static str {
        "nats"
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    fn max_record_bytes(&self) -> usize {
        // A record has its scope and a note beside its JSON, 2 KiB at most in practice.
        self.inner.max_body().saturating_sub(3 * 1_024)
    }

    fn is_dense(&self) -> bool {
        false
    }

    async fn append(
        &self,
        user: &UserId,
        records: &[Record],
        at_ms: i64,
        expected_last: Option<u64>,
    ) -> EventResult<u64> {
        append::append(&self.inner, user, records, at_ms, expected_last).await
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        read::read(&self.inner, user, after, max_bytes).await
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        checkpoints::save(&self.inner, user, parts).await
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        checkpoints::load(&self.inner, user).await
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        erase::erase(&self.inner, user, marker, at_ms).await
    }

    fn tail(&self) -> Tail {
        tail::tail(&self.inner)
    }

    async fn pass_by(&self, user: &UserId, record: &Record) -> EventResult<()> {
        live::pass_by(&self.inner, user, record).await
    }

    async fn sweep(&self) -> EventResult<()> {
        crate::age::sweep(&self.inner).await
    }

    fn counters(&self) -> Vec<LogCounter> {
        let n_used = self.inner.n_permits - self.inner.permits.available_permits();
        self.inner.counters.list(n_used * IN_FLIGHT_UNIT)
    }
}

impl fmt::Debug for NatsLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsLog")
            .field("stream", &self.inner.names.stream)
            .field("epoch", &self.inner.epoch)
            .finish_non_exhaustive()
    }
}
