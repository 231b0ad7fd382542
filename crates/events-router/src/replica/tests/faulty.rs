//! A log that does what logs behind a wire do on bad days.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use events_core::{
    Checkpoint, Epoch, EventError, EventLog, EventResult, Page, Record, Tail, Tailed, UserId,
};
use futures_util::StreamExt as _;
use tokio::sync::watch;

use crate::MemoryLog;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The next append is taken, and its answer is lost.
    AnswerLost,
    /// The same, and the tail says what was appended before nobody waits any more.
    AnswerLate,
    /// The next append is lost, and nobody knows.
    AppendLost,
    /// Nothing answers.
    Silent,
    /// Everything is refused.
    Down,
    /// The tail says nothing; all else works.
    Deaf,
    /// The tail panics, once.
    TailPanics,
    /// A history takes a millisecond of the paused clock.
    SlowReads,
}

#[derive(Clone, Debug)]
pub(super) struct FaultyLog {
    inner: MemoryLog,
    fault: Arc<Mutex<Fault>>,
    is_deaf: watch::Sender<bool>,
    /// Histories that are being read: now, at most so far, and over all.
    reading: Arc<[AtomicUsize; 3]>,
}

impl FaultyLog {
    pub(super) fn new(inner: MemoryLog) -> Self {
        Self {
            inner,
            fault: Arc::new(Mutex::new(Fault::None)),
            is_deaf: watch::Sender::new(false),
            reading: Arc::default(),
        }
    }

    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
        self.is_deaf.send_replace(fault == Fault::Deaf);
    }

    /// Histories that are being read: now, at most so far, and over all.
    pub(super) fn reading(&self) -> &[AtomicUsize; 3] {
        &self.reading
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }

    /// Fails or hangs as long as the fault says so.
    async fn meet(&self) -> EventResult<()> {
        match self.fault() {
            Fault::Down => Err(EventError::Unavailable("down".into())),
            Fault::Silent => std::future::pending().await,
            _ => Ok(()),
        }
    }

    fn take(&self, fault: Fault) -> bool {
        let mut current = self.fault.lock().unwrap();
        let is_it = *current == fault;
        if is_it {
            *current = Fault::None;
        }
        is_it
    }
}

#[async_trait]
impl EventLog for FaultyLog {
    fn engine(&self) -> &'static str {
        "faulty"
    }

    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }

    fn max_record_bytes(&self) -> usize {
        self.inner.max_record_bytes()
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
        self.meet().await?;
        if self.take(Fault::AppendLost) {
            return Err(EventError::Timeout);
        }
        let first = self
            .inner
            .append(user, records, at_ms, expected_last)
            .await?;
        if self.take(Fault::AnswerLost) {
            return Err(EventError::Timeout);
        }
        if self.take(Fault::AnswerLate) {
            // Whoever hears the tail is a task of this thread.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            return Err(EventError::Timeout);
        }
        Ok(first)
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        self.meet().await?;
        let [now, most, all] = self.reading();
        let n_reading = now.fetch_add(1, Ordering::Relaxed) + 1;
        most.fetch_max(n_reading, Ordering::Relaxed);
        all.fetch_add(1, Ordering::Relaxed);
        if self.fault() == Fault::SlowReads {
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let page = self.inner.read(user, after, max_bytes).await;
        now.fetch_sub(1, Ordering::Relaxed);
        page
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        self.meet().await?;
        self.inner.save(user, parts).await
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        self.meet().await?;
        self.inner.load(user).await
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        self.meet().await?;
        self.inner.erase(user, marker, at_ms).await
    }

    fn tail(&self) -> Tail {
        let (is_deaf, log) = (self.is_deaf.subscribe(), self.clone());
        let tail = self.inner.tail();
        let heard = futures_util::stream::unfold(
            (log, tail, is_deaf, false),
            async |(log, mut tail, mut is_deaf, mut has_missed)| {
                loop {
                    assert!(!log.take(Fault::TailPanics), "poison");
                    if !*is_deaf.borrow_and_update() && has_missed {
                        return Some((Tailed::Started, (log, tail, is_deaf, false)));
                    }
                    tokio::select! {
                        tailed = tail.next() => {
                            if !*is_deaf.borrow() {
                                return tailed
                                    .map(|tailed| (tailed, (log, tail, is_deaf, has_missed)));
                            }
                            has_missed = true;
                        }
                        _ = is_deaf.changed() => {}
                    }
                }
            },
        );
        Box::pin(heard)
    }
}
