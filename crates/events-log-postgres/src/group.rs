//! Appends of several users in one transaction.
//!
//! A commit costs the server about as much as the rows of some appends. So what comes while other appends are under
//! way waits for the next group, which takes all that has gathered; an append that comes alone goes alone and at once.
//! A group waits for nobody's lock: what is not plain in it is left to the single statement.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use events_core::Record;
use tokio::{
    sync::{Notify, oneshot},
    task::JoinSet,
};
use tokio_postgres::types::ToSql;

use crate::{
    columns::Columns,
    counts::Counts,
    error::CallError,
    pool::Pool,
    statement::Call,
    value::{to_i64, to_u64},
};

/// Groups under way at the same time: while one commits the other is executed.
const WRITERS: usize = 2;
/// The most appends, records and bytes of JSON of one group; a group has at least one append.
const MAX_APPENDS: usize = 64;
const MAX_RECORDS: usize = 1_024;
const MAX_BYTES: usize = 512 << 10;
/// Appends that may wait for a group; more go alone.
const MAX_WAITING: usize = 4_096;
/// How long the statement of a group may take. It waits for no lock.
const LIMIT: Duration = Duration::from_millis(1_500);

/// An append that waits for a group.
pub(crate) struct Waiting {
    /// As the database has the name.
    pub(crate) user: String,
    pub(crate) expected: Option<u64>,
    pub(crate) at_ms: i64,
    pub(crate) records: Vec<Record>,
    n_bytes: usize,
    answer: oneshot::Sender<Outcome>,
}

/// The place of the first record; none if the append is not plain, and nothing was done for it.
type Outcome = Result<Option<u64>, CallError>;

/// What those who append and the writers share.
pub(crate) struct Groups {
    waiting: Mutex<VecDeque<Waiting>>,
    /// Rung once for each writer that has something to do.
    wake: Notify,
    /// Appends under way, alone or in groups.
    n_appends: AtomicUsize,
}

/// An append under way.
pub(crate) struct Turn<'a> {
    groups: &'a Groups,
    /// Nobody else was under way when it came.
    pub(crate) is_alone: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.groups.n_appends.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Groups {
    /// Begins the work of the writers; dropping the set ends it.
    pub(crate) fn start(pool: &Arc<Pool>, counts: &Arc<Counts>) -> (Arc<Self>, JoinSet<()>) {
        let groups = Arc::new(Self {
            waiting: Mutex::default(),
            wake: Notify::new(),
            n_appends: AtomicUsize::new(0),
        });
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS {
            let (groups, pool, counts) =
                (Arc::clone(&groups), Arc::clone(pool), Arc::clone(counts));
            writers.spawn(async move { groups.write(&pool, &counts).await });
        }
        (groups, writers)
    }

    /// Counts an append that begins.
    pub(crate) fn enter(&self) -> Turn<'_> {
        Turn {
            is_alone: self.n_appends.fetch_add(1, Ordering::Relaxed) == 0,
            groups: self,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends with the next group.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the outcome is unknown.
    pub(crate) async fn append(
        &self,
        user: &str,
        records: &[Record],
        at_ms: i64,
        expected: Option<u64>,
    ) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.len() >= MAX_WAITING {
                return Ok(None);
            }
            waiting.push_back(Waiting {
                user: user.to_owned(),
                expected,
                at_ms,
                records: records.to_vec(),
                n_bytes: records.iter().map(|record| record.json.len()).sum(),
                answer,
            });
        }
        self.wake.notify_one();
        let is_gone = |_| CallError::Unknown("the work behind the log has ended".to_owned());
        outcome.await.map_err(is_gone)?
    }

    /// Takes what the next group has: the oldest, but one append of a user.
    fn take(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let (mut group, mut users): (Vec<Waiting>, HashSet<String>) = Default::default();
        let (mut n_records, mut n_bytes, mut at) = (0, 0, 0);
        while group.len() < MAX_APPENDS
            && let Some(next) = waiting.get(at)
        {
            n_records += next.records.len();
            n_bytes += next.n_bytes;
            if !group.is_empty() && (n_records > MAX_RECORDS || n_bytes > MAX_BYTES) {
                break;
            }
            if next.answer.is_closed() {
                // Whoever wanted it has gone before it was sent.
                waiting.remove(at);
            } else if users.insert(next.user.clone()) {
                group.extend(waiting.remove(at));
            } else {
                at += 1;
            }
        }
        if !waiting.is_empty() {
            self.wake.notify_one();
        }
        group
    }

    async fn write(&self, pool: &Pool, counts: &Counts) {
        loop {
            self.wake.notified().await;
            let group = self.take();
            if !group.is_empty() {
                counts.groups.add(1);
                counts.grouped.add(group.len() as u64);
                write_group(pool, group).await;
            }
        }
    }
}

async fn write_group(pool: &Pool, group: Vec<Waiting>) {
    let columns = Columns::of(&group);
    let users: Vec<&str> = group.iter().map(|append| append.user.as_str()).collect();
    let expected: Vec<Option<i64>> = group
        .iter()
        .map(|append| append.expected.map(to_i64))
        .collect();
    let times: Vec<i64> = group.iter().map(|append| append.at_ms).collect();
    let parameters: &[&(dyn ToSql + Sync)] = &[
        &users,
        &expected,
        &times,
        &columns.counts,
        &columns.bytes,
        &columns.owners,
        &columns.ats,
        &columns.sums,
        &columns.channels,
        &columns.tags,
        &columns.keys,
        &columns.scopes,
        &columns.notes,
        &columns.bodies,
    ];
    let outcome = pool.call(Call::AppendMany, parameters, LIMIT).await;
    drop(columns);
    match outcome {
        Ok(rows) => {
            let mut firsts = vec![None; group.len()];
            for row in rows {
                let (nr, first): (i64, i64) = (row.get(0), row.get(1));
                let at = usize::try_from(nr - 1).ok();
                if let Some(place) = at.and_then(|at| firsts.get_mut(at)) {
                    *place = Some(to_u64(first));
                }
            }
            answer(group, |at| Ok(firsts[at]));
        }
        Err(CallError::Unknown(text)) => answer(group, |_| Err(CallError::Unknown(text.clone()))),
        // Nothing was written. What one of them is to blame for shall not be the others' error.
        Err(CallError::NotDone(text) | CallError::Again(text)) => {
            tracing::debug!(text, "a group of appends was not made");
            answer(group, |_| Ok(None));
        }
    }
}

fn answer(group: Vec<Waiting>, outcome: impl Fn(usize) -> Outcome) {
    for (at, append) in group.into_iter().enumerate() {
        // Whoever waited may have gone.
        let _is_gone = append.answer.send(outcome(at));
    }
}
