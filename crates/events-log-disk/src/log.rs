//! The log.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use async_trait::async_trait;
use events_core::{
    Checkpoint, Entry, Epoch, EventError, EventId, EventLog, EventResult, LogCounter, Page, Record,
    Tail, Tailed, UserId,
};
use futures_util::{StreamExt as _, stream};
use redb::ReadTransaction;
use tokio::{
    sync::{
        Semaphore,
        broadcast::{self, error::RecvError},
        oneshot,
    },
    time::timeout,
};

use crate::{
    DiskOpenError,
    config::DiskConfig,
    counters::{Counters, add},
    medium::{Disk, Medium},
    opening::{open_error, prepare},
    page::{self, ReadError},
    store::Store,
    writer::{Change, Waiting, Writer},
};

/// How many appends a listener may be behind before it has to read again.
const TAIL_CAPACITY: usize = 1_024;

/// The most transactions of one sweep; the next one goes on.
const MAX_SWEEPS: usize = 50;

/// An [`EventLog`] in a file; see the crate's documentation. All clones are one log, and the file is closed when the
/// last is dropped: that waits for what is just written, and for what waits to be.
#[derive(Clone)]
pub struct DiskLog {
    inner: Arc<Inner>,
}

struct Inner {
    epoch: Epoch,
    config: DiskConfig,
    store: Arc<Store>,
    counters: Arc<Counters>,
    reads: Arc<Semaphore>,
    tail: broadcast::Sender<Tailed>,
    down: Arc<Mutex<Option<String>>>,
    /// Taken when the log is dropped.
    queue: Option<SyncSender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl DiskLog {
    /// Opens the log in its folder, or makes a new one there. This blocks, mostly for milliseconds.
    ///
    /// # Errors
    ///
    /// The configuration is out of bounds; the folder cannot be written; another process has the log open; the file
    /// is damaged or of another version.
    pub fn open(config: DiskConfig) -> Result<Self, DiskOpenError> {
        config.check()?;
        let path = config.path.clone();
        let disk = Disk::create(&path).map_err(|source| DiskOpenError::Path { path, source })?;
        Self::open_on(Box::new(disk), config)
    }

    pub(crate) fn open_on(
        medium: Box<dyn Medium>,
        config: DiskConfig,
    ) -> Result<Self, DiskOpenError> {
        let path = medium.path().to_owned();
        let store = Store::open(medium, config.cache_bytes, config.reopen_after)
            .map_err(|error| open_error(path.clone(), error))?;
        let store = Arc::new(store);
        let epoch = prepare(&store, &path)?;
        let counters = Arc::new(Counters::default());
        let tail = broadcast::channel(TAIL_CAPACITY).0;
        let down = Arc::default();
        let (queue, waiting) = sync_channel(config.max_waiting);
        let writer = Writer {
            store: Arc::clone(&store),
            config: config.clone(),
            counters: Arc::clone(&counters),
            tail: tail.clone(),
            down: Arc::clone(&down),
        };
        let thread = Builder::new()
            .name("events-log".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(DiskOpenError::Thread)?;
        let inner = Inner {
            epoch,
            reads: Arc::new(Semaphore::new(config.max_reads)),
            config,
            store,
            counters,
            tail,
            down,
            queue: Some(queue),
            thread: Some(thread),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Hands a change to the thread that writes, and waits for the answer.
    async fn change<T>(
        &self,
        bytes: usize,
        change: impl FnOnce(oneshot::Sender<EventResult<T>>) -> Change,
    ) -> EventResult<T> {
        let Inner {
            config,
            counters,
            queue,
            ..
        } = &*self.inner;
        let n_bytes = bytes as u64;
        let waiting = counters.waiting_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        let give_back = || {
            counters.waiting_bytes.fetch_sub(n_bytes, Ordering::Relaxed);
            add(&counters.refused, 1);
        };
        if waiting > 0 && waiting + n_bytes > config.max_waiting_bytes as u64 {
            give_back();
            return Err(EventError::Overloaded("bytes that wait for the disk"));
        }
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            change: change(answer),
            bytes,
        };
        let Some(queue) = queue else {
            give_back();
            return Err(EventError::Unavailable("the log is closed".into()));
        };
        if let Err(refused) = queue.try_send(waiting) {
            give_back();
            return Err(match refused {
                TrySendError::Full(_) => EventError::Overloaded("appends that wait for the disk"),
                TrySendError::Disconnected(_) => {
                    EventError::Unavailable("the log's thread has ended".into())
                }
            });
        }
        match timeout(config.deadline, answered).await {
            Ok(Ok(answer)) => answer,
            // The thread has died in the middle, or it takes too long.
            Ok(Err(_)) | Err(_) => Err(EventError::Timeout),
        }
    }

    /// Reads on a thread for what blocks.
    async fn reading<T: Send + 'static>(
        &self,
        read: impl Fn(&ReadTransaction) -> Result<T, ReadError> + Send + 'static,
    ) -> EventResult<T> {
        let reads = Arc::clone(&self.inner.reads);
        let store = Arc::clone(&self.inner.store);
        let reading = async {
            let permit = reads.acquire_owned().await.map_err(unavailable)?;
            // The permit goes with the read: one that is given up still takes a thread.
            let read = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                store.read(read)
            });
            read.await.map_err(unavailable)?.map_err(unavailable)
        };
        timeout(self.inner.config.deadline, reading)
            .await
            .unwrap_or(Err(EventError::Timeout))
    }
}

fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EventError {
    EventError::Unavailable(error.into())
}

#[async_trait]
impl EventLog for DiskLog {
    fn engine(&self) -> &'static str {
        "disk"
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    fn max_record_bytes(&self) -> usize {
        self.inner.config.max_record_bytes
    }

    fn is_dense(&self) -> bool {
        true
    }

    async fn append(
        &self,
        user: &UserId,
        records: &[Record],
        at_ms: i64,
        expected_last: Option<u64>,
    ) -> EventResult<u64> {
        let config = &self.inner.config;
        let limit = config.max_record_bytes;
        if let Some(size) = records
            .iter()
            .map(|record| record.json.len())
            .find(|size| *size > limit)
        {
            return Err(EventError::TooLarge { size, limit });
        }
        let (size, limit) = (Entry::written_len(records), config.max_append_bytes);
        if size > limit {
            return Err(EventError::TooLarge { size, limit });
        }
        let user = user.clone();
        let records: Vec<Record> = records.iter().map(kept).collect();
        self.change(size, |answer| Change::Append {
            user,
            records,
            at_ms,
            expected_last,
            answer,
        })
        .await
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        let user = user.clone();
        self.reading(move |txn| page::read(txn, &user, after, max_bytes))
            .await
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        let size = |part: &Checkpoint| part.part.len() + part.state.len();
        let (user, parts) = (user.clone(), parts.to_vec());
        let bytes = parts.iter().map(size).sum();
        self.change(bytes, |answer| Change::Save {
            user,
            parts,
            answer,
        })
        .await
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        let user = user.clone();
        self.reading(move |txn| page::load(txn, &user)).await
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        let (user, marker) = (user.clone(), kept(&marker));
        let bytes = marker.json.len();
        self.change(bytes, |answer| Change::Erase {
            user,
            marker,
            at_ms,
            answer,
        })
        .await
    }

    fn tail(&self) -> Tail {
        let (receiver, down) = {
            let down = self.inner.down.lock();
            let down = down.unwrap_or_else(PoisonError::into_inner);
            (self.inner.tail.subscribe(), down.clone())
        };
        let heard = stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
            Ok(tailed) => Some((tailed, receiver)),
            Err(RecvError::Lagged(_)) => Some((Tailed::Started, receiver)),
            Err(RecvError::Closed) => None,
        });
        let state = down.map_or(Tailed::Up, Tailed::Down);
        let begin = stream::iter([state, Tailed::Started]);
        // It does not end before the listener goes, as the contract has it.
        Box::pin(begin.chain(heard).chain(stream::pending()))
    }

    async fn sweep(&self) -> EventResult<()> {
        for _ in 0..MAX_SWEEPS {
            let n_gone = self.change(0, |answer| Change::Sweep { answer }).await?;
            if n_gone == 0 {
                break;
            }
        }
        Ok(())
    }

    fn counters(&self) -> Vec<LogCounter> {
        let file_bytes = self.inner.store.medium().size();
        let tail_lag = self.inner.tail.len();
        self.inner.counters.all(file_bytes, tail_lag)
    }
}

/// A record as it is kept: with a tag, and without the name of an SSE event.
fn kept(record: &Record) -> Record {
    Record {
        tag: EventId::tag_or_random(record.tag),
        name: None,
        ..record.clone()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The thread ends when nobody can send any more, and closes the file.
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl fmt::Debug for DiskLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskLog")
            .field("epoch", &self.inner.epoch)
            .field("path", &self.inner.store.medium().path())
            .finish_non_exhaustive()
    }
}
