//! Publishing into a log that others may write to as well: check here, append there, apply what is there.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use events_core::{Epoch, EventError, EventId, EventResult, Logged, MsgKey, RecordIds, UserId};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    OpenUser, Shared,
    applying::Applied,
    mirror::Mirror,
    saving::{BYTES_BETWEEN, RECORDS_BETWEEN},
    staging::{Checked, Staged, stage},
    stats::count,
    unnamed::{UnnamedKeys, is_unnamed},
};
use crate::{BusEvent, EventRouter, Item, PublishError, Published, event::MsgId};

/// How long a publish may take, from the call to the log's answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// Publishes of one user that may wait for the log.
const JOBS_PER_USER: usize = 256;
/// How often an append is tried again because another replica was faster.
const CONFLICTS: usize = 64;

type Answer = Result<Published, PublishError>;

/// A batch that waits for the log.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) items: Vec<Keyed>,
    until: Instant,
    /// Nobody waits for the end of an erasure or of a silent run.
    answer: Option<oneshot::Sender<Answer>>,
    /// All that the user has is to be erased.
    erases: bool,
    /// The events are the ends of runs that were silent.
    ends_silence: bool,
}

/// An event with the key that it has in the log.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    pub(super) item: Item,
    pub(super) key: MsgKey,
}

impl Job {
    fn new(
        items: Vec<Item>,
        unnamed: &UnnamedKeys,
        answer: Option<oneshot::Sender<Answer>>,
    ) -> Self {
        let keyed = |item: Item| {
            let named = item.msg_id.as_ref().map(MsgId::key);
            Keyed {
                key: named.unwrap_or_else(|| unnamed.draw()),
                item,
            }
        };
        Self {
            items: items.into_iter().map(keyed).collect(),
            until: Instant::now() + DEADLINE,
            answer,
            erases: false,
            ends_silence: false,
        }
    }

    /// Makes the job that ends silent runs.
    pub(super) fn of_silence(items: Vec<Item>, unnamed: &UnnamedKeys) -> Self {
        Self {
            ends_silence: true,
            ..Self::new(items, unnamed, None)
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Tells whether the job ends runs that were silent, for which nobody has asked.
    pub(super) const fn ends_silence(&self) -> bool {
        self.ends_silence
    }

    /// Tells whether a message id of this job is among those of another, so that it must wait for its outcome.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        let is_named = |keyed: &&Keyed| !is_unnamed(keyed.key);
        self.erases
            || other.erases
            || self
                .items
                .iter()
                .filter(is_named)
                .any(|mine| other.items.iter().any(|theirs| theirs.key == mine.key))
    }

    pub(super) fn answer(self, answer: Answer) {
        if let Some(sender) = self.answer {
            // The publisher may have left.
            let _is_gone = sender.send(answer);
        }
    }
}

/// A batch that is on its way into the log, whether anybody waits for the answer or not.
pub(crate) struct Enqueued {
    answer: oneshot::Receiver<Answer>,
    _open: OpenUser,
}

impl Enqueued {
    pub(crate) async fn published(self) -> Answer {
        let is_gone = |_| EventError::Unavailable("the replica's work has ended".into());
        self.answer.await.map_err(is_gone)?
    }
}

impl Shared {
    /// Puts a batch for a user behind what waits for the log already.
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        router: &EventRouter,
        user: &UserId,
        items: Vec<Item>,
    ) -> EventResult<Enqueued> {
        let (sender, answer) = oneshot::channel();
        let job = Job::new(items, &self.unnamed, Some(sender));
        let open = self.push(router, user, job)?;
        Ok(Enqueued {
            answer,
            _open: open,
        })
    }

    /// Publishes a batch without waiting for its outcome.
    pub(crate) fn enqueue_and_leave(
        self: &Arc<Self>,
        router: &EventRouter,
        user: &UserId,
        items: Vec<Item>,
    ) -> EventResult<()> {
        let job = Job::new(items, &self.unnamed, None);
        self.push(router, user, job).map(drop)
    }

    /// Erases all that the log has of a user.
    pub(crate) async fn erase(
        self: &Arc<Self>,
        router: &EventRouter,
        user: &UserId,
    ) -> EventResult<()> {
        let (sender, answer) = oneshot::channel();
        let mut job = Job::new(Vec::new(), &self.unnamed, Some(sender));
        job.erases = true;
        job.until = Instant::now() + 5 * DEADLINE;
        let _open = self.push(router, user, job)?;
        let is_gone = |_| EventError::Unavailable("the replica's work has ended".into());
        answer.await.map_err(is_gone)?.map(drop).map_err(Into::into)
    }

    fn push(
        self: &Arc<Self>,
        router: &EventRouter,
        user: &UserId,
        job: Job,
    ) -> EventResult<OpenUser> {
        let open = self.hold(router, user)?;
        if let Some(mirror) = open.mirror() {
            let mut state = mirror.lock();
            if state.jobs.len() >= JOBS_PER_USER {
                drop(state);
                return Err(self.refuse_full());
            }
            state.jobs.push_back(job);
            self.start(mirror, &mut state);
        }
        Ok(open)
    }

    /// Appends jobs and answers each.
    pub(super) async fn publish(
        &self,
        router: &EventRouter,
        mirror: &Arc<Mirror>,
        mut jobs: Vec<Job>,
    ) {
        if jobs.iter().any(|job| job.erases) {
            for job in jobs {
                let erased = self.erase_now(router, mirror).await;
                job.answer(erased.map(|()| Published::default()).map_err(Into::into));
            }
            return;
        }
        mirror.lock().has_overdue = false;
        // Once an append is out whose answer has not come, a failure does not mean that nothing is in the log.
        let (mut is_unknown, mut n_conflicts) = (false, 0);
        // Another replica may have appended what an event needs, and the tail not said so yet.
        let mut is_current = false;
        let until = jobs.iter().map(|job| job.until).min();
        let until = until.unwrap_or_else(|| Instant::now() + DEADLINE);
        loop {
            let staged = match stage(router, mirror, &self.unnamed, jobs, is_current) {
                Ok(Checked::Staged(staged)) => staged,
                Ok(Checked::Nothing) => return,
                Ok(Checked::Doubtful(doubtful)) => {
                    count(&self.counters.doubts);
                    jobs = doubtful;
                    if let Err(error) = self.read_until(router, mirror, until).await {
                        return self.fail(jobs, &error, is_unknown);
                    }
                    is_current = true;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "nothing staged");
                    return;
                }
            };
            let outcome = self.append(mirror, &staged, until).await;
            let error = match outcome {
                Ok(first) => {
                    count(&self.counters.appends);
                    self.settle(router, mirror, staged, first);
                    return;
                }
                Err(error) => error,
            };
            match &error {
                EventError::Conflict { .. } => {
                    count(&self.counters.conflicts);
                    n_conflicts += 1;
                }
                EventError::Timeout => {
                    count(&self.counters.unknown);
                    is_unknown = true;
                }
                _ => {}
            }
            let is_hopeless = !matches!(error, EventError::Conflict { .. } | EventError::Timeout)
                || n_conflicts > CONFLICTS
                || Instant::now() >= until;
            jobs = staged.jobs.into_iter().map(|(job, _)| job).collect();
            if is_hopeless {
                return self.fail(jobs, &error, is_unknown);
            }
            // What others have appended, or what was appended after all, is known then.
            if let Err(error) = self.read_until(router, mirror, until).await {
                return self.fail(jobs, &error, is_unknown);
            }
            is_current = true;
        }
    }

    async fn read_until(
        &self,
        router: &EventRouter,
        mirror: &Arc<Mirror>,
        until: Instant,
    ) -> EventResult<()> {
        let read = timeout_at(until, self.read(router, mirror)).await;
        read.unwrap_or(Err(EventError::Timeout))
    }

    async fn append(&self, mirror: &Mirror, staged: &Staged, until: Instant) -> EventResult<u64> {
        if Instant::now() >= until {
            return Err(EventError::Unavailable("the log was too slow".into()));
        }
        let expected = Some(staged.expected);
        let appending = self
            .log
            .append(&mirror.user, &staged.records, staged.at_ms, expected);
        timeout_at(until, appending)
            .await
            .unwrap_or(Err(EventError::Timeout))
    }

    /// Applies what the log has taken and answers the jobs.
    fn settle(&self, router: &EventRouter, mirror: &Arc<Mirror>, staged: Staged, first: u64) {
        let epoch = router.inner.store.epoch();
        let records: Vec<Logged> = (first..)
            .zip(staged.records)
            .map(|(seq, record)| Logged {
                seq,
                at_ms: staged.at_ms,
                record,
            })
            .collect();
        let ids: RecordIds = records.iter().map(|logged| id_of(logged, epoch)).collect();
        let applied = self.apply(router, mirror, staged.expected, records, None);
        let mut reached = Published::default();
        match applied {
            Ok(Applied::Now(delivery)) => {
                let inner = &*router.inner;
                reached.agui = delivery.reached(&inner.agui).connections();
                reached.a2a = delivery.reached(&inner.a2a).connections();
                reached.contexts = delivery.reached(&inner.contexts).connections();
            }
            // The tail was faster, and has woken whom it concerns.
            Ok(Applied::Before) => {
                let inner = &*router.inner;
                reached.agui = inner.agui.count(&mirror.user);
                reached.a2a = inner.a2a.count(&mirror.user);
                reached.contexts = inner.contexts.count(&mirror.user);
            }
            Ok(Applied::Hole) => count(&self.counters.holes),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "records not applied"
            ),
        }
        let mut from = 0;
        for (job, plans) in staged.jobs {
            let to = from + plans.n_records();
            if job.ends_silence {
                let n_ended = job.items.len() as u64;
                router
                    .inner
                    .runs_timed_out
                    .fetch_add(n_ended, Ordering::Relaxed);
            }
            let answer = plans.answer(&ids[from..to]);
            from = to;
            job.answer(Ok(Published {
                agui: reached.agui,
                a2a: reached.a2a,
                contexts: reached.contexts,
                ..answer
            }));
        }
        let mut state = mirror.lock();
        state.has_published = true;
        state.is_save_due |= state.has_ended
            || state.unsaved_records >= RECORDS_BETWEEN
            || state.unsaved_bytes >= BYTES_BETWEEN;
    }

    /// Answers jobs that the log has not taken, as far as anybody knows.
    fn fail(&self, jobs: Vec<Job>, error: &EventError, is_unknown: bool) {
        for job in jobs {
            count(&self.counters.publishes_failed);
            let error = match error {
                _ if is_unknown => EventError::Timeout,
                EventError::TooLarge { size, limit } => EventError::TooLarge {
                    size: *size,
                    limit: *limit,
                },
                EventError::Overloaded(text) => EventError::Overloaded(text),
                EventError::Conflict { .. } => {
                    EventError::Overloaded("other replicas publish for this user all the time")
                }
                EventError::Timeout => EventError::Timeout,
                other => EventError::Unavailable(other.to_string().into()),
            };
            job.answer(Err(error.into()));
        }
    }

    async fn erase_now(&self, router: &EventRouter, mirror: &Arc<Mirror>) -> EventResult<()> {
        let at_ms = router.inner.clock.now_ms();
        self.log
            .erase(&mirror.user, crate::routes::erased(), at_ms)
            .await?;
        self.read(router, mirror).await
    }
}

const fn id_of(logged: &Logged, epoch: Epoch) -> EventId {
    EventId::new(epoch, logged.seq, logged.record.tag)
}

/// Splits a batch into what the log keeps and what is live only.
pub(crate) fn split_live(items: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
    items
        .into_iter()
        .partition(|item| !matches!(item.event, BusEvent::Analytics(_)))
}
