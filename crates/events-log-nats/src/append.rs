//! Appending: one message, or a batch of them, behind a comparison of the user's last place.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use events_core::{Entry, EventError, EventResult, Record, UserId};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    api::{ApiError, DUPLICATE_UNDER_WAY, Refusal, WRONG_LAST, WRONG_LAST_UNNAMED, read_answer},
    config::IN_FLIGHT_UNIT,
    counters::add,
    error::{Fault, unavailable},
    log::{Inner, check_user},
    packet::{self, Part},
    place::{MAX_RECORDS, end_of, floor_of, is_end, sequence_of},
    streams,
};

/// After so long without an answer an append is sent again: the server knows it by its id.
const RESEND_AFTER: Duration = Duration::from_millis(700);
/// Between attempts, while there is no leader.
const PAUSE: Duration = Duration::from_millis(40);
/// How much longer an append may take that has to be looked for.
const GRACE: Duration = Duration::from_millis(1_500);
/// The most messages of one batch. The server takes 1,000; this is as large as places allow for in a read.
pub(crate) const MAX_PARTS: usize = 32;
/// The server has no room: of the stream, of the account, or on its disk.
const NO_ROOM: [u64; 5] = [10_002, 10_023, 10_028, 10_047, 10_077];
/// The stream takes no message of this size.
const MESSAGE_TOO_LARGE: u64 = 10_054;

/// The answer to a message that was stored.
#[derive(Deserialize)]
struct Ack {
    seq: u64,
    #[serde(default)]
    duplicate: bool,
}

/// One append on its way.
struct Append<'a> {
    inner: &'a Inner,
    user: &'a UserId,
    subject: String,
    records: &'a [Record],
    at_ms: i64,
    /// Where the records are divided into messages: the number of each one's records.
    parts: Vec<usize>,
    /// Tells this attempt from all others.
    id: u128,
    /// The place that was or will be the user's last before it.
    previous: u64,
    /// The sequence that has to be the subject's last; 0 = there is no message.
    expected: u64,
}

/// Appends records; see the contract.
pub(crate) async fn append(
    inner: &Inner,
    user: &UserId,
    records: &[Record],
    at_ms: i64,
    expected_last: Option<u64>,
) -> EventResult<u64> {
    inner.check_life()?;
    check_user(user)?;
    let parts = divide(inner, user, records)?;
    let end = Instant::now() + inner.config.append_timeout;
    let size = Entry::written_len(records);
    let n_units = (size / IN_FLIGHT_UNIT + 1).min(inner.n_permits);
    let permits = inner
        .permits
        .acquire_many(u32::try_from(n_units).unwrap_or(u32::MAX));
    let Ok(Ok(_permits)) = timeout_at(end, permits).await else {
        return Err(EventError::Overloaded("appends under way to nats"));
    };
    let mut append = Append {
        inner,
        user,
        subject: inner.names.of_user(user),
        records,
        at_ms,
        parts,
        id: fastrand::u128(..),
        previous: expected_last.unwrap_or(0),
        expected: sequence_of(expected_last.unwrap_or(0)),
    };
    if expected_last.is_some_and(|place| !is_end(place)) {
        // No append ends there, so it cannot be the last place.
        return Err(conflict(append.last_sequence().await?));
    }
    // Looking for an own append takes time too; nobody knows the outcome when there is none left.
    let made = timeout_at(end + GRACE, append.make(end, expected_last.is_some())).await;
    let sequence = made.unwrap_or(Err(EventError::Timeout))?;
    add(&inner.counters.bytes_appended, size as u64);
    let first = end_of(sequence) + 1 - records.len() as u64;
    inner.note_append(user, sequence);
    Ok(first)
}

/// Divides records into messages, and refuses what does not fit.
fn divide(inner: &Inner, user: &UserId, records: &[Record]) -> EventResult<Vec<usize>> {
    let limit = inner.max_body();
    let max_record = limit.saturating_sub(3 * 1_024);
    if let Some(large) = records.iter().find(|record| record.json.len() > max_record) {
        return Err(EventError::TooLarge {
            size: large.json.len(),
            limit: max_record,
        });
    }
    if records.is_empty() || records.len() > MAX_RECORDS {
        let n_records = records.len();
        return Err(EventError::Rejected(Box::new(Fault(format!(
            "an append of {n_records} records; it can have 1 to {MAX_RECORDS}"
        )))));
    }
    let base = packet::head_len(user.as_str()) + Entry::written_len(&[]);
    let (mut parts, mut size, mut total) = (vec![0], base, base);
    for record in records {
        let len = Entry::written_len(std::slice::from_ref(record)) - Entry::written_len(&[]);
        if base + len > limit {
            return Err(EventError::TooLarge {
                size: base + len,
                limit,
            });
        }
        if size + len > limit {
            parts.push(0);
            size = base;
        }
        size += len;
        total += len;
        if let Some(last) = parts.last_mut() {
            *last += 1;
        }
    }
    // Without batches, and beyond the largest, an append is one message of what the server takes.
    let most = if inner.has_batches { MAX_PARTS } else { 1 };
    if parts.len() > most {
        return Err(EventError::TooLarge {
            size: total,
            limit: limit * most,
        });
    }
    Ok(parts)
}

impl Append<'_> {
    /// Sends until there is an answer that decides, and returns the sequence of the last message.
    async fn make(&mut self, end: Instant, is_expected: bool) -> EventResult<u64> {
        // Whether something was sent of which nobody knows what became of it.
        let mut is_uncertain = false;
        loop {
            let error = match self.send(end).await {
                Ok(sequence) => return Ok(sequence),
                Err(error) => error,
            };
            match &error {
                ApiError::Refused(refusal)
                    if matches!(refusal.err_code, WRONG_LAST | WRONG_LAST_UNNAMED) =>
                {
                    add(&self.inner.counters.conflicts, 1);
                    let last = match named_sequence(refusal) {
                        Some(last) => last,
                        None => self.last_sequence().await?,
                    };
                    if last == self.expected {
                        // Another append of this user is on its way, or was and has failed.
                    } else if is_uncertain && let Some(sequence) = self.find().await? {
                        // It is looked for only now: before, what was sent may have been on its way still.
                        add(&self.inner.counters.duplicates, 1);
                        return Ok(sequence);
                    } else if !is_expected {
                        // What was sent before can never be stored any more: the last place has moved on.
                        is_uncertain = false;
                        self.id = fastrand::u128(..);
                        self.expected = last;
                        self.previous = if last == 0 { 0 } else { end_of(last) };
                        self.check_time(end, is_uncertain, &error)?;
                        continue;
                    } else if last == 0 {
                        match self.place_of_emptied().await? {
                            None => self.expected = 0,
                            Some(last) => return Err(EventError::Conflict { last }),
                        }
                        continue;
                    } else {
                        return Err(conflict(last));
                    }
                }
                ApiError::NotConnected if !is_uncertain => return Err(error.into_event_error()),
                ApiError::NoAnswer => {
                    is_uncertain = true;
                    add(&self.inner.counters.resent, 1);
                }
                ApiError::Refused(refusal) if refusal.err_code == DUPLICATE_UNDER_WAY => {
                    is_uncertain = true;
                }
                ApiError::Refused(refusal) if NO_ROOM.contains(&refusal.err_code) => {
                    return Err(EventError::Overloaded(
                        "no room in the nats server or account",
                    ));
                }
                ApiError::Refused(refusal) if refusal.err_code == MESSAGE_TOO_LARGE => {
                    return Err(EventError::TooLarge {
                        size: Entry::written_len(self.records),
                        limit: self.inner.max_body(),
                    });
                }
                error if error.is_passing() => {}
                ApiError::Strange(_) => return Err(EventError::Timeout),
                _ if is_uncertain => return Err(EventError::Timeout),
                _ => return Err(error.into_event_error()),
            }
            self.check_time(end, is_uncertain, &error)?;
            if !matches!(error, ApiError::NoAnswer) {
                sleep(PAUSE).await;
            }
            // A batch has no id by which the server knows it again.
            if is_uncertain
                && self.parts.len() > 1
                && let Some(sequence) = self.find().await?
            {
                return Ok(sequence);
            }
        }
    }

    /// Ends with the right error when there is no time for another attempt.
    fn check_time(&self, end: Instant, is_uncertain: bool, error: &ApiError) -> EventResult<()> {
        if Instant::now() + PAUSE < end {
            return Ok(());
        }
        if !is_uncertain {
            return Err(unavailable(error.to_string()));
        }
        match self.inner.listener.take_complaint() {
            Some(complaint) if complaint.contains("Permissions Violation for Publish") => {
                Err(unavailable(complaint))
            }
            _ => Err(EventError::Timeout),
        }
    }

    /// Sends all messages once, and waits for the answer to the last.
    async fn send(&self, end: Instant) -> Result<u64, ApiError> {
        let limit = end
            .saturating_duration_since(Instant::now())
            .min(RESEND_AFTER);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Stream", self.inner.names.stream.as_str());
        headers.insert(
            "Nats-Expected-Last-Subject-Sequence",
            self.expected.to_string(),
        );
        let id = format!("{:032x}", self.id);
        let answer = if let [_] = self.parts[..] {
            headers.insert("Nats-Msg-Id", id);
            let body = self.body(0, 0);
            self.inner
                .api
                .ask(self.subject.clone(), Some(headers), body, limit)
                .await?
        } else {
            let sent = tokio::time::timeout(limit, self.send_batch(headers, &id, limit));
            sent.await.map_err(|_elapsed| ApiError::NoAnswer)??
        };
        let ack: Ack = read_answer(&answer.payload)?;
        add(&self.inner.counters.duplicates, u64::from(ack.duplicate));
        Ok(ack.seq)
    }

    /// Sends an atomic batch (ADR-50): the server stores nothing before the last message, and then all at once.
    async fn send_batch(
        &self,
        mut headers: HeaderMap,
        id: &str,
        limit: Duration,
    ) -> Result<async_nats::Message, ApiError> {
        let client = &self.inner.api.client;
        // Two attempts are two batches.
        let batch = format!("{id}{:08x}", fastrand::u32(..));
        let mut n_before = 0;
        for (at, n_records) in self.parts.iter().enumerate() {
            headers.insert("Nats-Batch-Id", batch.as_str());
            headers.insert("Nats-Batch-Sequence", (at + 1).to_string());
            let body = self.body(at, n_before);
            n_before += n_records;
            if at + 1 == self.parts.len() {
                headers.insert("Nats-Batch-Commit", "1");
                return self
                    .inner
                    .api
                    .ask(self.subject.clone(), Some(headers), body, limit)
                    .await;
            }
            if !self.inner.api.is_connected() {
                return Err(ApiError::NotConnected);
            }
            let published = client.publish_with_headers(self.subject.clone(), headers, body);
            published
                .await
                .map_err(|error| ApiError::Strange(error.to_string()))?;
            // Only the first message of a subject can compare.
            headers = HeaderMap::new();
        }
        Err(ApiError::Strange("a batch of no messages".to_owned()))
    }

    /// One message: the part with this number, before which so many records were sent.
    fn body(&self, at: usize, n_before: usize) -> Bytes {
        let n_records = self.parts[at];
        let part = Part {
            append_id: self.id,
            is_continued: at > 0,
            n_parts_left: u16::try_from(self.parts.len() - at - 1).unwrap_or(u16::MAX),
            n_records_from_here: self.records.len() - n_before,
        };
        let records = &self.records[n_before..n_before + n_records];
        packet::write(self.user, part, self.previous, self.at_ms, records)
    }

    /// Looks for this very append in the log, where it must be if it is there: right after the expected place.
    async fn find(&self) -> EventResult<Option<u64>> {
        let api = &self.inner.api;
        let stream = &self.inner.names.stream;
        let Some(next) = api.next(stream, &self.subject, self.expected + 1).await? else {
            return Ok(None);
        };
        let sequence = next.sequence;
        let packet = packet::read(sequence, next.body).ok();
        let ours = packet.filter(|packet| packet.part.append_id == self.id);
        Ok(ours.map(|packet| sequence + u64::from(packet.part.n_parts_left)))
    }

    /// Looks where a user is of whom nothing is kept any more. None: the expected place is his last one, because the
    /// tail has handed out everything that is gone, or because nothing after the place is gone.
    async fn place_of_emptied(&self) -> EventResult<Option<u64>> {
        let info = streams::info(&self.inner.api, &self.inner.names.stream).await;
        let state = info.map_err(ApiError::into_event_error)?.state;
        if sequence_of(self.previous) > state.last_seq {
            return Ok(Some(0));
        }
        let floor = floor_of(state.first_seq);
        let has_seen_all = self.inner.handed() + 1 >= state.first_seq;
        Ok((!has_seen_all && self.previous < floor).then_some(floor))
    }

    /// The sequence of the user's last message, from the leader; 0 if there is none.
    async fn last_sequence(&self) -> EventResult<u64> {
        let api = &self.inner.api;
        let last = api.last(&self.inner.names.stream, &self.subject).await?;
        Ok(last.map_or(0, |last| last.sequence))
    }
}

/// Says where the user's last message is; 0 = there is none.
fn conflict(last_sequence: u64) -> EventError {
    let last = if last_sequence == 0 {
        0
    } else {
        end_of(last_sequence)
    };
    EventError::Conflict { last }
}

/// The server writes the last sequence at the end of its refusal, in one of its two forms.
fn named_sequence(refusal: &Refusal) -> Option<u64> {
    refusal.description.rsplit(' ').next()?.parse().ok()
}
