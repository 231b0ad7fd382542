//! Publishing line by line, each answered as it arrives: for producers that stream tokens.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Future, pending},
    pin::Pin,
    sync::Arc,
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use events_router::{Item, PublishError, Published};
use events_sse::{NDJSON_CONTENT_TYPE, NdjsonDecoder, NdjsonItem};
use futures_util::{FutureExt as _, stream};
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
    publish::{Target, give_way, with_id},
    revocations::Ended,
};

/// Lines that go into the log together: the queue of a user there is for several producers.
const TOGETHER: usize = 16;

/// Bytes of lines that are waiting or on their way, beyond which nothing more is read: large events go one by one.
const READ_AHEAD: usize = 64 << 10;

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
    /// Nothing more is read: the producer has ended, or may not go on.
    has_ended: bool,
    /// Lines that came while others were on their way.
    waiting: VecDeque<Line>,
    /// What has been read since nothing was waiting or on its way, in bytes.
    n_ahead: usize,
    /// Lines on their way into the log.
    under_way: Option<UnderWay>,
    /// Nothing more is read before this: what has come is more than may be published in the time.
    rests_until: Option<Instant>,
    /// Completes when whoever publishes may not go on, and says why: the token has expired or was revoked, or an
    /// operator has closed the request.
    is_over: Pin<Box<dyn Future<Output = Problem> + Send>>,
    _place: OwnedSemaphorePermit,
}

/// A line on its way from the decoder to the log: its number, and its event or what is wrong with it.
type Line = (u64, Result<Item, Problem>);

/// What has become of lines, one for each.
type Outcomes = Vec<Result<Published, PublishError>>;

/// Lines that go into the log together.
struct UnderWay {
    numbers: Vec<u64>,
    /// The thread whose run the last of them starts.
    starts: Option<Arc<str>>,
    published: Pin<Box<dyn Future<Output = Outcomes> + Send>>,
}

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
        waiting: VecDeque::new(),
        n_ahead: 0,
        under_way: None,
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
fn over(state: &StreamState, target: &Target) -> impl Future<Output = Problem> + Send + use<> {
    let tenure = target.tenure;
    let (publisher, since_ms) = (target.publisher.clone(), state.router().clock().now_ms());
    let mut closings = state.inner.revocations.closings(publisher, since_ms);
    let (state, publisher) = (state.clone(), target.publisher.clone());
    async move {
        let covers = |issued_ms| state.inner.revocations.covers(&publisher, issued_ms);
        if tenure.issued_ms.is_some_and(covers) {
            return Problem::bad_token();
        }
        tokio::select! {
            ended = closings.next() => match ended {
                Ended::Revoked => Problem::bad_token(),
                Ended::Closed { .. } => Problem::closed(),
            },
            () = tenure.ended() => Problem::bad_token(),
        }
    }
}

impl Live {
    /// Reads until there is something to answer; `None` at the end of the request.
    ///
    /// Reading goes on while lines are on their way into the log: what comes meanwhile follows them together. A log that
    /// is slow to answer so gets fewer and larger appends.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let drain = self.state.inner.drain.clone();
        let idle = self.state.inner.config.live_idle;
        loop {
            if self.under_way.is_none() && !self.waiting.is_empty() {
                let refused = self.set_out();
                if !refused.is_empty() {
                    return Some(refused);
                }
            }
            let is_free = self.under_way.is_none();
            if is_free {
                self.n_ahead = 0;
            }
            if self.has_ended && is_free {
                return None;
            }
            let rests_until = self.rests_until.unwrap_or_else(Instant::now);
            let has_room = self.waiting.len() < TOGETHER && self.n_ahead < READ_AHEAD;
            let may_read = !self.has_ended && self.rests_until.is_none() && has_room;
            tokio::select! {
                published = published(&mut self.under_way), if !is_free => {
                    return Some(self.arrive(published));
                }
                frame = self.body.frame(), if may_read => match frame {
                    Some(Ok(frame)) => if let Ok(bytes) = frame.into_data() {
                        self.read(&bytes);
                    },
                    Some(Err(error)) => {
                        // The producer is gone; nobody reads an answer. What it has sent is published all the same.
                        tracing::debug!(%error, "live publish cut");
                        self.has_ended = true;
                    }
                    None => self.finish(),
                },
                () = sleep_until(rests_until), if self.rests_until.is_some() => {
                    self.rests_until = None;
                }
                () = drain.begun(), if is_free => {
                    // Line 0 is none of the producer's: what it has not had an answer for, it sends again elsewhere.
                    return Some(self.stop(Problem::draining()));
                }
                problem = &mut self.is_over, if is_free => return Some(self.stop(problem)),
                () = sleep(idle), if is_free && self.rests_until.is_none() => {
                    let detail = format!(
                        "nothing was sent for {} s: send a line that begins with a colon now and then",
                        idle.as_secs_f64()
                    );
                    let problem = Problem::too_slow(detail, Bound::LiveIdle);
                    self.state.count_bound(&problem);
                    return Some(self.stop(problem));
                }
            }
        }
    }

    /// Ends the request, whatever has come and is not on its way.
    fn stop(&mut self, problem: Problem) -> Vec<u8> {
        self.has_ended = true;
        self.waiting.clear();
        receipt(0, Err(problem))
    }

    /// Sends lines on their way that can go together, and returns the answers to bad ones before them.
    fn set_out(&mut self) -> Vec<u8> {
        if self.state.is_draining() {
            return self.stop(Problem::draining());
        }
        if let Some(problem) = (&mut self.is_over).now_or_never() {
            return self.stop(problem);
        }
        let mut refused = Vec::new();
        let (mut numbers, mut items, mut starts) = (Vec::new(), Vec::new(), None);
        while let Some((number, item)) = self.waiting.pop_front() {
            match item {
                Ok(item) => {
                    starts = item.started_thread();
                    // Whether a run has started decides on the thread of what follows it.
                    if starts.is_some() && !items.is_empty() {
                        starts = None;
                        self.waiting.push_front((number, Ok(item)));
                        break;
                    }
                    numbers.push(number);
                    items.push(item.after_start_of(self.thread.clone()));
                    if starts.is_some() || items.len() == TOGETHER {
                        break;
                    }
                }
                Err(problem) if items.is_empty() => {
                    self.answer(number, Err(problem), &mut refused);
                }
                Err(problem) => {
                    self.waiting.push_front((number, Err(problem)));
                    break;
                }
            }
        }
        if !items.is_empty() {
            let (router, user) = (self.state.router().clone(), self.target.user.clone());
            self.under_way = Some(UnderWay {
                numbers,
                starts,
                published: Box::pin(async move {
                    let published = router.publish_each(&user, items).await;
                    give_way(&router, published.iter().flatten()).await;
                    published
                }),
            });
        }
        refused
    }

    /// Answers the lines that were on their way.
    fn arrive(&mut self, published: Outcomes) -> Vec<u8> {
        let Some(UnderWay {
            numbers, starts, ..
        }) = self.under_way.take()
        else {
            return Vec::new();
        };
        let mut receipts = Vec::with_capacity(numbers.len() * 64);
        for (number, published) in numbers.into_iter().zip(published) {
            if published.is_ok() && starts.is_some() {
                self.thread.clone_from(&starts);
            }
            let ids =
                published.map(|published| published.ids.iter().map(ToString::to_string).collect());
            let answer = ids.map_err(|error| Problem::of_publish(&error, |_| Some(number)));
            self.answer(number, answer, &mut receipts);
        }
        receipts
    }

    fn read(&mut self, mut bytes: &[u8]) {
        let (n_before, n_bytes) = (self.n_events, bytes.len());
        self.n_ahead += n_bytes;
        while let Some(item) = self.decoder.decode(&mut bytes) {
            let line = line(&self.target, &mut self.n_events, self.event_limit, &item);
            self.waiting.extend(line);
        }
        self.pay(self.n_events - n_before, n_bytes);
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

    fn finish(&mut self) {
        self.has_ended = true;
        let last = self.decoder.finish();
        let line =
            last.and_then(|item| line(&self.target, &mut self.n_events, self.event_limit, &item));
        self.waiting.extend(line);
    }

    fn answer(&self, number: u64, answer: Result<Vec<String>, Problem>, receipts: &mut Vec<u8>) {
        let status = answer.as_ref().map_or_else(Problem::status, |_| 200);
        if let Err(problem) = &answer {
            self.state.count_bound(problem);
        }
        let metrics = &self.state.inner.metrics;
        metrics.published(self.target.stream.as_str(), status);
        receipts.extend(receipt(number, answer));
    }
}

/// Waits for lines on their way; forever if there are none.
async fn published(under_way: &mut Option<UnderWay>) -> Outcomes {
    match under_way {
        Some(under_way) => under_way.published.as_mut().await,
        None => pending().await,
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
