//! Publishing line by line, each answered as it arrives: for producers that stream tokens.

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use events_router::Item;
use events_sse::{NDJSON_CONTENT_TYPE, NdjsonDecoder, NdjsonItem};
use futures_util::stream;
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    Problem, StreamState,
    admission::Cost,
    metrics::Bound,
    publish::{Target, with_id},
};

/// The answer to one line.
#[derive(Debug, Serialize)]
struct Receipt {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

/// A live request: its body is read by the response's body, so both end together and no task is left behind.
struct Live {
    state: StreamState,
    target: Target,
    body: Body,
    decoder: NdjsonDecoder,
    event_limit: usize,
    /// Event lines so far; keep-alives and empty lines do not count, since a retry may have other ones.
    n_events: usize,
    /// The thread of the run that the request has started last.
    thread: Option<Arc<str>>,
    has_ended: bool,
    /// Nothing more is read before this: what has come is more than may be published in the time.
    rests_until: Option<Instant>,
    /// Completes when whoever publishes may not go on: the token has expired or was revoked.
    is_over: Pin<Box<dyn Future<Output = ()> + Send>>,
    _place: OwnedSemaphorePermit,
}

/// A line on its way from the decoder to the log: its number, and its event or what is wrong with it.
type Line = (u64, Result<Item, Problem>);

pub(crate) async fn publish_live(
    State(state): State<StreamState>,
    target: Result<Target, Problem>,
    body: Body,
) -> Response {
    let place = || {
        let place = Arc::clone(&state.inner.live_requests).try_acquire_owned();
        let detail = "too many live publish requests are open; try again, or send whole requests";
        place.map_err(|_full| Problem::too_many(detail, Bound::LiveRequests))
    };
    let (target, place) = match target.and_then(|target| Ok((target, place()?))) {
        Ok(opened) => opened,
        Err(problem) => {
            state.count_bound(&problem);
            return problem.into_response();
        }
    };
    let event_limit = state.router().store().limits().event_bytes;
    let live = Live {
        is_over: Box::pin(over(&state, &target)),
        state,
        target,
        body,
        decoder: NdjsonDecoder::new(event_limit),
        event_limit,
        n_events: 0,
        thread: None,
        has_ended: false,
        rests_until: None,
        _place: place,
    };
    let receipts = stream::unfold(live, |mut live| async move {
        let receipts = live.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(receipts)), live))
    });
    (
        [(header::CONTENT_TYPE, NDJSON_CONTENT_TYPE)],
        Body::from_stream(receipts),
    )
        .into_response()
}

/// Completes when whoever publishes may not go on. It listens from the call on.
fn over(state: &StreamState, target: &Target) -> impl Future<Output = ()> + Send + use<> {
    let tenure = target.tenure;
    let mut closings = state.inner.revocations.closings(target.publisher.clone());
    let (state, publisher) = (state.clone(), target.publisher.clone());
    async move {
        let covers = |issued_ms| state.inner.revocations.covers(&publisher, issued_ms);
        if tenure.issued_ms.is_some_and(covers) {
            return;
        }
        tokio::select! {
            () = closings.next() => {}
            () = tenure.ended() => {}
        }
    }
}

impl Live {
    /// Reads until there is something to answer; `None` at the end of the request.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let drain = self.state.inner.drain.clone();
        let idle = self.state.inner.config.live_idle;
        while !self.has_ended {
            let rests_until = self.rests_until.unwrap_or_else(Instant::now);
            let lines = tokio::select! {
                frame = self.body.frame(), if self.rests_until.is_none() => match frame {
                    Some(Ok(frame)) => frame.into_data().map(|bytes| self.read(&bytes)).unwrap_or_default(),
                    Some(Err(error)) => {
                        // The producer is gone; nobody reads an answer.
                        tracing::debug!(%error, "live publish cut");
                        return None;
                    }
                    None => self.finish(),
                },
                () = sleep_until(rests_until), if self.rests_until.is_some() => {
                    self.rests_until = None;
                    continue;
                }
                () = drain.begun() => {
                    self.has_ended = true;
                    // Line 0 is none of the producer's: what it has not had an answer for, it sends again elsewhere.
                    return Some(receipt(0, Err(Problem::draining())));
                }
                () = &mut self.is_over => {
                    self.has_ended = true;
                    return Some(receipt(0, Err(Problem::bad_token())));
                }
                () = sleep(idle), if self.rests_until.is_none() => {
                    self.has_ended = true;
                    let detail = format!(
                        "nothing was sent for {} s: send a line that begins with a colon now and then",
                        idle.as_secs_f64()
                    );
                    let problem = Problem::too_slow(detail, Bound::LiveIdle);
                    self.state.count_bound(&problem);
                    return Some(receipt(0, Err(problem)));
                }
            };
            if !lines.is_empty() {
                return Some(self.publish(lines).await);
            }
        }
        None
    }

    fn read(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let n_bytes = bytes.len();
        while let Some(item) = self.decoder.decode(&mut bytes) {
            lines.extend(line(
                &self.target,
                &mut self.n_events,
                self.event_limit,
                &item,
            ));
        }
        self.pay(lines.len(), n_bytes);
        lines
    }

    /// Counts what has come. A producer that sends too fast is read more slowly: its lines are in the log, each with
    /// its answer, and what it has not sent yet waits with it.
    fn pay(&mut self, n_events: usize, n_bytes: usize) {
        let cost = Cost::new(n_events, n_bytes);
        if let Some((wait, bound)) = self.state.owe_publish(&self.target, cost) {
            self.state.inner.metrics.hit(bound);
            self.rests_until = Some(Instant::now() + wait);
        }
    }

    fn finish(&mut self) -> Vec<Line> {
        self.has_ended = true;
        let last = self.decoder.finish();
        last.and_then(|item| line(&self.target, &mut self.n_events, self.event_limit, &item))
            .into_iter()
            .collect()
    }

    async fn publish_one(&mut self, number: u64, item: Item) -> Result<Vec<String>, Problem> {
        let started = item.started_thread();
        let item = item.after_start_of(self.thread.clone());
        let published = self
            .state
            .router()
            .publish_batch(&self.target.user, vec![item])
            .await;
        if published.is_ok() {
            self.thread = started.or_else(|| self.thread.take());
        }
        let ids =
            published.map(|published| published.ids.iter().map(ToString::to_string).collect());
        ids.map_err(|error| Problem::of_publish(&error, |_| Some(number)))
    }

    async fn publish(&mut self, lines: Vec<Line>) -> Vec<u8> {
        let mut receipts = Vec::with_capacity(lines.len() * 64);
        for (number, item) in lines {
            let answer = match item {
                Ok(item) => self.publish_one(number, item).await,
                Err(problem) => Err(problem),
            };
            let status = answer.as_ref().map_or_else(Problem::status, |_| 200);
            if let Err(problem) = &answer {
                self.state.count_bound(problem);
            }
            self.state
                .inner
                .metrics
                .published(self.target.stream.as_str(), status);
            receipts.extend(receipt(number, answer));
        }
        receipts
    }
}

fn line(
    target: &Target,
    n_events: &mut usize,
    event_limit: usize,
    item: &NdjsonItem<'_>,
) -> Option<Line> {
    let (number, event) = match *item {
        NdjsonItem::Line { number, bytes } => {
            let msg_id = target
                .msg_id
                .as_ref()
                .map(|msg_id| msg_id.of_line(*n_events + 1));
            let item = target.read(bytes).map(|item| with_id(item, msg_id));
            (
                number,
                item.map_err(|invalid| Problem::of_invalid(&invalid).at_line(number)),
            )
        }
        NdjsonItem::TooLong { number, .. } => (
            number,
            Err(Problem::event_too_large(event_limit).at_line(number)),
        ),
        _ => return None,
    };
    *n_events += 1;
    Some((number, event))
}

fn receipt(line: u64, answer: Result<Vec<String>, Problem>) -> Vec<u8> {
    let (ids, error) = match answer {
        Ok(ids) => (Some(ids), None),
        Err(problem) => (None, Some(problem)),
    };
    let mut json = serde_json::to_vec(&Receipt { line, ids, error }).unwrap_or_default();
    json.push(b'\n');
    json
}
