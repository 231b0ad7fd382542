//! The thread that writes: all that waits, in one transaction.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use events_core::{Checkpoint, EventError, EventResult, Logged, Record, Tailed, UserId};
use tokio::sync::{broadcast, oneshot};

use crate::{
    change::{self, Appended},
    config::DiskConfig,
    counters::{Counters, add},
    store::{Store, is_of_file},
    tables::{COMMITS_KEY, META, Tables},
    trim,
};

/// How long a batch waits for those who were in the last one: they have just been answered and are likely to come
/// again. Who was alone in the last batch does not wait.
const GATHER: Duration = Duration::from_micros(500);

/// The most bytes of JSON and states in one transaction, unless a single change has more.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Room that must be left on the disk for what makes room: appends are refused before, so that a sweep or an erasure
/// still works.
const APPEND_ROOM: u64 = 16 * 1024 * 1024;
const OTHER_ROOM: u64 = 2 * 1024 * 1024;

/// A change that waits, with who waits for its answer.
pub(crate) struct Waiting {
    pub(crate) change: Change,
    pub(crate) bytes: usize,
}

pub(crate) enum Change {
    Append {
        user: UserId,
        records: Vec<Record>,
        at_ms: i64,
        expected_last: Option<u64>,
        answer: oneshot::Sender<EventResult<u64>>,
    },
    Save {
        user: UserId,
        parts: Vec<Checkpoint>,
        answer: oneshot::Sender<EventResult<()>>,
    },
    Erase {
        user: UserId,
        marker: Record,
        at_ms: i64,
        answer: oneshot::Sender<EventResult<u64>>,
    },
    /// Answered with the number of appends that went.
    Sweep {
        answer: oneshot::Sender<EventResult<usize>>,
    },
}

/// What a change has done, when its transaction is on the disk.
enum Done {
    Place {
        previous: u64,
    },
    Conflict {
        last: u64,
    },
    Saved,
    Swept(usize),
    /// Nobody waits for it any more, so it was left out.
    Left,
}

impl Done {
    /// Tells whether nothing was written.
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::Swept(0) | Self::Left)
    }
}

/// What the thread works with.
pub(crate) struct Writer {
    pub(crate) store: Arc<Store>,
    pub(crate) config: DiskConfig,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tail: broadcast::Sender<Tailed>,
    /// Why nothing can be written, for tails that begin.
    pub(crate) down: Arc<Mutex<Option<String>>>,
}

/// Why a transaction was not made.
struct Failure {
    why: String,
    /// It may be on the disk all the same.
    is_unknown: bool,
}

impl Writer {
    /// Writes until nobody can send any more.
    pub(crate) fn run(&self, queue: &Receiver<Waiting>) {
        let mut n_last = 1;
        while let Ok(first) = queue.recv() {
            let batch = self.gather(first, queue, n_last);
            n_last = batch.len();
            self.write(batch);
        }
        self.store.close();
    }

    fn gather(&self, first: Waiting, queue: &Receiver<Waiting>, n_last: usize) -> Vec<Waiting> {
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        let until = (n_last > 1).then(|| Instant::now() + GATHER);
        while batch.len() < self.config.max_batch && bytes < MAX_BATCH_BYTES {
            let next = match until {
                Some(until) if batch.len() < n_last => {
                    let left = until.saturating_duration_since(Instant::now());
                    queue.recv_timeout(left)
                }
                _ => queue.try_recv().map_err(|_| RecvTimeoutError::Timeout),
            };
            let Ok(next) = next else {
                break;
            };
            bytes += next.bytes;
            batch.push(next);
        }
        batch
    }

    fn write(&self, batch: Vec<Waiting>) {
        let done = self.transact(&batch);
        let n_bytes: usize = batch.iter().map(|waiting| waiting.bytes).sum();
        let n_bytes = n_bytes as u64;
        self.counters
            .waiting_bytes
            .fetch_sub(n_bytes, Ordering::Relaxed);
        match done {
            Ok(done) => {
                if !done.iter().all(Done::is_nothing) {
                    self.set_down(None);
                    add(&self.counters.commits, 1);
                }
                for (waiting, done) in batch.into_iter().zip(done) {
                    self.answer(waiting, done);
                }
            }
            Err(failure) => {
                add(&self.counters.failures, 1);
                self.set_down(Some(&failure.why));
                for waiting in batch {
                    refuse(waiting, &failure);
                }
            }
        }
    }

    /// Makes all changes of a batch in one transaction.
    fn transact(&self, batch: &[Waiting]) -> Result<Vec<Done>, Failure> {
        self.check_room(batch)?;
        let known = |why| Failure {
            why,
            is_unknown: false,
        };
        let (mut txn, life) = self.store.begin_write().map_err(known)?;
        let fail = |error: redb::Error, is_unknown| {
            if is_of_file(&error) {
                self.store.fail(life, &error);
            }
            Failure {
                why: error.to_string(),
                is_unknown,
            }
        };
        let is_large = self.store.medium().size() > self.config.quick_open_above;
        txn.set_quick_repair(is_large);
        let done = Tables::open(&txn).and_then(|mut tables| {
            let number = tables.count()?;
            let changes = batch
                .iter()
                .map(|waiting| self.change(&mut tables, &waiting.change));
            let done = changes.collect::<Result<Vec<Done>, redb::Error>>()?;
            Ok((number, done))
        });
        match done {
            // A batch of conflicts needs no sync.
            Ok((_, done)) if done.iter().all(Done::is_nothing) => {
                txn.abort().map_err(|error| fail(error.into(), false))?;
                Ok(done)
            }
            Ok((number, done)) => match txn.commit() {
                Ok(()) => Ok(done),
                Err(error) => {
                    let mut failure = fail(error.into(), true);
                    failure.is_unknown = !self.is_missing(number);
                    Err(failure)
                }
            },
            Err(error) => {
                drop(txn);
                Err(fail(error, false))
            }
        }
    }

    /// Tells whether a transaction is surely not in the file, which was opened anew since. If it is, nobody knows
    /// whether it is on the disk.
    fn is_missing(&self, number: u64) -> bool {
        let count = self.store.read(|txn| {
            let meta = txn.open_table(META).map_err(redb::Error::from)?;
            let count = meta.get(COMMITS_KEY).map_err(redb::Error::from)?;
            Ok(count.map_or(0, |count| count.value()))
        });
        count.is_ok_and(|count| count < number)
    }

    fn change(&self, tables: &mut Tables<'_>, change: &Change) -> Result<Done, redb::Error> {
        let config = &self.config;
        match change {
            Change::Append { answer, .. } | Change::Erase { answer, .. } if answer.is_closed() => {
                Ok(Done::Left)
            }
            Change::Append {
                user,
                records,
                at_ms,
                expected_last,
                ..
            } => {
                let appended =
                    change::append(tables, config, user, records, *at_ms, *expected_last)?;
                Ok(match appended {
                    Appended::At { previous } => Done::Place { previous },
                    Appended::Conflict { last } => Done::Conflict { last },
                })
            }
            Change::Save { user, parts, .. } => {
                change::save(tables, user, parts)?;
                Ok(Done::Saved)
            }
            Change::Erase {
                user,
                marker,
                at_ms,
                ..
            } => {
                let previous = change::erase(tables, config, user, marker, *at_ms)?;
                Ok(Done::Place { previous })
            }
            Change::Sweep { .. } => {
                let n_gone = trim::by_age(tables, config, config.clock.now_ms())?;
                Ok(Done::Swept(n_gone))
            }
        }
    }

    /// Refuses before the file is touched when the disk is nearly full.
    fn check_room(&self, batch: &[Waiting]) -> Result<(), Failure> {
        let Some(room) = self.store.medium().room() else {
            return Ok(());
        };
        let makes_room = |waiting: &Waiting| {
            matches!(waiting.change, Change::Erase { .. } | Change::Sweep { .. })
        };
        let n_bytes: usize = batch.iter().map(|waiting| waiting.bytes).sum();
        // A transaction writes whole pages anew, and the file grows by large steps.
        let wanted = if batch.iter().all(makes_room) {
            OTHER_ROOM
        } else {
            APPEND_ROOM + 3 * n_bytes as u64
        };
        if room >= wanted {
            return Ok(());
        }
        let path = self.store.medium().path().display();
        Err(Failure {
            why: format!("{room} bytes are left on the disk of {path}, {wanted} are needed"),
            is_unknown: false,
        })
    }

    fn answer(&self, waiting: Waiting, done: Done) {
        // Who asked may have gone.
        match (waiting.change, done) {
            (
                Change::Append {
                    user,
                    records,
                    at_ms,
                    answer,
                    ..
                },
                Done::Place { previous },
            ) => {
                add(&self.counters.appends, 1);
                add(&self.counters.records, records.len() as u64);
                add(&self.counters.bytes, waiting.bytes as u64);
                self.tell(user, previous, records, at_ms);
                answer.send(Ok(previous + 1)).ok();
            }
            (Change::Append { answer, .. }, Done::Conflict { last }) => {
                add(&self.counters.conflicts, 1);
                answer.send(Err(EventError::Conflict { last })).ok();
            }
            (
                Change::Erase {
                    user,
                    marker,
                    at_ms,
                    answer,
                },
                Done::Place { previous },
            ) => {
                self.tell(user, previous, vec![marker], at_ms);
                answer.send(Ok(previous + 1)).ok();
            }
            (Change::Save { answer, .. }, _) => {
                answer.send(Ok(())).ok();
            }
            (Change::Sweep { answer }, Done::Swept(n_gone)) => {
                add(&self.counters.trimmed, n_gone as u64);
                answer.send(Ok(n_gone)).ok();
            }
            _ => {}
        }
    }

    fn tell(&self, user: UserId, previous: u64, records: Vec<Record>, at_ms: i64) {
        if self.tail.receiver_count() == 0 {
            return;
        }
        let logged =
            (previous + 1..)
                .zip(records)
                .map(|(seq, record)| Logged { seq, at_ms, record });
        let appended = Tailed::Appended {
            user,
            previous,
            records: logged.collect(),
        };
        self.tail.send(appended).ok();
    }

    fn set_down(&self, why: Option<&str>) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let tailed = match (why, down.as_ref()) {
            (Some(why), None) => Tailed::Down(why.to_owned()),
            (None, Some(_)) => Tailed::Up,
            _ => return,
        };
        *down = why.map(str::to_owned);
        // Under the lock, so that a tail that begins hears of it once, from the one or from the other.
        self.tail.send(tailed).ok();
    }
}

fn refuse(waiting: Waiting, failure: &Failure) {
    fn send<T>(answer: oneshot::Sender<EventResult<T>>, failure: &Failure) {
        let error = if failure.is_unknown {
            EventError::Timeout
        } else {
            EventError::Unavailable(failure.why.clone().into())
        };
        answer.send(Err(error)).ok();
    }
    match waiting.change {
        Change::Append { answer, .. } | Change::Erase { answer, .. } => send(answer, failure),
        Change::Save { answer, .. } => send(answer, failure),
        Change::Sweep { answer } => send(answer, failure),
    }
}
