//! One router's way to a log, which may fail as ways to logs do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use events_core::{
    Checkpoint, Epoch, EventError, EventLog, EventResult, Page, Record, Tail, Tailed, UserId,
};
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};

use super::world::Plant;

/// How the way is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mood {
    Well,
    /// The next append is taken, and its answer is lost.
    AnswerLost,
    /// The next append is lost, and so is the answer.
    AppendLost,
    /// The next append is taken some time after it was given up.
    AppendLate,
    /// Everything is refused.
    Down,
    /// Nothing answers.
    Silent,
    /// The tail says nothing, and knows when it has missed something.
    Deaf,
    /// Everything takes so many turns.
    Slow(usize),
}

#[derive(Clone, Debug)]
pub(super) struct FickleLog {
    log: Arc<dyn EventLog>,
    mood: Arc<watch::Sender<Mood>>,
    plant: Option<Plant>,
    /// Appends that come late; they end with the last clone.
    late: Arc<Mutex<JoinSet<()>>>,
}

impl FickleLog {
    pub(super) fn new(log: Arc<dyn EventLog>, plant: Option<Plant>) -> Self {
        Self {
            log,
            mood: Arc::new(watch::Sender::new(Mood::Well)),
            plant,
            late: Arc::default(),
        }
    }

    pub(super) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    async fn meet(&self) -> EventResult<()> {
        let mood = *self.mood.borrow();
        match mood {
            Mood::Down => Err(EventError::Unavailable("down".into())),
            Mood::Silent => {
                // A log gives an answer within seconds, if only that it has none.
                let mut mood = self.mood.subscribe();
                let well = mood.wait_for(|mood| *mood != Mood::Silent);
                let _well = tokio::time::timeout(Duration::from_secs(5), well)
                    .await
                    .is_ok();
                Err(EventError::Timeout)
            }
            Mood::Slow(n_turns) => {
                for _ in 0..n_turns {
                    yield_now().await;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether this is how the way is, for this one time.
    fn once(&self, mood: Mood) -> bool {
        self.mood.send_if_modified(|current| {
            let is_it = *current == mood;
            if is_it {
                *current = Mood::Well;
            }
            is_it
        })
    }

    fn append_late(&self, user: &UserId, records: &[Record], at_ms: i64, expected: Option<u64>) {
        let (log, user, records) = (Arc::clone(&self.log), user.clone(), records.to_vec());
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let n_turns = records.len() * 37 % 200;
        late.spawn(async move {
            for _ in 0..n_turns {
                yield_now().await;
            }
            let _late = log.append(&user, &records, at_ms, expected).await;
        });
    }
}

#[async_trait]
impl EventLog for FickleLog {
    fn engine(&self) -> &'static str {
        "fickle"
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    fn max_record_bytes(&self) -> usize {
        self.log.max_record_bytes()
    }

    fn is_dense(&self) -> bool {
        self.log.is_dense()
    }

    async fn append(
        &self,
        user: &UserId,
        records: &[Record],
        at_ms: i64,
        expected_last: Option<u64>,
    ) -> EventResult<u64> {
        self.meet().await?;
        if self.once(Mood::AppendLost) {
            return Err(EventError::Timeout);
        }
        if self.once(Mood::AppendLate) {
            self.append_late(user, records, at_ms, expected_last);
            return Err(EventError::Timeout);
        }
        let mut records = records.to_vec();
        let mut expected_last = expected_last;
        match self.plant {
            Some(Plant::ForgetsKeys) => records.iter_mut().for_each(|record| record.key = None),
            Some(Plant::IgnoresExpected) => expected_last = None,
            Some(Plant::LosesAcked) if records.len() > 3 => {
                return Ok(expected_last.unwrap_or(0) + 1);
            }
            _ => {}
        }
        let first = self
            .log
            .append(user, &records, at_ms, expected_last)
            .await?;
        if self.once(Mood::AnswerLost) {
            return Err(EventError::Timeout);
        }
        Ok(first)
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        self.meet().await?;
        self.log.read(user, after, max_bytes).await
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        self.meet().await?;
        self.log.save(user, parts).await
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        self.meet().await?;
        self.log.load(user).await
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        self.meet().await?;
        self.log.erase(user, marker, at_ms).await
    }

    fn tail(&self) -> Tail {
        let mood = self.mood.subscribe();
        let heard = stream::unfold(
            (self.log.tail(), mood, false),
            async |(mut tail, mut mood, mut has_missed)| loop {
                if *mood.borrow_and_update() != Mood::Deaf && has_missed {
                    return Some((Tailed::Started, (tail, mood, false)));
                }
                tokio::select! {
                    tailed = tail.next() => {
                        if *mood.borrow() != Mood::Deaf {
                            return tailed.map(|tailed| (tailed, (tail, mood, has_missed)));
                        }
                        has_missed = true;
                    }
                    changed = mood.changed() => changed.ok()?,
                }
            },
        );
        let leaves_out = self.plant == Some(Plant::TailLeavesOut);
        let is_left_out = move |tailed: &Tailed| match tailed {
            Tailed::Appended { records, .. } => leaves_out && records.len() > 3,
            _ => false,
        };
        let heard = heard.filter(move |tailed| std::future::ready(!is_left_out(tailed)));
        Box::pin(heard)
    }

    fn follow(&self, user: &UserId) {
        self.log.follow(user);
    }

    fn unfollow(&self, user: &UserId) {
        self.log.unfollow(user);
    }

    async fn pass_by(&self, user: &UserId, record: &Record) -> EventResult<()> {
        self.meet().await?;
        self.log.pass_by(user, record).await
    }
}
