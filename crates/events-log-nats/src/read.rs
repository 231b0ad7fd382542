//! Reading a user's log.
//!
//! What is last, the stream's leader says. The records before it come in batches from any server that has them, and
//! one by one from the leader where that server is behind: what it does not have yet is never taken for gone.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use events_core::{EventResult, Page, UserId};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::{
    api::{ApiError, number, status},
    append::MAX_PARTS,
    counters::add,
    error::unavailable,
    log::{Inner, check_user},
    packet::{self, Assembly, Packet},
    place::{end_of, floor_of, is_end, sequence_of},
    streams,
};

/// How many messages are asked for at once.
const BATCH: usize = 512;
/// How many messages are asked for one by one for a page.
const LEADER_BATCH: usize = 32;
/// How long a batch may stand still before the leader is asked.
const BATCH_DEADLINE: Duration = Duration::from_millis(1_500);

/// After so long a page that has something is left as it is.
const LEADER_DEADLINE: Duration = Duration::from_millis(1_500);
/// How long a page may take, all questions together.
const PAGE_DEADLINE: Duration = Duration::from_millis(4_500);

/// A page that is being put together.
struct Pager<'a> {
    inner: &'a Inner,
    after: u64,
    max_bytes: usize,
    /// What was stored before this is too old to be shown.
    oldest: SystemTime,
    page: Page,
    n_bytes: usize,
    assembly: Assembly,
    /// The sequence from which on messages have not been looked at.
    next: u64,
    is_full: bool,
}

/// Reads a page; see the contract.
pub(crate) async fn read(
    inner: &Inner,
    user: &UserId,
    after: u64,
    max_bytes: usize,
) -> EventResult<Page> {
    inner.check_life()?;
    check_user(user)?;
    let reading = read_page(inner, user, after, max_bytes);
    let read = tokio::time::timeout(PAGE_DEADLINE, reading).await;
    read.unwrap_or_else(|_elapsed| Err(ApiError::NoAnswer.into_event_error()))
}

async fn read_page(
    inner: &Inner,
    user: &UserId,
    after: u64,
    max_bytes: usize,
) -> EventResult<Page> {
    let subject = inner.names.of_user(user);
    let stream = &inner.names.stream;
    let Some(last) = inner.api.last(stream, &subject).await? else {
        return emptied(inner, after).await;
    };
    let end = end_of(last.sequence);
    let mut pager = Pager::new(inner, after, end, max_bytes);
    if end <= after {
        return Ok(pager.page);
    }
    let only = packet::read(last.sequence, last.body.clone()).ok();
    if only.is_some_and(|packet| !packet.part.is_continued && packet.entry.previous <= after) {
        pager.push(last.sequence, last.stored_at, last.body);
        return Ok(pager.page);
    }
    pager.read_batch(&subject, last.sequence).await;
    if pager.page.records.is_empty() && pager.page.previous < end {
        pager.read_leader(&subject, last.sequence).await?;
    }
    Ok(pager.page)
}

/// The page of a user of whom nothing is kept: never was, or is gone with the stream's oldest messages. Then it is
/// not known whether something was after the place, unless the stream still reaches back to it.
async fn emptied(inner: &Inner, after: u64) -> EventResult<Page> {
    let empty = |previous, last| Page {
        previous,
        records: Vec::new(),
        last,
    };
    if after == 0 {
        return Ok(empty(0, 0));
    }
    let info = streams::info(&inner.api, &inner.names.stream).await;
    let state = info.map_err(ApiError::into_event_error)?.state;
    if sequence_of(after) > state.last_seq {
        return Ok(empty(after, 0));
    }
    let known = after.max(floor_of(state.first_seq));
    Ok(empty(known, known))
}

impl<'a> Pager<'a> {
    fn new(inner: &'a Inner, after: u64, last: u64, max_bytes: usize) -> Self {
        let next = if is_end(after) {
            sequence_of(after) + 1
        } else {
            // Within an append: its messages end with this sequence.
            (sequence_of(after) + 1)
                .saturating_sub(MAX_PARTS as u64)
                .max(1)
        };
        Self {
            inner,
            after,
            max_bytes,
            oldest: SystemTime::now()
                .checked_sub(inner.config.age)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            page: Page {
                previous: after,
                records: Vec::new(),
                last,
            },
            n_bytes: 0,
            assembly: Assembly::default(),
            next,
            is_full: false,
        }
    }

    /// Takes the next message of the user.
    fn push(&mut self, sequence: u64, stored_at: SystemTime, body: Bytes) {
        self.next = sequence + 1;
        let packet = match packet::read(sequence, body) {
            Ok(packet) => packet,
            Err(error) => {
                // As one that is no longer kept: the next one says that there was something.
                add(&self.inner.counters.unreadable, 1);
                tracing::warn!(%error, sequence, "nats: a message of the log cannot be read");
                return self.pass(end_of(sequence));
            }
        };
        if let Some(whole) = self.assembly.push(packet) {
            self.push_whole(whole, stored_at);
        }
    }

    fn push_whole(&mut self, packet: Packet, stored_at: SystemTime) {
        let end = packet.entry.records.last().map_or(0, |logged| logged.seq);
        if end <= self.after {
            return;
        }
        if stored_at < self.oldest {
            return self.pass(end);
        }
        let at = self
            .page
            .records
            .last()
            .map_or(self.page.previous, |logged| logged.seq);
        if packet.entry.previous > at {
            if !self.page.records.is_empty() {
                // Something went while we were reading, or is not here yet; another page begins there.
                self.is_full = true;
                return;
            }
            self.page.previous = packet.entry.previous;
        }
        for logged in packet.entry.records {
            if logged.seq > self.after {
                self.n_bytes += logged.record.json.len() + logged.record.note.len();
                self.page.records.push(logged);
            }
        }
        self.is_full = self.n_bytes >= self.max_bytes;
    }

    /// Goes past what is there and not shown.
    fn pass(&mut self, end: u64) {
        if self.page.records.is_empty() {
            self.page.previous = self.page.previous.max(end);
        } else {
            self.is_full = true;
        }
    }

    /// Reads from any server. That it fails is no error: the leader is asked then.
    async fn read_batch(&mut self, subject: &str, last: u64) {
        let client = &self.inner.api.client;
        let inbox = client.new_inbox();
        let Ok(mut answers) = client.subscribe(inbox.clone()).await else {
            return;
        };
        let question = json!({
            "seq": self.next,
            "next_by_subj": subject,
            "batch": BATCH,
            // A server ends a batch with the message that goes beyond it.
            "max_bytes": self.max_bytes.clamp(64 << 10, 8 << 20),
        });
        let stream = &self.inner.names.stream;
        let asked = format!("$JS.API.DIRECT.GET.{stream}");
        let question = question.to_string().into();
        if client
            .publish_with_reply(asked, inbox, question)
            .await
            .is_err()
        {
            return;
        }
        let end = Instant::now() + BATCH_DEADLINE;
        while let Ok(Some(message)) = timeout_at(end, answers.next()).await {
            if status(&message).is_some() {
                break;
            }
            let Some(sequence) = number(&message, "Nats-Sequence") else {
                break;
            };
            let time = message
                .headers
                .as_ref()
                .and_then(|headers| headers.get("Nats-Time-Stamp"));
            let stored_at = stored_at(time.map_or("", |time| time.as_str()));
            if sequence > last {
                break;
            }
            self.push(sequence, stored_at, message.payload);
            if self.is_full || sequence == last {
                break;
            }
        }
    }

    /// Reads from the leader, message by message.
    async fn read_leader(&mut self, subject: &str, last: u64) -> EventResult<()> {
        let end = Instant::now() + LEADER_DEADLINE;
        let stream = &self.inner.names.stream;
        for _ in 0..LEADER_BATCH + MAX_PARTS {
            let has_some = !self.page.records.is_empty();
            if self.is_full || self.next > last || (has_some && Instant::now() > end) {
                break;
            }
            let Some(message) = self.inner.api.next(stream, subject, self.next).await? else {
                break;
            };
            self.inner.counters.leader_reads.fetch_add(1, Relaxed);
            self.push(message.sequence, message.stored_at, message.body);
        }
        if self.page.records.is_empty() && self.next <= last && self.page.previous == self.after {
            return Err(unavailable("the log cannot be read up to its last record"));
        }
        Ok(())
    }
}

/// A time as servers write it. One that cannot be read is taken for now, so that nothing is hidden by mistake.
pub(crate) fn stored_at(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).unwrap_or_else(|_unreadable| SystemTime::now())
}
