//! A log that can be switched off, and made to break one promise: what the tests are tested with.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use events_core::{
    Checkpoint, Epoch, EventError, EventLog, EventResult, MsgKey, Page, Record, Tail, Tailed,
    UserId,
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::watch;

use super::Outage;

/// The most bytes of JSON that a switched log takes in one record.
const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// A promise that a log breaks on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each says what the log does")]
pub enum Fault {
    DropsLastOfBatch,
    SwapsFirstOfBatch,
    TakesPartOfTooLarge,
    IgnoresExpected,
    NamesAnotherLast,
    ForgetsKeys,
    ForgetsNotes,
    ChangesJson,
    TagsAtRead,
    ReadsStale,
    ReadsWholeAppends,
    EndsPagesEarly,
    HidesWhatIsTrimmed,
    MixesCase,
    TailRepeats,
    TailLeavesOut,
    TailForgetsErasures,
    PassesIntoTheLog,
    ForgetsAPart,
    OlderCheckpointWins,
    KeepsEndedParts,
    ErasesNoRecords,
    ErasesNoCheckpoints,
    ErasesTooMuch,
    SaysNothingOfOutages,
    ClaimsWhileAway,
}

/// What is common to the logs that are switched together.
#[derive(Debug)]
pub struct Switch {
    is_away: watch::Sender<bool>,
    /// The next append is made, and its answer lost.
    loses_answer: AtomicBool,
    fault: Option<Fault>,
    /// What a fault remembers.
    saved: Mutex<HashMap<UserId, Vec<Checkpoint>>>,
}

/// A log with a switch.
#[derive(Debug)]
pub struct SwitchedLog {
    log: Arc<dyn EventLog>,
    switch: Arc<Switch>,
}

// === impl Switch ===

impl Switch {
    /// Makes a switch that is on, of logs that break a promise, or none.
    #[must_use]
    pub fn new(fault: Option<Fault>) -> Self {
        Self {
            is_away: watch::channel(false).0,
            loses_answer: AtomicBool::new(false),
            fault,
            saved: Mutex::default(),
        }
    }

    fn saved(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Checkpoint>>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outage for Switch {
    async fn begin(&self) {
        self.loses_answer.store(true, Ordering::SeqCst);
        self.is_away.send_replace(true);
    }

    async fn end(&self) {
        self.loses_answer.store(false, Ordering::SeqCst);
        self.is_away.send_replace(false);
    }
}

// === impl SwitchedLog ===

impl SwitchedLog {
    /// Puts a switch before a log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, switch: Arc<Switch>) -> Self {
        Self { log, switch }
    }

    fn has(&self, fault: Fault) -> bool {
        self.switch.fault == Some(fault)
    }

    fn check(&self) -> EventResult<()> {
        if *self.switch.is_away.borrow() {
            return Err(EventError::Unavailable("switched off".into()));
        }
        Ok(())
    }

    fn user(&self, user: &UserId) -> UserId {
        if self.has(Fault::MixesCase) {
            user.as_str().to_lowercase().into()
        } else {
            user.clone()
        }
    }

    /// What is written of an append.
    fn written(&self, records: &[Record]) -> Vec<Record> {
        let mut records = records.to_vec();
        match self.switch.fault {
            Some(Fault::DropsLastOfBatch) if records.len() > 1 => drop(records.pop()),
            Some(Fault::SwapsFirstOfBatch) if records.len() > 1 => records.swap(0, 1),
            _ => {}
        }
        for record in &mut records {
            match self.switch.fault {
                Some(Fault::ForgetsKeys) => record.key = record.key.map(|_| MsgKey::from_bits(0)),
                Some(Fault::ForgetsNotes) => record.note = Bytes::new(),
                Some(Fault::ChangesJson) => {
                    let text = String::from_utf8_lossy(&record.json);
                    record.json = text.replace('\u{2028}', "\\u2028").into();
                }
                _ => {}
            }
        }
        records
    }
}

#[async_trait]
impl EventLog for SwitchedLog {
    fn engine(&self) -> &'static str {
        self.log.engine()
    }

    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES
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
        let user = &self.user(user);
        let loses_answer = self.switch.loses_answer.swap(false, Ordering::SeqCst);
        if !loses_answer && let Err(error) = self.check() {
            return if self.has(Fault::ClaimsWhileAway) {
                Ok(1_000_000)
            } else {
                Err(error)
            };
        }
        let is_small = |record: &&Record| record.json.len() <= MAX_RECORD_BYTES;
        if let Some(large) = records.iter().find(|record| !is_small(record)) {
            if self.has(Fault::TakesPartOfTooLarge) {
                let small: Vec<Record> = records.iter().take_while(is_small).cloned().collect();
                self.log.append(user, &small, at_ms, None).await?;
            }
            return Err(EventError::TooLarge {
                size: large.json.len(),
                limit: MAX_RECORD_BYTES,
            });
        }
        let expected = expected_last.filter(|_| !self.has(Fault::IgnoresExpected));
        let written = self.written(records);
        match self.log.append(user, &written, at_ms, expected).await {
            Ok(_) if loses_answer && !self.has(Fault::ClaimsWhileAway) => Err(EventError::Timeout),
            Err(EventError::Conflict { last }) if self.has(Fault::NamesAnotherLast) => {
                Err(EventError::Conflict { last: last + 1 })
            }
            answer => answer,
        }
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        self.check()?;
        let user = &self.user(user);
        let from = if self.has(Fault::ReadsWholeAppends) {
            after.saturating_sub(1)
        } else {
            after
        };
        let mut page = self.log.read(user, from, max_bytes).await?;
        match self.switch.fault {
            Some(Fault::ReadsStale) if page.records.len() == 1 => {
                page.records.clear();
                page.last = page.previous;
            }
            Some(Fault::EndsPagesEarly) => {
                page.last = page.records.last().map_or(page.last, |logged| logged.seq);
            }
            Some(Fault::HidesWhatIsTrimmed) => page.previous = after,
            Some(Fault::TagsAtRead) => {
                for logged in &mut page.records {
                    logged.record.tag = fastrand::u32(1..1 << 25);
                }
            }
            _ => {}
        }
        Ok(page)
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        self.check()?;
        let mut parts = parts.to_vec();
        match self.switch.fault {
            Some(Fault::ForgetsAPart) if parts.len() > 1 => drop(parts.pop()),
            Some(Fault::KeepsEndedParts) => parts.retain(|part| !part.state.is_empty()),
            Some(Fault::OlderCheckpointWins | Fault::ErasesNoCheckpoints) => {
                let mut saved = self.switch.saved();
                let saved = saved.entry(user.clone()).or_default();
                saved.retain(|known| parts.iter().all(|part| part.part != known.part));
                saved.extend(parts.iter().cloned());
            }
            _ => {}
        }
        self.log.save(&self.user(user), &parts).await
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        self.check()?;
        if self.has(Fault::OlderCheckpointWins) || self.has(Fault::ErasesNoCheckpoints) {
            return Ok(self.switch.saved().get(user).cloned().unwrap_or_default());
        }
        self.log.load(&self.user(user)).await
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        self.check()?;
        if self.has(Fault::ErasesNoRecords) {
            return self.log.append(user, &[marker], at_ms, None).await;
        }
        if self.has(Fault::ErasesTooMuch) {
            let longer = format!("{user}.x").into();
            self.log.erase(&longer, marker.clone(), at_ms).await?;
        }
        self.log.erase(&self.user(user), marker, at_ms).await
    }

    fn tail(&self) -> Tail {
        let is_silent = self.has(Fault::SaysNothingOfOutages);
        let away = self.switch.is_away.subscribe();
        let fault = self.switch.fault;
        let said = gated(self.log.tail(), away, is_silent);
        let mut n_appended = 0;
        Box::pin(said.flat_map(move |tailed| {
            n_appended += usize::from(matches!(tailed, Tailed::Appended { .. }));
            let is_appended = matches!(tailed, Tailed::Appended { .. });
            let n_times = match fault {
                Some(Fault::TailRepeats) if is_appended && n_appended % 5 == 0 => 2,
                Some(Fault::TailLeavesOut) if is_appended && n_appended % 5 == 0 => 0,
                Some(Fault::TailForgetsErasures) if is_marker(&tailed) => 0,
                _ => 1,
            };
            stream::iter(std::iter::repeat_n(tailed, n_times))
        }))
    }

    fn follow(&self, user: &UserId) {
        self.log.follow(user);
    }

    fn unfollow(&self, user: &UserId) {
        self.log.unfollow(user);
    }

    async fn pass_by(&self, user: &UserId, record: &Record) -> EventResult<()> {
        self.check()?;
        if self.has(Fault::PassesIntoTheLog) {
            self.log
                .append(user, std::slice::from_ref(record), 0, None)
                .await?;
        }
        self.log.pass_by(user, record).await
    }

    async fn sweep(&self) -> EventResult<()> {
        self.check()?;
        self.log.sweep().await
    }
}

/// What a tail says while the switch is on, and how it is switched.
fn gated(tail: Tail, away: watch::Receiver<bool>, is_silent: bool) -> impl Stream<Item = Tailed> {
    stream::unfold((tail, away, is_silent, false), async |state| {
        let (mut tail, mut away, is_silent, mut said) = state;
        loop {
            let is_away = *away.borrow_and_update();
            if is_away != said && !is_silent {
                said = is_away;
                let tailed = if is_away {
                    Tailed::Down("switched off".to_owned())
                } else {
                    Tailed::Up
                };
                return Some((tailed, (tail, away, is_silent, said)));
            }
            if is_away {
                away.changed().await.ok()?;
                continue;
            }
            let tailed = tokio::select! {
                changed = away.changed() => {
                    changed.ok()?;
                    continue;
                }
                tailed = tail.next() => tailed?,
            };
            return Some((tailed, (tail, away, is_silent, said)));
        }
    })
}

/// The tests mark an erasure by a record with the number 100.
fn is_marker(tailed: &Tailed) -> bool {
    matches!(tailed, Tailed::Appended { records, .. } if records[0].record.json == "{\"n\":100}")
}
