//! Publishing in batches that can be sent again without being published twice.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Url, header::CONTENT_TYPE};
use serde::Deserialize;
use tokio::time::Instant;

use crate::{
    backoff::Backoff,
    client::{Client, PublishKind},
    error::{Cause, Error},
    http::{self, Failed},
    line::{self, EventLine},
};

/// The hub takes 4 MiB; the rest is slack for whatever a proxy counts too.
const BATCH_BYTES: usize = (4 << 20) - (64 << 10);

/// A batch is all or nothing, so it should not be large in events either.
const BATCH_LINES: u64 = 1_000;

/// Where events are published, and how safely.
#[derive(Clone, Debug)]
#[must_use]
pub struct Publish {
    pub(crate) kind: PublishKind,
    pub(crate) user: String,
    pub(crate) thread: Option<String>,
    msg_id: Option<String>,
    deadline: Duration,
}

impl Publish {
    /// Names the kind of events and the user they are for.
    pub fn to(kind: PublishKind, user: impl Into<String>) -> Self {
        Self {
            kind,
            user: user.into(),
            thread: None,
            msg_id: None,
            deadline: Duration::from_secs(30),
        }
    }

    /// Names the AG-UI thread that the events belong to.
    pub fn thread(mut self, thread: impl Into<String>) -> Self {
        self.thread = Some(thread.into());
        self
    }

    /// Sets the message id, of which batch `n` (from 0) uses `<id>-<n>`. Default: a random one for each call.
    ///
    /// The same events published again with the same id, within the hub's window of two minutes, are taken once:
    /// batches are cut the same way each time.
    pub fn msg_id(mut self, msg_id: impl Into<String>) -> Self {
        self.msg_id = Some(msg_id.into());
        self
    }

    /// Sets how long one batch is tried. Default: 30 seconds. More than the hub's window of two minutes makes
    /// retries unsafe.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// # Errors
    ///
    /// [`Error::Invalid`] for a user id that no path can carry.
    pub(crate) fn url(&self, client: &Client) -> Result<Url, Error> {
        let mut url = client.publish_url(self.kind, &self.user)?;
        if let Some(thread) = &self.thread {
            url.query_pairs_mut().append_pair("thread", thread);
        }
        Ok(url)
    }
}

/// What a publish has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Published {
    /// The ids of the records, in order. One per event, except that a chunk event makes none or several.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Records that an earlier attempt had published already; their ids are among `ids`.
    #[serde(default)]
    pub duplicates: u64,
    /// Connections of the user at the replica that answered last. It says nothing about who has read what.
    #[serde(default)]
    pub connections: u64,
}

/// An attempt to publish that failed, and can be repeated.
#[derive(Debug)]
#[non_exhaustive]
pub struct Retry<'a> {
    /// Attempts of this batch so far.
    pub attempts: u32,
    /// The wait before the next one.
    pub after: Duration,
    /// Why the last one failed.
    pub cause: &'a Cause,
}

impl Client {
    /// Publishes events in order, in batches of at most about 4 MiB and 1,000 events.
    ///
    /// Each batch is all or nothing, and is tried until the hub answers or the request's deadline has passed. The
    /// next batch is sent after the one before is in the log. No events, no request.
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] if the hub refuses an event (400, 413, 422): the batches before are in the log, this one
    ///   and those after it are not;
    /// - [`Error::Status`] if it refuses the request itself;
    /// - [`Error::Deadline`] if a batch was not answered in time, its outcome unknown;
    /// - [`Error::Encode`] and [`Error::Invalid`] for an event that cannot be sent: the batches before its
    ///   own are in the log;
    /// - [`Error::Answer`] if the hub's answer to a published batch cannot be read.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the batches before are in the log and the outcome of the current one is unknown.
    /// With a message id of the caller's own, the same call can be made again.
    pub async fn publish<E: EventLine>(
        &self,
        request: &Publish,
        events: impl IntoIterator<Item = E>,
    ) -> Result<Published, Error> {
        self.publish_with(request, events, |_| true).await
    }

    /// Publishes as [`Client::publish`] does, and asks before each repetition whether it shall be made.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`]; also [`Error::Deadline`] where `goes_on` says no.
    ///
    /// # Cancel safety
    ///
    /// As [`Client::publish`].
    pub async fn publish_with<E: EventLine>(
        &self,
        request: &Publish,
        events: impl IntoIterator<Item = E>,
        mut goes_on: impl FnMut(Retry<'_>) -> bool,
    ) -> Result<Published, Error> {
        let url = request.url(self)?;
        let prefix = request.msg_id.clone().unwrap_or_else(random_id);
        let mut published = Published::default();
        let mut batch = Batch::default();
        let mut line = Vec::new();
        for event in events {
            line.clear();
            line::append(&event, &mut line)?;
            if batch.is_full_for(line.len()) {
                let full = batch.start_next();
                self.publish_batch(request, &url, &prefix, full, &mut published, &mut goes_on)
                    .await?;
            }
            batch.push(&line);
        }
        if batch.n_lines > 0 {
            self.publish_batch(request, &url, &prefix, batch, &mut published, &mut goes_on)
                .await?;
        }
        Ok(published)
    }

    async fn publish_batch(
        &self,
        request: &Publish,
        url: &Url,
        prefix: &str,
        batch: Batch,
        published: &mut Published,
        goes_on: &mut impl FnMut(Retry<'_>) -> bool,
    ) -> Result<(), Error> {
        let mut url = url.clone();
        // Invariant 3: one id for all attempts.
        url.query_pairs_mut()
            .append_pair("msg_id", &format!("{prefix}-{}", batch.number));
        let body = Bytes::from(batch.body);
        let until = Instant::now() + request.deadline;
        let mut backoff = Backoff::new(self.settings.backoff_base, self.settings.backoff_cap);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let attempt = self.attempt(&url, body.clone());
            let failed = match tokio::time::timeout(left, attempt).await {
                Ok(Ok(answer)) => {
                    let answer: Published =
                        serde_json::from_slice(&answer).map_err(Error::Answer)?;
                    published.ids.extend(answer.ids);
                    published.duplicates += answer.duplicates;
                    published.connections = answer.connections;
                    return Ok(());
                }
                Ok(Err(failed)) => failed,
                Err(_elapsed) => Failed::passing(Cause::TimedOut),
            };
            let (cause, retry_after) = match failed {
                Failed::Passing { cause, retry_after } => (cause, retry_after),
                Failed::Fatal {
                    status: 400 | 413 | 422,
                    problem,
                } => {
                    let only_line = (batch.n_lines == 1).then_some(1);
                    let line = problem.line.or(only_line);
                    return Err(Error::Refused {
                        line: line.map(|line| line.saturating_add(batch.n_lines_before)),
                        problem,
                        published: Box::new(std::mem::take(published)),
                    });
                }
                Failed::Fatal { status, problem } => return Err(Error::Status { status, problem }),
            };
            let wait = backoff.next_wait(retry_after);
            let is_late = Instant::now()
                .checked_add(wait)
                .is_none_or(|at| at >= until);
            let retry = Retry {
                attempts: backoff.n_failures(),
                after: wait,
                cause: &cause,
            };
            if is_late || !goes_on(retry) {
                return Err(Error::Deadline {
                    attempts: backoff.n_failures(),
                    cause,
                    published: Box::new(std::mem::take(published)),
                });
            }
            tracing::debug!(%cause, ?wait, "batch is sent again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, url: &Url, body: Bytes) -> Result<Bytes, Failed> {
        let request = self
            .authorized(self.http.post(url.clone()))
            .header(CONTENT_TYPE, events_sse::NDJSON_CONTENT_TYPE)
            .body(body);
        let timeout = self.settings.head_timeout;
        let answer = http::send(request, timeout).await?;
        match tokio::time::timeout(timeout, answer.bytes()).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => Err(Failed::passing(Cause::Transport(error.without_url()))),
            Err(_elapsed) => Err(Failed::passing(Cause::TimedOut)),
        }
    }
}

/// The lines of one request.
#[derive(Default)]
struct Batch {
    number: u64,
    body: Vec<u8>,
    n_lines: u64,
    /// Lines of the batches before.
    n_lines_before: u64,
}

impl Batch {
    /// Tells whether one more line, of this many bytes with its end, must go into the next batch. An empty batch takes any.
    const fn is_full_for(&self, n_bytes: usize) -> bool {
        self.n_lines > 0 && (self.n_lines >= BATCH_LINES || self.body.len() + n_bytes > BATCH_BYTES)
    }

    fn push(&mut self, line: &[u8]) {
        self.body.extend_from_slice(line);
        self.n_lines += 1;
    }

    /// Returns this batch, and becomes the empty one after it.
    fn start_next(&mut self) -> Self {
        let next = Self {
            number: self.number + 1,
            n_lines_before: self.n_lines_before + self.n_lines,
            ..Self::default()
        };
        std::mem::replace(self, next)
    }
}

fn random_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}
