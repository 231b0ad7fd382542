//! The log itself.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use events_core::{
    Checkpoint, Epoch, EventError, EventId, EventLog, EventResult, LogCounter, MsgKey, Page,
    Record, Tail, UserId,
};
use tokio::time::Instant;
use tokio_postgres::{Row, types::ToSql};

use crate::{
    bell::NotPassed,
    config::{MAX_APPEND_BYTES, MAX_SCOPE_BYTES, MAX_USER_BYTES, PostgresConfig},
    error::{CallError, OpenError, Unavailable, Unfit},
    inner::Inner,
    notice,
    page::{get, page, unreadable},
    statement::Call,
    tail::tail,
    value::{Uuid, from_column, to_column, to_i64, to_u64},
};

/// How long an append may take, waiting for a connection and for the user's lock included.
const APPEND_LIMIT: Duration = Duration::from_secs(2);
/// How long a read of a page may take.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// How long any other call may take; some move many MiB.
const LIMIT: Duration = Duration::from_secs(4);
/// How long the steps of an erasure may take together.
const ERASE_LIMIT: Duration = Duration::from_secs(4);
/// How many records one step of an erasure takes.
const ERASE_STEP: i64 = 5_000;

/// An [`EventLog`] in PostgreSQL. Clones are one log; the last one to go closes its connections.
#[derive(Clone)]
pub struct PostgresLog {
    inner: Arc<Inner>,
}

impl PostgresLog {
    /// Opens the log, and makes its tables if they are not there.
    ///
    /// # Errors
    ///
    /// The configuration is wrong, the database cannot be reached or may not be written to, or the tables are of a
    /// newer version. The text says what to do.
    ///
    /// # Cancel safety
    ///
    /// Tables are made whole or not at all.
    pub async fn open(config: PostgresConfig) -> Result<Self, OpenError> {
        let inner = Arc::new(Inner::open(config).await?);
        Ok(Self { inner })
    }

    async fn call(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
        limit: Duration,
    ) -> EventResult<Vec<Row>> {
        let outcome = self.inner.pool.call(call, parameters, limit).await;
        outcome.map_err(EventError::from)
    }

    /// Calls what returns one number.
    async fn call_number(
        &self,
        call: Call,
        parameters: &[&(dyn ToSql + Sync)],
        limit: Duration,
    ) -> EventResult<i64> {
        let rows = self.call(call, parameters, limit).await?;
        let row = rows.first().ok_or_else(|| unreadable("no row"))?;
        get(row, 0)
    }

    /// Refuses what cannot be kept.
    fn check(&self, user: &UserId, records: &[Record]) -> EventResult<()> {
        check_user(user)?;
        let mut total = 0;
        for record in records {
            let (size, limit) = (record.json.len(), self.inner.max_record_bytes);
            if size > limit {
                return Err(EventError::TooLarge { size, limit });
            }
            total += size + record.note.len();
            let scope = record.scope.as_deref().map_or("", |scope| scope);
            if to_column(scope).len() > MAX_SCOPE_BYTES {
                return Err(unfit("a scope has at most 512 bytes"));
            }
        }
        if total > MAX_APPEND_BYTES {
            let (size, limit) = (total, MAX_APPEND_BYTES);
            return Err(EventError::TooLarge { size, limit });
        }
        Ok(())
    }

    fn ring(&self, user: &UserId, last: u64) {
        self.inner.bell.rope().ring(in_column(user), last);
    }
}

#[async_trait]
impl EventLog for PostgresLog {
    fn engine(&self) -> &'static str {
        "postgres"
    }

    fn epoch(&self) -> Epoch {
        self.inner.life.epoch()
    }

    fn max_record_bytes(&self) -> usize {
        self.inner.max_record_bytes
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
        self.check(user, records)?;
        let name = to_column(user.as_str());
        let expected = expected_last.map(to_i64);
        let channels: Vec<i16> = records
            .iter()
            .map(|record| i16::from(record.channel.number()))
            .collect();
        let tags: Vec<i32> = records.iter().map(|record| tag(record.tag)).collect();
        let keys: Vec<Option<Uuid>> = records.iter().map(|record| key(record.key)).collect();
        let scopes: Vec<Option<_>> = records
            .iter()
            .map(|record| record.scope.as_deref().map(to_column))
            .collect();
        let notes: Vec<Option<&[u8]>> = records.iter().map(|record| note(&record.note)).collect();
        let bodies: Vec<&[u8]> = records.iter().map(|record| &*record.json).collect();
        let parameters: &[&(dyn ToSql + Sync)] = &[
            &name, &expected, &at_ms, &channels, &tags, &keys, &scopes, &notes, &bodies,
        ];
        let outcome = self
            .inner
            .pool
            .call(Call::Append, parameters, APPEND_LIMIT)
            .await;
        let rows = outcome.inspect_err(|error| {
            if matches!(error, CallError::Unknown(_)) {
                self.inner.counts.unknown.add(1);
            }
        })?;
        let row = rows.first().ok_or_else(|| unreadable("no row"))?;
        let first: i64 = get(row, 0)?;
        if first < 0 {
            self.inner.counts.conflicts.add(1);
            let last = to_u64(-1 - first);
            return Err(EventError::Conflict { last });
        }
        let first = to_u64(first);
        self.ring(user, first + records.len() as u64 - 1);
        Ok(first)
    }

    async fn read(&self, user: &UserId, after: u64, max_bytes: usize) -> EventResult<Page> {
        let name = to_column(user.as_str());
        let max_bytes = i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let rows = self
            .call(Call::Read, &[&name, &to_i64(after), &max_bytes], READ_LIMIT)
            .await
            // Whoever was told to read and could not is told again.
            .inspect_err(|_error| self.inner.follows.tell_again(user))?;
        page(&rows, after)
    }

    async fn save(&self, user: &UserId, parts: &[Checkpoint]) -> EventResult<()> {
        check_user(user)?;
        let name = to_column(user.as_str());
        let names: Vec<_> = parts.iter().map(|part| to_column(&part.part)).collect();
        let places: Vec<i64> = parts.iter().map(|part| to_i64(part.seq)).collect();
        let states: Vec<&[u8]> = parts.iter().map(|part| &*part.state).collect();
        self.call(Call::Save, &[&name, &names, &places, &states], LIMIT)
            .await?;
        Ok(())
    }

    async fn load(&self, user: &UserId) -> EventResult<Vec<Checkpoint>> {
        let name = to_column(user.as_str());
        let rows = self.call(Call::Load, &[&name], LIMIT).await?;
        rows.iter()
            .map(|row| {
                Ok(Checkpoint {
                    part: from_column(get(row, 0)?).into(),
                    seq: to_u64(get(row, 1)?),
                    state: Bytes::copy_from_slice(get(row, 2)?),
                })
            })
            .collect()
    }

    async fn erase(&self, user: &UserId, marker: Record, at_ms: i64) -> EventResult<u64> {
        self.check(user, std::slice::from_ref(&marker))?;
        let name = to_column(user.as_str());
        let step: &[&(dyn ToSql + Sync)] = &[&name, &ERASE_STEP];
        let deadline = Instant::now() + ERASE_LIMIT;
        while self.call_number(Call::EraseSome, step, LIMIT).await? == ERASE_STEP {
            if Instant::now() >= deadline {
                let text = "a part of a large history is erased; try again for the rest";
                return Err(EventError::Unavailable(Box::new(Unavailable(
                    text.to_owned(),
                ))));
            }
        }
        let scope = marker.scope.as_deref().map(to_column);
        let place = self
            .call_number(
                Call::Erase,
                &[
                    &name,
                    &at_ms,
                    &i16::from(marker.channel.number()),
                    &tag(marker.tag),
                    &key(marker.key),
                    &scope,
                    &note(&marker.note),
                    &&*marker.json,
                ],
                LIMIT,
            )
            .await?;
        let place = to_u64(place);
        self.ring(user, place);
        Ok(place)
    }

    fn tail(&self) -> Tail {
        tail(Arc::clone(&self.inner))
    }

    fn follow(&self, user: &UserId) {
        self.inner.follows.add(user);
    }

    fn unfollow(&self, user: &UserId) {
        self.inner.follows.remove(user);
    }

    async fn pass_by(&self, user: &UserId, record: &Record) -> EventResult<()> {
        let user = to_column(user.as_str());
        let payload = notice::of_live(self.inner.origin, &user, record)
            .ok_or_else(|| unfit("a live event is JSON in UTF-8"))?;
        if payload.len() > notice::MAX_BYTES {
            let overhead = payload.len() - record.json.len();
            return Err(EventError::TooLarge {
                size: record.json.len(),
                limit: notice::MAX_BYTES.saturating_sub(overhead),
            });
        }
        self.inner
            .bell
            .rope()
            .pass(payload)
            .map_err(|error| match error {
                NotPassed::Full => EventError::Overloaded("live events to other replicas"),
                NotPassed::Down => EventError::Unavailable(Box::new(Unavailable(
                    "PostgreSQL cannot be reached, so live events do not reach other replicas"
                        .to_owned(),
                ))),
            })
    }

    async fn sweep(&self) -> EventResult<()> {
        let outcome = self.inner.pool.call(Call::Sweep, &[], LIMIT).await;
        let rows = match outcome {
            Ok(rows) => rows,
            // A long transaction is in the way: the next sweep is soon enough, and there is a bucket to spare.
            Err(CallError::NotDone(text)) if text.contains("55P03") => {
                tracing::debug!(text, "old records wait for a long transaction");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(row) = rows.first() {
            let n_emptied: i32 = get(row, 0)?;
            self.inner
                .counts
                .emptied
                .add(u64::from(n_emptied.unsigned_abs()));
        }
        Ok(())
    }

    fn counters(&self) -> Vec<LogCounter> {
        self.inner.counts.all()
    }
}

fn unfit(rule: &'static str) -> EventError {
    EventError::Rejected(Box::new(Unfit(rule)))
}

fn check_user(user: &UserId) -> EventResult<()> {
    if to_column(user.as_str()).len() > MAX_USER_BYTES {
        return Err(unfit("a user id has at most 1024 bytes"));
    }
    Ok(())
}

/// The user's name as the database has it.
fn in_column(user: &UserId) -> UserId {
    match to_column(user.as_str()) {
        std::borrow::Cow::Borrowed(_) => user.clone(),
        std::borrow::Cow::Owned(name) => UserId::from(name),
    }
}

fn tag(tag: u32) -> i32 {
    // 25 bits.
    i32::try_from(EventId::tag_or_random(tag)).unwrap_or(1)
}

fn key(key: Option<MsgKey>) -> Option<Uuid> {
    key.map(|key| Uuid(key.bits()))
}

fn note(note: &Bytes) -> Option<&[u8]> {
    (!note.is_empty()).then_some(&**note)
}

impl fmt::Debug for PostgresLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresLog")
            .field("place", &self.inner.pool.place())
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}
