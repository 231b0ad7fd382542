//! A log in this process that several routers can share.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use events_core::{
    Checkpoint, Epoch, EventError, EventId, EventLog, EventResult, Logged, Page, Record, Tail,
    Tailed, UserId,
};
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast::{self, error::RecvError};

/// How many appends a listener may be behind before it has to read again.
const TAIL_CAPACITY: usize = 1_024;

/// An [`EventLog`] without an engine, for tests and for programs that run several routers in one process.
///
/// It is not the storage of a router that has no engine: that one keeps its events where connections read them, and
/// is faster. This one behaves like an engine; all its clones are one log. It forgets everything when the last of
/// them is dropped.
///
/// Memory: every user's records up to the bound of [`MemoryLog::new`], and the state of every part that was saved.
#[derive(Clone)]
pub struct MemoryLog {
    inner: Arc<Inner>,
}

struct Inner {
    epoch: Epoch,
    max_records: usize,
    users: Mutex<HashMap<UserId, Kept>>,
    tail: broadcast::Sender<Tailed>,
}

/// What is kept of a user.
#[derive(Default)]
struct Kept {
    records: VecDeque<Logged>,
    /// The place of the last record that was let go.
    floor: u64,
    last: u64,
    /// The place of the marker of the last erasure.
    erased: u64,
    parts: BTreeMap<Box<str>, Checkpoint>,
}

impl MemoryLog {
    /// Makes an empty log that keeps so many records of each user, at least one.
    #[must_use]
    pub fn new(max_records: usize) -> Self {
        let inner = Inner {
            epoch: Epoch::generate(),
            max_records: max_records.max(1),
            users: Mutex::default(),
            tail: broadcast::channel(TAIL_CAPACITY).0,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<UserId, Kept>> {
        self.inner
            .users
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends under the lock of all users, so that listeners hear of appends in their order.
    fn append_locked(&self, kept: &mut Kept, user: &UserId, records: &[Record], at_ms: i64) -> u64 {
        let (previous, first) = (kept.last, kept.last + 1);
        let logged: Vec<Logged> = (first..)
            .zip(records)
            .map(|(seq, record)| {
                let mut record = record.clone();
                record.tag = EventId::tag_or_random(record.tag);
                Logged { seq, at_ms, record }
            })
            .collect();
        kept.last += records.len() as u64;
        kept.records.extend(logged.iter().cloned());
        while kept.records.len() > self.inner.max_records {
            kept.floor = kept.records.pop_front().map_or(kept.floor, |gone| gone.seq);
        }
        // Nobody may be listening.
        let _n_listeners = self.inner.tail.send(Tailed::Appended {
            user: user.clone(),
            previous,
            records: logged,
        });
        first
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    fn engine(&self) -> &'static str {
        "memory"
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    fn max_record_bytes(&self) -> usize {
        usize::MAX
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
        let mut users = self.users();
        let kept = users.entry(user.clone()).or_default();
        match expected_last {
            Some(expected) if expected != kept.last => {
                Err(EventError::Conflict { last: kept.last })
            }
            _ => Ok(self.append_locked(kept, user, records, at_ms)),
        }
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        let users = self.users();
        let Some(kept) = users.get(user) else {
            return Ok(Page {
                previous: after,
                ..Page::default()
            });
        };
        let mut bytes = 0;
        let is_after = |logged: &&Logged| logged.seq > after;
        let records = kept.records.iter().filter(is_after).take_while(|logged| {
            let has_room = bytes < max_bytes;
            bytes += logged.record.json.len();
            has_room
        });
        Ok(Page {
            previous: after.max(kept.floor),
            records: records.cloned().collect(),
            last: kept.last,
        })
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        let mut users = self.users();
        let kept = users.entry(user.clone()).or_default();
        let erased = kept.erased;
        for part in parts.iter().filter(|part| part.seq >= erased) {
            let is_newer = |known: &Checkpoint| known.seq <= part.seq;
            if kept.parts.get(&part.part).is_none_or(is_newer) {
                kept.parts.insert(part.part.clone(), part.clone());
            }
        }
        Ok(())
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        let users = self.users();
        let parts = users.get(user).map(|kept| kept.parts.values());
        Ok(parts.into_iter().flatten().cloned().collect())
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        let mut users = self.users();
        let kept = users.entry(user.clone()).or_default();
        kept.records.clear();
        kept.parts.clear();
        kept.floor = kept.last;
        kept.erased = kept.last + 1;
        Ok(self.append_locked(kept, user, &[marker], at_ms))
    }

    fn tail(&self) -> Tail {
        let receiver = self.inner.tail.subscribe();
        let heard = stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
            Ok(tailed) => Some((tailed, receiver)),
            Err(RecvError::Lagged(_)) => Some((Tailed::Started, receiver)),
            Err(RecvError::Closed) => None,
        });
        let begin = stream::iter([Tailed::Up, Tailed::Started]);
        // It does not end before the listener goes, as the contract has it.
        Box::pin(begin.chain(heard).chain(stream::pending()))
    }

    async fn pass_by(&self, user: &UserId, record: &Record) -> EventResult<()> {
        let _n_listeners = self.inner.tail.send(Tailed::Passed {
            user: user.clone(),
            record: record.clone(),
        });
        Ok(())
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLog")
            .field("epoch", &self.inner.epoch)
            .finish_non_exhaustive()
    }
}
